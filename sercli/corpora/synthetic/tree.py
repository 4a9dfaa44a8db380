"""The corpus on disk, in IEMOCAP's layout; written completely or not at all.

::

    SYNTHETIC.json                                                       the stamp
    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
    Session1/dialog/transcriptions/Ses01F_impro01.txt
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav        16 kHz, 16 bit, mono

Every session also has two AppleDouble files (``._*``), which a copy from a Mac leaves behind:
one among the audio files and one among the label files.
"""

from __future__ import annotations

import json
import shutil
import uuid
import wave
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from sercli.corpora.synthetic.annotations import label_file, transcript_file
from sercli.corpora.synthetic.dialogues import (
    FULL_SIZE,
    SESSIONS,
    Dialogue,
    SyntheticSize,
    Turn,
    generate_dialogues,
)
from sercli.errors import RequestError, SercliError
from sercli.files import folder_written_whole
from sercli.processes import possible_workers, worker_pool
from sercli.progress import SILENT, Progress, Task

GENERATOR = 1
"""Version of the generator; increase it with every change of the generated corpus."""

STAMP = "SYNTHETIC.json"
"""File with version, seed and size of the corpus; written last."""

_NOTICE = (
    "The speech in this folder is synthetic: computed from formulas, spoken by nobody and "
    "without meaning. Results on it say nothing about human emotion."
)
_APPLE_DOUBLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(58)
_BATCH = 10  # turns per job: few enough for a smooth progress bar, enough to outweigh the overhead


def generate(
    root: Path,
    seed: int,
    *,
    size: SyntheticSize = FULL_SIZE,
    workers: int = 2,
    progress: Progress = SILENT,
) -> None:
    """Write the corpus with this ``seed`` to ``root``.

    The same seed gives the same bytes for any number of workers. (Across machines, versions of
    NumPy and instruction sets of the processor may round a sample differently.)

    Args:
        root: A folder that is empty or does not exist yet.
        seed: Seed of the corpus and its speakers.
        size: Numbers of dialogues and turns.
        workers: Number of processes that synthesise the audio.
        progress: Progress display.

    Raises:
        RequestError: ``root`` is not empty, or the seed is negative.
        SercliError: ``root`` cannot be written, or a worker process died. No files are left.
    """
    _check_seed(seed)
    with _sole_writer(root):
        _check_free(root)
        _write(root, seed, size, workers, progress)


def ensure(
    root: Path,
    seed: int,
    *,
    size: SyntheticSize = FULL_SIZE,
    workers: int = 2,
    progress: Progress = SILENT,
) -> None:
    """Generate the corpus unless it exists; concurrent processes wait for the first one.

    A corpus of another version of the generator is replaced. A corpus of this version is kept,
    even if its ``size`` differs.

    Raises:
        RequestError: ``root`` holds other files or the corpus of another seed, or the seed is
            negative.
        SercliError: As in `generate`.
    """
    _check_seed(seed)
    if _is_current(root, seed):
        return
    with _sole_writer(root):
        if _is_current(root, seed):  # another process has generated it
            return
        if _stamp(root) is not None:
            _remove(root)
        _check_free(root)
        _write(root, seed, size, workers, progress)


@contextmanager
def _sole_writer(root: Path) -> Iterator[None]:
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.parent / f".{root.name}.lock"):
            yield
    except OSError as error:
        raise SercliError(
            f"{root}: the synthetic corpus cannot be written ({error.strerror or error}); "
            "choose another folder with dataset.root=PATH"
        ) from error


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise RequestError(f"the seed of the synthetic corpus must be 0 or more, not {seed}")


def _stamp(root: Path) -> dict[str, Any] | None:
    try:
        stamp = json.loads((root / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def _is_current(root: Path, seed: int) -> bool:
    stamp = _stamp(root)
    if stamp is None:
        return False
    if stamp.get("seed") != seed:
        raise RequestError(
            f"{root}: holds the synthetic corpus of seed {stamp.get('seed')}, not {seed}; "
            "choose another folder with dataset.root=PATH"
        )
    return bool(stamp.get("generator") == GENERATOR)


def _check_free(root: Path) -> None:
    if root.is_file() or (root.is_dir() and any(root.iterdir())):
        raise RequestError(
            f"{root}: holds files, but no synthetic corpus ({STAMP} is missing); "
            "choose another folder with dataset.root=PATH"
        )


def _remove(root: Path) -> None:
    """Remove a corpus after renaming it, so that a crash leaves no part of it at ``root``."""
    doomed = root.with_name(f".{root.name}.{uuid.uuid4().hex[:8]}.tmp")
    root.rename(doomed)
    shutil.rmtree(doomed)


def _write(root: Path, seed: int, size: SyntheticSize, workers: int, progress: Progress) -> None:
    dialogues = generate_dialogues(seed, size)
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    with (
        folder_written_whole(root) as folder,
        progress.task("generating synthetic speech", total=len(turns)) as task,
    ):
        for dialogue in dialogues:
            _write_texts(folder, seed, dialogue)
        _write_audio(folder, seed, turns, workers, task)
        _write_apple_double(folder)
        _write_stamp(folder, seed, size, len(turns))


def _write_texts(root: Path, seed: int, dialogue: Dialogue) -> None:
    _audio_folder(root, dialogue.session, dialogue.name).mkdir(parents=True)
    random = np.random.default_rng([seed, *dialogue.name.encode()])
    for kind, text in (
        ("EmoEvaluation", label_file(dialogue, random)),
        ("transcriptions", transcript_file(dialogue, random)),
    ):
        folder = root / f"Session{dialogue.session}" / "dialog" / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{dialogue.name}.txt").write_text(text, encoding="utf-8", newline="\n")


def _write_audio(root: Path, seed: int, turns: Sequence[Turn], workers: int, task: Task) -> None:
    """Synthesise all turns, in this process or in several workers."""
    synthesise = partial(_synthesise_turns, root, seed)
    batches = [turns[first : first + _BATCH] for first in range(0, len(turns), _BATCH)]
    if possible_workers(workers) <= 1:
        for batch in batches:
            task.advance(synthesise(batch))
        return
    pool = worker_pool(workers, module="sercli.corpora.synthetic.expression")
    try:
        for done in as_completed([pool.submit(synthesise, batch) for batch in batches]):
            task.advance(done.result())
    except BrokenProcessPool as error:
        raise SercliError(
            f"{root}: a process that generates the synthetic corpus was killed, possibly for "
            "lack of memory; run the command again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _synthesise_turns(root: Path, seed: int, turns: Sequence[Turn]) -> int:
    """Write the audio of ``turns`` and return their number."""
    from sercli.corpora.synthetic.expression import (
        synthesise_turn,  # slow import: SciPy
    )
    from sercli.corpora.synthetic.voice import RATE

    for turn in turns:
        path = _audio_folder(root, turn.session, turn.dialogue) / f"{turn.id}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(synthesise_turn(turn, seed).astype("<i2").tobytes())
    return len(turns)


def _audio_folder(root: Path, session: int, dialogue: str) -> Path:
    return root / f"Session{session}" / "sentences" / "wav" / dialogue


def _write_apple_double(root: Path) -> None:
    for session in SESSIONS:
        folder = root / f"Session{session}"
        for pattern in ("sentences/wav/*/*.wav", "dialog/EmoEvaluation/*.txt"):
            first = min(folder.glob(pattern))
            first.with_name(f"._{first.name}").write_bytes(_APPLE_DOUBLE)


def _write_stamp(root: Path, seed: int, size: SyntheticSize, turns: int) -> None:
    stamp = {"notice": _NOTICE, "generator": GENERATOR, "seed": seed, "turns": turns}
    text = json.dumps(stamp | asdict(size), indent=2)
    (root / STAMP).write_text(text + "\n", encoding="utf-8", newline="\n")
