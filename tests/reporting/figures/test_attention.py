"""What a model listens to in one utterance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.run_factory import drawn_texts
from helpers.toy import batch_of
from matplotlib.patches import StepPatch

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.errors import RequestError, SercliError
from sercli.nn.attention import DotAttention, InteractionAttention, SelfAttention, TimeAttention
from sercli.nn.pooling import valid_steps
from sercli.reporting.figures.attention import attention_figure
from sercli.results.run_record import Record
from sercli.training.attention_weights import attention_for, recorded_weights
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.run import train_run
from sercli.training.validate import new_model, validate_run

TESTED = "s1a5"
"""An utterance with a turn before of each speaker."""


@pytest.fixture(name="config", scope="module")
def _config(toy_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Config:
    runs = tmp_path_factory.mktemp("runs")
    return toy_config("trainer.steps=2", "trainer.eval_every=1", f"paths.runs={runs}")


@pytest.fixture(name="run", scope="module")
def _run(config: Config, toy: Data) -> Record:
    with FoldPool(toy) as pool:
        return train_run(validate_run(config, toy), pool)[0]


def test_every_attention_over_time_pools_by_the_weights_that_it_tells() -> None:
    states, lengths = torch.randn(3, 7, 4), torch.tensor([7, 2, 5])
    valid, other = valid_steps(lengths, 7), torch.randn(3, 4)
    for attention, more in (
        (SelfAttention(4, 3), []),
        (DotAttention(4), []),
        (TimeAttention(4), [other]),
        (InteractionAttention(4, 4, 4, 3), [other, other]),
    ):
        weights = attention.weights(states, valid, *more)
        assert torch.allclose(weights.sum(dim=1), torch.ones(3))
        assert not weights[~valid].any()
        pooled = (weights.unsqueeze(-1) * states).sum(dim=1)
        assert torch.allclose(pooled, attention(states, valid, *more), atol=1e-6)


def test_the_model_that_was_tested_on_the_utterance_listens_to_it_again(
    run: Record, config: Config, toy: Data
) -> None:
    attention = attention_for(run, config, toy, TESTED)
    predictions = run.predictions()
    (row,) = predictions[
        (predictions["utterance"] == TESTED)
        & (predictions["part"] == "test")
        & (predictions["selection"] == "dev")
    ].to_dict("records")
    assert attention.fold == row["fold"]
    probabilities = [f"p_{name}" for name in toy.manifest.classes]
    for name in probabilities:
        assert attention.predicted[name] == pytest.approx(row[name], abs=1e-6)
    turns = {"current": TESTED, **toy.context.loc[TESTED].to_dict()}
    assert set(attention.weights) == set(turns)
    for turn, weights in attention.weights.items():
        assert len(weights) == toy.lengths[turns[turn]]
        assert weights.sum() == pytest.approx(1, abs=1e-5)


def test_a_context_turn_that_does_not_exist_has_no_weights(
    run: Record, config: Config, toy: Data
) -> None:
    first = toy.context.index[toy.context["own"].isna()][0]
    assert "own" not in attention_for(run, config, toy, str(first)).weights


def test_a_model_is_watched_only_within_the_block(config: Config, toy: Data) -> None:
    model = new_model(config, toy).eval()
    batch = batch_of([TESTED], toy)
    with recorded_weights(model) as weights:
        assert weights == {}
        model(batch)
    before = {turn: each.copy() for turn, each in weights.items()}
    model(batch_of(["s2a5"], toy))
    assert before.keys() == weights.keys()
    assert all(np.array_equal(before[turn], weights[turn]) for turn in before)


def test_the_figure_draws_the_weights_over_seconds(run: Record, config: Config, toy: Data) -> None:
    drawn = attention_figure(run, config, toy, TESTED)
    attention = attention_for(run, config, toy, TESTED)
    assert drawn.name == f"attention-{TESTED}"
    attended = [axes for axes in drawn.figure.axes if axes.get_ylabel() == "attention (%)"]
    for axes, turn in zip(attended, ("current", "own", "interlocutor"), strict=True):
        stairs = [each for each in axes.patches if isinstance(each, StepPatch)]
        values, edges, _ = stairs[0].get_data()
        assert values == pytest.approx(100 * attention.weights[turn])
        assert edges[-1] == pytest.approx(0.05 * len(attention.weights[turn]))
    label, guess = attention.predicted["label"], attention.predicted["predicted"]
    assert any(
        text.startswith(f"{TESTED}: {label}, predicted as {guess}")
        for text in drawn_texts(drawn.figure)
    )
    assert "SYNTHETIC SPEECH" not in drawn_texts(drawn.figure)


def test_synthetic_speech_is_called_so(run: Record, config: Config, toy: Data) -> None:
    synthetic = replace(toy, manifest=replace(toy.manifest, synthetic=True))
    assert "SYNTHETIC SPEECH" in drawn_texts(
        attention_figure(run, config, synthetic, TESTED).figure
    )


def test_an_utterance_that_no_fold_tests_is_refused_with_the_nearest(
    run: Record, config: Config, toy: Data
) -> None:
    with pytest.raises(RequestError, match=r"tests no utterance 's1a55'\. Did you mean 's1a5'\?"):
        attention_figure(run, config, toy, "s1a55")


def test_other_data_are_refused(run: Record, config: Config, toy: Data) -> None:
    with pytest.raises(RequestError, match="was trained on other data"):
        attention_for(run, config, replace(toy, fingerprint="changed"), TESTED)


def test_a_model_without_attention_is_refused(run: Record, toy: Data) -> None:
    last = compose(["model=bilstm_att_small", "model.pooling=last"])
    with pytest.raises(RequestError, match="no attention over time"):
        attention_for(run, last, toy, TESTED)


def test_weights_of_another_model_are_no_traceback(
    run: Record, toy_config: Callable[..., Config], toy: Data
) -> None:
    with pytest.raises(SercliError, match="does not fit its model"):
        attention_for(run, toy_config("model.hidden=5"), toy, TESTED)
