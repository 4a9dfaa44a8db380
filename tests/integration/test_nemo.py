"""Real speech: the part of nEMO that lies beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import audited
from helpers.shell import InProcessShell, Shell

SPEAKERS = ("EB0", "IC0", "KS0", "TP0")
"""Two women and two men; extraction of all nine speakers takes half a minute."""


@pytest.fixture(scope="module")
def sercli(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in a folder with the sentences of four speakers."""
    return InProcessShell(tmp_path_factory.mktemp("nemo"))


def of_few_speakers(nemo: str, folder: Path) -> Path:
    """Write a table of two emotions of four speakers beside the audio."""
    header, *lines = (Path(nemo) / "data.tsv").read_text(encoding="utf-8").splitlines()
    chosen = [
        line
        for line in lines
        if line.startswith(SPEAKERS) and line.split("\t")[1] in ("anger", "sadness")
    ]
    folder.mkdir()
    (folder / "data.tsv").write_text("\n".join([header, *chosen]), encoding="utf-8")
    (folder / "samples").symlink_to(Path(nemo) / "samples")
    return folder


def test_nemo_is_read_to_the_last_utterance(nemo: str) -> None:
    audit = audited("nemo", Path(nemo))
    assert audit.utterances == 1017
    assert audit.classes == {"anger": 170, "happiness": 180, "neutral": 179, "sadness": 175}
    assert len(audit.speakers) == 9
    assert audit.refused == ()


@pytest.mark.exhaustive
def test_all_of_nemo_is_extracted(sercli: Shell, nemo: str) -> None:
    audit = sercli.json("extract", "dataset=nemo", f"dataset.root={nemo}")
    assert (audit["utterances"], audit["refused"]) == (1017, [])


def test_a_small_network_learns_real_speech(sercli: Shell, nemo: str) -> None:
    root = of_few_speakers(nemo, sercli.folder / "few")
    page = sercli.json(
        "train",
        "dataset=nemo",
        f"dataset.root={root}",
        "~dataset.classes.happiness",
        "~dataset.classes.neutral",
        "protocol=tao2018",
        "model.hidden=16",
        "trainer.steps=150",
        "trainer.eval_every=50",
    )
    assert page["card"]["folds"] == 1  # a speaker of each gender tests
    assert 50 < page["metrics"]["n"] < 160
    assert page["metrics"]["ua"] > 0.6
