"""Bad input is normal: one clear line, the right status, nothing lost."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path

import pytest
from helpers.shell import Shell


@pytest.fixture
def corpus(tree: Path, tmp_path: Path) -> Path:
    """A copy of the small corpus, to be damaged."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.stps=5"], ["trainer.stps", "Did you mean 'trainer.steps'?"]),
        (["activation=arleu"], ["arleu", "Did you mean 'arelu'?"]),
        (["modle=iaan"], ["modle", "Did you mean 'model'?"]),
        (["trainer.steps=many"], ["trainer.steps", "many"]),
        (["trainer.steps=0"], ["trainer.steps=0", "1 or more"]),
        (["model.hidden=wide"], ["model.hidden=wide", "int"]),
        (["activation=relu,tanh"], ["several values", "sercli sweep"]),
        (["arelu.alpha=0"], ["alpha=0", "alpha_min"]),
        (["seeds=[]"], ["seeds"]),
        (["steps"], ["KEY=VALUE"]),
    ],
)
def test_an_override_that_is_invalid_is_refused(
    sercli: Shell, small: list[str], overrides: list[str], words: list[str]
) -> None:
    line = sercli.refused("train", *small, *overrides)
    for word in words:
        assert word in line


def test_a_missing_or_empty_corpus_is_named(sercli: Shell) -> None:
    assert "dataset.root=PATH" in sercli.refused("extract", "dataset=iemocap")
    assert "nowhere" in sercli.refused("extract", "dataset=iemocap", "dataset.root=nowhere")
    (sercli.folder / "empty").mkdir()
    assert "empty" in sercli.refused("extract", "dataset=nemo", "dataset.root=empty")


def test_damaged_audio_is_refused_by_name_and_the_rest_is_used(
    sercli: Shell, corpus: Path, small: list[str]
) -> None:
    wavs = sorted(corpus.glob("Session1/sentences/wav/*/Ses*.wav"))[:5]
    wavs[0].write_bytes(b"")
    wavs[1].write_bytes(wavs[1].read_bytes()[:2000])
    wavs[2].write_bytes(b"no sound at all " * 100)
    _write_wav(wavs[3], bytes(32000))
    _write_wav(wavs[4], b"\x01\x02" * 100)
    overrides = [f"dataset.root={corpus}" if x.startswith("dataset.root") else x for x in small]
    done = sercli("extract", *overrides, "--format", "json")
    assert done.returncode == 1, done.stderr
    for wav in wavs:
        assert wav.name in done.stdout
    assert '"utterances": 55' in done.stdout
    trained = sercli("train", *overrides, "trainer.steps=2")
    assert trained.returncode == 0, trained.stderr
    assert "5 utterances of iemocap refused" in trained.stderr


def test_stereo_and_8_bit_audio_is_read_and_a_stray_line_costs_only_itself(
    sercli: Shell, corpus: Path, small: list[str]
) -> None:
    stereo, narrow = sorted(corpus.glob("Session1/sentences/wav/*/Ses*.wav"))[:2]
    for path, channels, width in ((stereo, 2, 2), (narrow, 1, 1)):
        noise = bytes((i * i * 7919 >> 8) & 0xFF for i in range(32000))
        _write_wav(path, noise, channels=channels, width=width)
    extract = ["extract", "dataset=iemocap", f"dataset.root={corpus}", small[2], *small[-2:]]
    done = sercli(*extract, "--format", "json")
    assert done.returncode == 0, done.stdout
    assert '"utterances": 60' in done.stdout

    labels = min(corpus.glob("Session1/dialog/EmoEvaluation/Ses*.txt"))
    with labels.open("a", encoding="utf-8") as file:
        file.write("[6.29 - ]\tSes01F_impro01\tneu\n")
    done = sercli(*extract, "--format", "json")
    assert done.returncode == 1
    assert labels.name in done.stdout
    assert '"utterances": 60' in done.stdout


def test_a_table_that_lacks_a_column_is_named(sercli: Shell) -> None:
    table = "utterance,audio,speaker\nu1,a.wav,s1\n"
    (sercli.folder / "mine.csv").write_text(table, encoding="utf-8")
    line = sercli.refused(
        "extract", "dataset=manifest", "dataset.root=mine.csv", "dataset.classes={A: a}"
    )
    assert "emotion" in line


def test_a_speaker_on_both_sides_is_refused(sercli: Shell, tree: Path, small: list[str]) -> None:
    wavs = sorted(tree.glob("Session?/sentences/wav/*/Ses*.wav"))[:12]
    rows = [f"u{i},{wav},s{i % 2},A,session{i % 3}" for i, wav in enumerate(wavs)]
    text = "\n".join(["utterance,audio,speaker,emotion,session", *rows])
    (sercli.folder / "mine.csv").write_text(text, encoding="utf-8")
    line = sercli.refused(
        "train",
        *small[2:],
        "dataset=manifest",
        "dataset.root=mine.csv",
        "dataset.classes={A: a}",
    )
    assert "speaker 's0' would be in training and test" in line


def test_an_output_that_cannot_be_written_is_named(sercli: Shell, small: list[str]) -> None:
    (sercli.folder / "file").write_text("in the way")
    line = sercli.refused("train", *small, "paths.runs=file/runs", status=1)
    assert "file/runs" in line
    assert "paths.runs" in line


def test_a_report_without_runs_says_how_to_start(sercli: Shell) -> None:
    assert "sercli train" in sercli.refused("report")


def test_an_interval_in_a_grid_is_explained(sercli: Shell, small: list[str]) -> None:
    line = sercli.refused("sweep", "--fold-workers", "1", *small, "arelu.alpha=interval(0,1)")
    assert "range(" in line


def _write_wav(path: Path, samples: bytes, *, channels: int = 1, width: int = 2) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(samples)
