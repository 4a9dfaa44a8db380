from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from helpers.corpus_factory import made_once

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.read import read_corpus
from sercli.corpora.synthetic import GENERATOR, STAMP, SyntheticSize, ensure, generate
from sercli.errors import RequestError, SercliError
from sercli.processes import worker_pool
from sercli.progress import Progress, Task

Sound = npt.NDArray[np.float64]

SMALL = SyntheticSize(dialogues_per_session=2, turns_per_dialogue=10)
TINY = SyntheticSize(dialogues_per_session=1, turns_per_dialogue=2)
TASK = {"ang": "anger", "hap": "happiness", "exc": "happiness", "neu": "neutral", "sad": "sadness"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(
        tmp_path_factory, "synthetic-small", partial(generate, seed=0, size=SMALL, workers=1)
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(
        tmp_path_factory, "synthetic-tiny", partial(generate, seed=1, size=TINY, workers=1)
    )


@pytest.fixture(scope="module")
def manifest(tree: Path) -> Manifest:
    return read_corpus(
        DatasetConfig(name="synthetic", reader="iemocap", root=str(tree), classes=TASK)
    )


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def samples(path: Path | str) -> Sound:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def test_the_same_seed_gives_the_same_bytes_for_one_worker_and_two(
    tiny: Path, tmp_path: Path
) -> None:
    generate(tmp_path / "two", 1, size=TINY, workers=2)
    one = contents(tiny)
    assert len(one) == 1 + 5 * (2 + 2 + 2)  # stamp; two texts, two turns, two AppleDouble files
    assert one == contents(tmp_path / "two")


@pytest.mark.exhaustive
def test_another_seed_gives_other_sounds(tree: Path, tiny: Path) -> None:
    sounds = [{*path.rglob("Ses*.wav")} for path in (tree, tiny)]
    first, second = ({path.read_bytes() for path in each} for each in sounds)
    assert not first & second


def test_the_reader_of_iemocap_reads_every_turn(manifest: Manifest) -> None:
    table = manifest.table
    assert len(table) == 5 * 2 * 10
    assert manifest.refused == ()
    assert list(table["session"].unique()) == [f"Session{number}" for number in range(1, 6)]
    assert table.groupby("session")["gender"].agg(set).map(len).eq(2).all()
    assert table["improvised"].mean() == 0.5


def test_sounds_are_16_khz_16_bit_mono_and_as_long_as_the_turn(manifest: Manifest) -> None:
    columns = manifest.table[["audio", "start", "end"]]
    for audio, start, end in columns.itertuples(index=False, name=None):
        with wave.open(audio, "rb") as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16000, 2, 1)
            assert file.getnframes() / 16000 == pytest.approx(end - start, abs=1e-3)


def test_no_sound_is_silent_or_badly_clipped(manifest: Manifest) -> None:
    for audio in manifest.table["audio"]:
        sound = samples(audio)
        assert sound.std() > 1e-3
        assert (np.abs(sound) > 0.9999).mean() < 1e-3


def test_the_tree_has_the_irregularities_of_the_real_one(tree: Path) -> None:
    files = contents(tree)
    hidden = {Path(name).suffix for name in files if Path(name).name.startswith("._Ses")}
    assert hidden == {".wav", ".txt"}
    transcript = files["Session3/dialog/transcriptions/Ses03F_impro05.txt"].decode()
    assert "Ses03F_impro05_MXX0 [" in transcript
    assert "\nM: Yeah.\n" in transcript
    assert not any("XX0" in name for name in files)
    labels = files["Session3/dialog/EmoEvaluation/Ses03F_impro05.txt"].decode()
    assert labels.startswith("% [START_TIME")
    assert "XX0" not in labels


def test_some_transcripts_are_not_in_the_order_of_time(manifest: Manifest) -> None:
    dialogues = manifest.table.sort_values("turn").groupby("dialogue")["start"]
    ordered = dialogues.agg(lambda start: start.is_monotonic_increasing)
    assert 0 < ordered.mean() < 1


def pitch(sound: Sound) -> float:
    """Median F0 in semitones by autocorrelation, over the more regular frames."""
    frames = sound[: sound.size // 1024 * 1024].reshape(-1, 1024)
    regularity = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)[:, :200]
    regularity = regularity / (regularity[:, :1] + 1e-12)
    lags = 36 + regularity[:, 36:].argmax(axis=1)
    best = regularity[np.arange(len(lags)), lags]
    return float(12 * np.log2(np.median(16000 / lags[best >= np.median(best)])))


def brightness(sound: Sound) -> float:
    """Power from 1 to 4 kHz relative to that below, dB."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    edge = sound.size * 1000 // 16000
    return float(10 * np.log10(power[edge : 4 * edge].sum() / power[:edge].sum()))


def loudness(sound: Sound) -> float:
    return float(20 * np.log10(sound.std()))


@pytest.mark.parametrize("measure", [pitch, loudness, brightness])
def test_speakers_differ_more_than_emotions(
    manifest: Manifest, measure: Callable[[Sound], float]
) -> None:
    targets = manifest.targets.assign(value=lambda t: [measure(samples(a)) for a in t["audio"]])
    variance = {
        group: float(targets.groupby(group)["value"].transform("mean").var())
        for group in ("speaker", "label")
    }
    assert variance["speaker"] > 1.3 * variance["label"]


def test_the_stamp_says_that_the_speech_is_synthetic(tree: Path) -> None:
    stamp = json.loads((tree / STAMP).read_text())
    assert "synthetic" in stamp["notice"]
    assert stamp["generator"] == GENERATOR
    assert stamp["seed"] == 0
    assert stamp["turns"] == len(list(tree.rglob("Ses*.wav")))


def test_a_corpus_that_is_there_is_left_alone(tiny: Path, tmp_path: Path) -> None:
    root = shutil.copytree(tiny, tmp_path / "corpus")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    ensure(root, 1, size=SMALL, workers=1)
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_a_corpus_of_another_generator_is_replaced(tiny: Path, tmp_path: Path) -> None:
    root = shutil.copytree(tiny, tmp_path / "corpus")
    fresh = contents(root)
    stamp = json.loads((root / STAMP).read_text())
    (root / STAMP).write_text(json.dumps(stamp | {"generator": GENERATOR - 1}))
    (root / "Session1" / "old.txt").write_text("from the old generator")
    ensure(root, 1, size=TINY, workers=1)
    assert contents(root) == fresh
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_the_corpus_of_another_seed_is_not_overwritten(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "corpus")
    before = contents(tmp_path)
    with pytest.raises(RequestError, match="of seed 1, not 2"):
        ensure(tmp_path / "corpus", 2, size=TINY, workers=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("stamp", [None, "{", "[]"])
def test_a_folder_with_something_else_is_not_overwritten(tmp_path: Path, stamp: str | None) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "thesis.txt").write_text("precious")
    if stamp is not None:
        (root / STAMP).write_text(stamp)
    for write in (ensure, generate):
        with pytest.raises(RequestError, match="holds files, but no synthetic corpus"):
            write(root, 0, size=TINY, workers=1)
    assert (root / "thesis.txt").read_text() == "precious"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    ensure(tmp_path, 0, size=TINY, workers=1)
    assert (tmp_path / STAMP).is_file()


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="0 or more, not -1"):
        ensure(tmp_path / "corpus", -1, size=TINY)


def test_a_root_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SercliError, match=r"cannot be written .*dataset\.root") as caught:
        ensure(tmp_path / "file" / "corpus", 0, size=TINY, workers=1)
    assert "\n" not in str(caught.value)


def test_two_processes_at_once_give_one_whole_corpus(tiny: Path, tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    with worker_pool(2) as pool:
        job = partial(ensure, root, 1, size=TINY, workers=1)
        for done in [pool.submit(job) for _ in range(2)]:
            done.result()
    assert contents(root) == contents(tiny)


class Stopped(Task):
    def advance(self, amount: float = 1) -> None:
        raise KeyboardInterrupt


class StopsAtOnce(Progress):
    @contextmanager
    def task(self, description: str, total: float, unit: str = "") -> Iterator[Task]:
        with super().task(description, total, unit) as task:
            yield Stopped(task._bars, task._id)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_an_interrupted_generation_leaves_nothing(tmp_path: Path, workers: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        generate(
            tmp_path / "corpus", 0, size=TINY, workers=workers, progress=StopsAtOnce(quiet=True)
        )
    assert [path.name for path in tmp_path.iterdir()] in ([], [".corpus.lock"])
