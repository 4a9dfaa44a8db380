"""The protocol card: what a number stands for, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.corpora.manifest import Refusal
from sercli.training.card import protocol_card
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.validate import new_model


@pytest.fixture(name="card")
def _card(toy: Data, toy_config: Callable[..., Config]) -> Callable[..., dict[str, Any]]:
    """Write the card of the toy corpus, with some of its manifest's fields replaced."""

    def card(*overrides: str, **changes: Any) -> dict[str, Any]:
        config = toy_config(*overrides)
        data = replace(toy, manifest=replace(toy.manifest, **changes))
        folds = make_folds(data.manifest, config.protocol)
        return protocol_card(config, data, folds, new_model(config, data))

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
    assert "chosen on the next session (best dev UA, evaluated every 50 steps)" in paragraph
    assert "z-score per speaker" in paragraph
    assert "among the 8 preceding turns in transcript order" in paragraph
    assert "pooled over folds" in paragraph
    assert "oracle" in paragraph
    assert "Optimiser" not in paragraph  # Adam at a constant rate is assumed


def test_the_paragraph_states_an_optimiser_and_a_schedule(card: Callable[..., Any]) -> None:
    made = card("optim=sgd", "schedule=step", "schedule.warmup=20")
    assert made["optimiser"] == (
        "sgd with momentum 0.9, learning rate 0.02, times 0.1 every 300 steps "
        "after 20 steps of linear warm-up"
    )
    assert f"Optimiser: {made['optimiser']}." in made["paragraph"]
    assert "Optimiser: adamw, learning rate" in card("optim=adamw")["paragraph"]
    fine = card("optim.encoder_lr=1e-5", "trainer.accumulate=4", "schedule=linear")["paragraph"]
    assert "learning rate 0.02 (1e-05 of the encoder), linearly to 0, on the mean of 4" in fine


def test_the_paragraph_states_the_augmentation(card: Callable[..., Any]) -> None:
    made = card("augment=[copy_paste,speed]", "augment.copy_paste.scheme=se")
    assert made["augmentation"] == (
        "copy_paste (4 s of a turn and 4 s of one of its class, of any speaker, in 80% of the "
        "batches); speed (copies at 0.9 and 1.1 times the speed)"
    )
    assert f"Augmentation in training alone: {made['augmentation']}." in made["paragraph"]
    assert card()["augmentation"] is None


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
    ("override", "why"),
    [
        ("dataset.context.window=8", "the corpus has no dialogues"),
        ("dataset.context.window=0", "the window is 0"),
        ("dataset.context.choose=none", "by choice"),
    ],
)
def test_missing_context_is_stated_with_its_cause(
    toy: Data, toy_config: Callable[..., Config], override: str, why: str
) -> None:
    config = toy_config(override)
    data = replace(toy, context=toy.context.mask(toy.context.notna()))
    folds = make_folds(data.manifest, config.protocol)

    assert (
        f"Context: none: {why}"
        in protocol_card(config, data, folds, new_model(config, data))["paragraph"]
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["past_only=true"], "of any label (80 turns), that has ended when the target starts"),
        (["choose=random", "seed=5"], "two random turns of the dialogue, one of each speaker"),
        (["choose=random_any"], "two random turns of the dialogue, of whatever speaker (seed 0)"),
    ],
)
def test_the_choice_of_context_is_stated(
    toy: Data, toy_config: Callable[..., Config], overrides: list[str], words: str
) -> None:
    config = toy_config(*(f"dataset.context.{override}" for override in overrides))
    folds = make_folds(toy.manifest, config.protocol)
    assert words in protocol_card(config, toy, folds, new_model(config, toy))["context"]


def test_a_model_that_hears_no_context_says_so(card: Callable[..., Any]) -> None:
    assert card("model=bigru_att_small")["context"] == "none: the model reads the utterance alone"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["protocol.dev=speaker"], "on a random speaker of those who do not test (seed 0) (best"),
        (
            ["protocol.dev=dialogues", "protocol.dev_share=0.25"],
            "on a random 25% of the utterances that do not test, in whole dialogues (seed 0; other",
        ),
        (["protocol.refit=true"], "a new model, trained on train and dev up to that step, is"),
        (["protocol=iaan_repo"], "on THE TEST SET (best TEST UA, evaluated every 10 steps): the"),
        (["features.level=lld_delta"], "Features: iaan45, lld_delta;"),
    ],
)
def test_the_paragraph_says_what_is_configured(
    card: Callable[..., Any], overrides: list[str], words: str
) -> None:
    assert words in card(*overrides)["paragraph"]


@pytest.mark.parametrize(
    ("overrides", "recurrent"),
    [
        (["model=iaan_small"], True),
        (["model=svm_functionals", "features.level=functionals"], False),
    ],
)
def test_the_card_tells_whether_cell_and_activation_matter(
    toy: Data, overrides: list[str], recurrent: bool
) -> None:
    config = compose(overrides)
    folds = make_folds(toy.manifest, config.protocol)

    assert protocol_card(config, toy, folds, new_model(config, toy))["recurrent"] is recurrent


def test_a_result_that_was_selected_on_test_is_called_so_everywhere(
    card: Callable[..., Any],
) -> None:
    facts = card("protocol=iaan_repo")

    assert facts["selected_on"] == "test"
    assert facts["division"] == card()["division"] == "loso_session"
    assert "TEST-SELECTED" in facts["paragraph"]
    assert "TEST-SELECTED" in facts["caveats"][0]


def split(toy: Data, *sides: str) -> pd.DataFrame:
    """The table of the toy corpus, each session on a side."""
    of_session = dict(zip(["session1", "session2", "session3", "session4"], sides, strict=True))
    return toy.manifest.table.assign(split=toy.manifest.table["session"].map(of_session))


def test_a_split_is_stated_with_its_sides_and_what_is_on_none(
    toy: Data, card: Callable[..., Any]
) -> None:
    table = split(toy, "train", "dev", "test", "test2")
    facts = card("protocol=official_split", table=table)

    assert (
        "One fold by the column 'split' (train: train; dev: dev; test: test; 16 utterances in "
        "no part); the training step is chosen on the dev set" in facts["paragraph"]
    )
    assert facts["caveats"] == []


def test_speakers_on_both_sides_of_an_official_split_are_marked(
    toy: Data, card: Callable[..., Any]
) -> None:
    table = split(toy, "train", "dev", "test", "train")
    table["speaker"] = table["speaker"].replace({"s3F": "s1F"})
    facts = card("protocol=official_split", table=table)

    assert facts["caveats"] == [
        "1 speaker in two parts of the split, e.g. s1F: results are not speaker-independent"
    ]
    assert "not speaker-independent" in facts["paragraph"]


def test_a_class_that_some_training_set_lacks_and_a_dev_of_one_class_are_marked(
    toy: Data, card: Callable[..., Any]
) -> None:
    table = toy.manifest.table.copy()
    sad = table["label"] == "sadness"
    table.loc[sad & (table["session"] != "session1"), "label"] = None
    table.loc[(table["session"] == "session4") & (table["label"] != "anger"), "label"] = None

    assert card(table=table)["caveats"] == [
        "no 'sadness' in the training set of 2 folds (session1, session4): it cannot be recognised",
        "only one class in the dev set of fold session3: selection on it is unreliable",
    ]
