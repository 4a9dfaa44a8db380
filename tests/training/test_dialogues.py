"""Models whose steps are the turns of a dialogue."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.toy import batch_of, toy_data

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.corpora.context import turns_until
from sercli.corpora.manifest import Refusal
from sercli.errors import RequestError
from sercli.features.extract import Extraction
from sercli.inference.network import check_recordings
from sercli.search.worker.runner import data_settings
from sercli.training.card import protocol_card
from sercli.training.data import Data, read_data
from sercli.training.folds import make_folds
from sercli.training.trainer import train_fold
from sercli.training.validate import new_model, validate_run

AUDIO = ("model=leaf_bert_small", "model.streams=[]", "model.hidden=[4]", "activation=tanh")


def config_of(*overrides: str) -> Config:
    return compose([*AUDIO, "trainer.steps=1", "trainer.eval_every=1", *overrides])


@pytest.fixture(name="toy", scope="module")
def _toy() -> Data:
    return toy_data()


@pytest.fixture(name="dialogues")
def _dialogues(toy: Data, monkeypatch: pytest.MonkeyPatch) -> Data:
    """The toy corpus as a model of dialogues reads it; one turn was refused."""
    found = Extraction(
        keys={name: name for name in toy.steps if name != "s1a1"},
        refused={"s1a1": Refusal("s1a.wav", "empty")},
        facts={},
        reused=0,
        extracted=0,
        extracted_seconds=0.0,
        elapsed=0.0,
    )
    answers: dict[str, Any] = {"read_corpus": toy.manifest, "extract": found}
    answers["load_features"] = {name: toy.steps[name] for name in found.keys}
    for name, answer in answers.items():
        monkeypatch.setattr(f"sercli.training.data.{name}", lambda *_, a=answer, **__: a)
    return read_data(config_of())


def test_the_steps_of_a_turn_are_the_means_of_the_turns_until_it(
    toy: Data, dialogues: Data
) -> None:
    found = dialogues.steps["s1a4"]
    means = [toy.steps[name].mean(axis=0) for name in ("s1a0", "s1a2", "s1a3", "s1a4")]
    np.testing.assert_allclose(found, np.stack(means), rtol=1e-6)
    assert dialogues.lengths["s1a4"] == 4
    assert dialogues.features == toy.features
    batch = batch_of(["s2b0", "s1a4"], dialogues)
    assert batch.current.lengths.tolist() == [1, 4]
    np.testing.assert_array_equal(batch.current.frames[1], found)


def test_it_trains_and_its_card_states_what_it_reads(dialogues: Data) -> None:
    config = config_of()
    folds = make_folds(dialogues.manifest, config.protocol)
    assert train_fold(config, dialogues, folds[0], seed=0).diverged_at is None
    card = protocol_card(config, dialogues, folds, new_model(config, dialogues))
    assert card["context"] == (
        "all turns of the dialogue before the target in transcript order, of any label"
    )
    assert data_settings(config) != data_settings(compose(["model=bilstm_att_small"]))


def test_the_turns_before_follow_the_choice_of_context(toy: Data) -> None:
    assert turns_until(toy.manifest, config_of("dataset.context.choose=none").dataset.context)[
        "s1a4"
    ] == ["s1a4"]
    table = toy.manifest.table
    times: Any = {"start": 1.0 * table["turn"], "end": 1.5 + table["turn"]}
    timed = replace(toy.manifest, table=table.assign(**times))
    past = config_of("dataset.context.past_only=true").dataset.context
    assert turns_until(timed, past)["s1a3"] == ["s1a0", "s1a1", "s1a3"]


def test_augmentation_and_recordings_are_refused(toy: Data) -> None:
    with pytest.raises(RequestError, match="model leaf_bert_small reads the means of turns"):
        validate_run(config_of("augment=spec_augment", "features=log_mel"), toy)
    source: Any = SimpleNamespace(name="run", config=config_of())
    with pytest.raises(RequestError, match="run reads the turns of its dialogue, which a record"):
        check_recordings(source)
