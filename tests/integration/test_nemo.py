"""Real speech: the part of nEMO that lies beside the project."""

from __future__ import annotations

import pytest
from helpers.shell import InProcessShell, Shell


@pytest.fixture(scope="module")
def sercli(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in a folder whose feature store both tests share."""
    return InProcessShell(tmp_path_factory.mktemp("nemo"))


def test_nemo_is_read_to_the_last_utterance(sercli: Shell, nemo: str) -> None:
    audit = sercli.json("extract", "dataset=nemo", f"dataset.root={nemo}")
    assert audit["utterances"] == 1017
    assert audit["classes"] == {"anger": 170, "happiness": 180, "neutral": 179, "sadness": 175}
    assert len(audit["speakers"]) == 9
    assert audit["refused"] == []


def test_a_small_network_learns_real_speech(sercli: Shell, nemo: str) -> None:
    page = sercli.json(
        "train",
        "dataset=nemo",
        f"dataset.root={nemo}",
        "protocol=tao2018",
        "model.hidden=16",
        "trainer.steps=150",
        "trainer.eval_every=50",
    )
    assert page["card"]["folds"] == 1  # a speaker of each gender tests
    assert 100 < page["metrics"]["n"] < 704
    assert page["metrics"]["ua"] > 0.33
