"""The protocol card: what a number stands for, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sercli.config.schema import Config
from sercli.corpora.manifest import Refusal
from sercli.training.card import protocol_card
from sercli.training.data import Data
from sercli.training.folds import make_folds


@pytest.fixture(name="card")
def _card(toy: Data, toy_config: Callable[..., Config]) -> Callable[..., dict[str, Any]]:
    """Write the card of the toy corpus, with some of its manifest's fields replaced."""

    def card(*overrides: str, **changes: Any) -> dict[str, Any]:
        config = toy_config(*overrides)
        data = replace(toy, manifest=replace(toy.manifest, **changes))
        return protocol_card(config, data, make_folds(data.manifest, config.protocol))

    return card


def test_the_card_counts_what_was_used_and_what_was_not(card: Callable[..., Any]) -> None:
    facts = card("seeds=[3,5]", refused=(Refusal("a.wav", "empty"),))

    assert (facts["dataset"], facts["utterances"], facts["turns"]) == ("toy", 64, 80)
    assert facts["refused"] == 1
    assert facts["folds"] == 4
    assert facts["seeds"] == [3, 5]
    assert facts["classes"] == ["anger", "happiness", "neutral", "sadness"]
    assert json.loads(json.dumps(facts)) == facts


def test_the_paragraph_states_the_protocol(card: Callable[..., Any]) -> None:
    paragraph = card("trainer.eval_every=50")["paragraph"]

    assert "4-class recognition on toy: 64 utterances (ang → anger" in paragraph
    assert "Leave-one-session-out in 4 folds" in paragraph
    assert "chosen on the next session (best dev UA, looked at every 50 steps)" in paragraph
    assert "z-score per speaker" in paragraph
    assert "among the 8 preceding turns in transcript order" in paragraph
    assert "pooled over folds" in paragraph
    assert "oracle" in paragraph


def test_synthetic_speech_is_called_so_and_real_speech_is_not(card: Callable[..., Any]) -> None:
    assert "toy, SYNTHETIC speech" in card(synthetic=True)["paragraph"]
    assert card(synthetic=True)["synthetic"] is True
    assert "SYNTHETIC" not in card()["paragraph"]


def test_leaving_speakers_out_says_so(card: Callable[..., Any]) -> None:
    facts = card("protocol=loso_speaker", "features.normalise=none")

    assert "Leave-one-speaker-out in 8 folds" in facts["paragraph"]
    assert "chosen on the next speaker" in facts["paragraph"]
    assert "normalisation: none" in facts["paragraph"]


def test_an_incomplete_corpus_is_told_from_a_complete_one(card: Callable[..., Any]) -> None:
    facts = card("dataset=iemocap")

    assert facts["expected"] == 5531
    assert "64 utterances of 5531 expected" in facts["paragraph"]


@pytest.mark.parametrize(
    ("window", "why"), [(8, "the corpus has no dialogues"), (0, "the window is 0")]
)
def test_missing_context_is_stated_with_its_cause(
    toy: Data, toy_config: Callable[..., Config], window: int, why: str
) -> None:
    config = toy_config(f"dataset.context.window={window}")
    data = replace(toy, context=toy.context.mask(toy.context.notna()))
    folds = make_folds(data.manifest, config.protocol)

    assert f"Context: none: {why}" in protocol_card(config, data, folds)["paragraph"]
