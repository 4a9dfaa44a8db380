"""The corpus on disk, in IEMOCAP's own layout, written whole or not at all.

::

    SYNTHETIC.json                                                       the stamp
    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
    Session1/dialog/transcriptions/Ses01F_impro01.txt
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav        16 kHz, 16 bit, mono

Every session also has what a copy from a Mac leaves behind (AppleDouble, ``._*``): one such
file among the sounds and one among the labels.
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
from sercli.processes import worker_pool
from sercli.progress import SILENT, Progress, Task

GENERATOR = 1
"""Version of the generator, to be raised with every change to what it generates."""

STAMP = "SYNTHETIC.json"
"""The file that tells which corpus a folder holds; it is there only when all else is."""

_NOTICE = (
    "The speech in this folder is synthetic: computed from formulas, spoken by nobody and "
    "without meaning. Results on it say nothing about human emotion."
)
_APPLE_DOUBLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(58)
_BATCH = 10  # turns of a job: short enough that the bar moves, long enough to be worth sending


def generate(
    root: Path,
    seed: int,
    *,
    size: SyntheticSize = FULL_SIZE,
    workers: int = 2,
    progress: Progress = SILENT,
) -> None:
    """Write the corpus with this ``seed`` to ``root``.

    The same seed gives the same bytes, whatever the number of workers. (Between machines, other
    versions of NumPy or other instructions of the processor may round a sample differently.)

    Args:
        root: A folder that is empty or does not exist yet.
        seed: Another seed is another corpus, with other speakers.
        size: How many dialogues, and of how many turns.
        workers: Processes that make the sound.
        progress: Where to show how far it is.

    Raises:
        RequestError: ``root`` holds something, or the seed is negative.
        SercliError: ``root`` cannot be written, or a worker process died. Nothing is left there.
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
    """Generate the corpus unless it is there; of several processes, one does and others wait.

    A corpus of another version of the generator is replaced. One of this version is left
    alone, even if its ``size`` is another.

    Raises:
        RequestError: ``root`` holds something else, or the corpus of another seed; or the seed
            is negative.
        SercliError: As in `generate`.
    """
    _check_seed(seed)
    if _is_current(root, seed):
        return
    with _sole_writer(root):
        if _is_current(root, seed):  # another process was quicker
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
            f"{root}: holds something that is no synthetic corpus ({STAMP} is missing), and "
            "nothing is overwritten; choose another folder with dataset.root=PATH"
        )


def _remove(root: Path) -> None:
    """Remove a corpus; under another name, so that a crash leaves no part of it at ``root``."""
    doomed = root.with_name(f".{root.name}.{uuid.uuid4().hex[:8]}.tmp")
    root.rename(doomed)
    shutil.rmtree(doomed)


def _write(root: Path, seed: int, size: SyntheticSize, workers: int, progress: Progress) -> None:
    play = generate_dialogues(seed, size)
    turns = [turn for dialogue in play for turn in dialogue.turns]
    with (
        folder_written_whole(root) as folder,
        progress.task("generating synthetic speech", total=len(turns)) as task,
    ):
        for dialogue in play:
            _write_texts(folder, seed, dialogue)
        _write_sounds(folder, seed, turns, workers, task)
        _write_apple_double(folder)
        _write_stamp(folder, seed, size, len(turns))


def _write_texts(root: Path, seed: int, dialogue: Dialogue) -> None:
    _sounds(root, dialogue.session, dialogue.name).mkdir(parents=True)
    random = np.random.default_rng([seed, *dialogue.name.encode()])
    for kind, text in (
        ("EmoEvaluation", label_file(dialogue, random)),
        ("transcriptions", transcript_file(dialogue, random)),
    ):
        folder = root / f"Session{dialogue.session}" / "dialog" / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{dialogue.name}.txt").write_text(text, encoding="utf-8", newline="\n")


def _write_sounds(root: Path, seed: int, turns: Sequence[Turn], workers: int, task: Task) -> None:
    """Record all turns, in this process or in several others."""
    record = partial(_record_turns, root, seed)
    batches = [turns[first : first + _BATCH] for first in range(0, len(turns), _BATCH)]
    if workers <= 1:
        for batch in batches:
            task.advance(record(batch))
        return
    pool = worker_pool(workers)
    try:
        for done in as_completed([pool.submit(record, batch) for batch in batches]):
            task.advance(done.result())
    except BrokenProcessPool as error:
        raise SercliError(
            f"{root}: a process that generates the synthetic corpus was killed, often for want of "
            "memory; run the command again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _record_turns(root: Path, seed: int, turns: Sequence[Turn]) -> int:
    """Write the sound of ``turns`` and return how many they are."""
    from sercli.corpora.synthetic.expression import (
        synthesise_turn,  # SciPy
    )
    from sercli.corpora.synthetic.voice import RATE

    for turn in turns:
        path = _sounds(root, turn.session, turn.dialogue) / f"{turn.id}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(synthesise_turn(turn, seed).astype("<i2").tobytes())
    return len(turns)


def _sounds(root: Path, session: int, dialogue: str) -> Path:
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
