from __future__ import annotations

import pytest
import torch
from helpers.reference_models import (
    Cell,
    a_lstm,
    both_directions,
    linear,
    lstm,
    random_batch,
    run_with_criterion,
    sequences,
    softmax_sum,
    tiny,
    weights_of,
)

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.models import build_model
from sercli.models.interface import CorpusInfo

TINY = ("model=a_lstm", "activation=tanh", "model.dense_units=5", "model.hidden=3")


@pytest.mark.parametrize(("cell", "run"), [("a_lstm", a_lstm), ("lstm", lstm)])
def test_all_logits_are_those_of_the_equations_computed_step_by_step(cell: str, run: Cell) -> None:
    model, batch = tiny(*TINY, f"cell={cell}"), random_batch(padding=2)
    w = weights_of(model)
    found, criterion = run_with_criterion(model, batch)
    classifiers = {f"tasks.heads.{column}": logits for column, logits in criterion.calls}
    for i, frames in enumerate(sequences(batch.current)):
        hidden = torch.stack([linear(w, "dense.0", x).clamp(min=0) for x in frames])
        states = both_directions(run, w, "recurrent", hidden)
        pooled = softmax_sum([w["pool.score.weight"][0] @ y for y in states], states)
        for name, logits in {"head": found.logits, **classifiers}.items():
            torch.testing.assert_close(logits[i], linear(w, name, pooled), atol=1e-9, rtol=1e-9)


def test_the_tasks_are_those_of_the_paper_with_its_weights() -> None:
    output, criterion = run_with_criterion(tiny(*TINY), random_batch())
    assert [logits.shape for _, logits in criterion.calls] == [(3, 5), (3, 2)]
    for (column, logits), weight in zip(criterion.calls, (0.3, 0.6), strict=True):
        torch.testing.assert_close(output.losses[column], weight * logits.square().sum())
    assert list(output.losses) == ["speaker", "gender"]


def test_in_evaluation_there_are_no_losses() -> None:
    assert not tiny(*TINY)(random_batch()).losses


def test_a_task_without_weight_is_not_learned() -> None:
    model = tiny(*TINY, "model.speaker_weight=0")
    assert list(run_with_criterion(model, random_batch())[0].losses) == ["gender"]
    assert not [name for name in weights_of(model) if "speaker" in name]


def test_the_model_of_the_paper_has_its_sizes() -> None:
    shapes = {
        name: tuple(value.shape)
        for name, value in weights_of(tiny("model=a_lstm", "cell=a_lstm", inputs=36)).items()
    }
    assert shapes["dense.0.weight"] == (256, 36)
    assert shapes["recurrent.weight_hh_l0_reverse"] == (4 * 128, 128)
    assert shapes["head.weight"] == (4, 256)


def test_what_the_corpus_does_not_state_cannot_be_learned() -> None:
    config = compose(["model=a_lstm"])
    corpus = CorpusInfo("silent", "a_lstm", lambda column: ["x"] if column == "speaker" else [])
    with pytest.raises(RequestError) as error:
        build_model(
            config.model, config.cell, config.activation, inputs=3, classes=4, corpus=corpus
        )
    assert str(error.value) == (
        "model a_lstm has 'gender' as an auxiliary task, and the corpus silent does not state it; "
        "set model.gender_weight=0"
    )


@pytest.mark.parametrize("column", ["speaker", "gender"])
def test_negative_weights_are_refused(column: str) -> None:
    with pytest.raises(RequestError, match=f"model.{column}_weight=-1: must be 0 or more"):
        tiny(*TINY, f"model.{column}_weight=-1")
