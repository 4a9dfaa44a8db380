"""The loss of a fold: class weights, other tasks, penalties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from sercli.config.compose import compose
from sercli.config.schema import Config, TrainerConfig
from sercli.errors import RequestError
from sercli.models.interface import Output
from sercli.results.folds import Fold
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.loss import TrainingLoss

CPU = torch.device("cpu")
PLAIN = TrainerConfig(label_smoothing=0.0)


def with_column(data: Data, column: str, value: Callable[[str], str | None]) -> Data:
    """Fill a column of the manifest by what ``value`` makes of a speaker."""
    table = data.manifest.table
    filled = pd.Series([value(speaker) for speaker in table["speaker"]], dtype="str")
    return replace(data, manifest=replace(data.manifest, table=table.assign(**{column: filled})))


@pytest.fixture(name="fold", scope="module")
def _fold(toy: Data, toy_config: Callable[..., Config]) -> Fold:
    return make_folds(toy.manifest, toy_config().protocol)[0]


def logits_for(names: tuple[str, ...], outputs: int) -> torch.Tensor:
    return torch.randn(len(names), outputs, generator=torch.Generator().manual_seed(0))


def total(
    data: Data, loss: TrainingLoss, output: Output, names: Sequence[str]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    return loss.total(output, loss.criterion(data.packed.rows(names)))


def class_positions(data: Data, names: tuple[str, ...]) -> torch.Tensor:
    return torch.tensor([data.manifest.classes.index(data.labels[name]) for name in names])


def test_logits_alone_are_judged_by_the_classes(toy: Data, fold: Fold) -> None:
    names = fold.train[:7]
    logits = logits_for(names, 4)
    loss, parts = total(toy, TrainingLoss(PLAIN, toy, fold.train, CPU), Output(logits), names)
    assert list(parts) == ["classes"]
    torch.testing.assert_close(loss, F.cross_entropy(logits, class_positions(toy, names)))


def test_local_classifiers_are_judged_as_the_main_one(toy: Data, fold: Fold) -> None:
    trainer = TrainerConfig(label_smoothing=0.2, class_weights="balanced", focal_gamma=2.0)
    names = fold.train[:7]
    main, local = logits_for(names, 4), -logits_for(names, 4)
    loss = TrainingLoss(trainer, toy, fold.train, CPU)
    criterion = loss.criterion(toy.packed.rows(names))
    pairs = (("main", main), ("local", local))
    alone = {name: total(toy, loss, Output(x), names)[0] for name, x in pairs}
    torch.testing.assert_close(criterion("label", local), alone["local"])
    losses = {"local": 0.25 * criterion("label", local), "l2": torch.tensor(3.0)}
    found, parts = total(toy, loss, Output(main, losses), names)
    assert list(parts) == ["classes", "local", "l2"]
    expected = alone["main"] + 0.25 * alone["local"] + 3
    torch.testing.assert_close(found, expected)


def test_balanced_weights_come_from_the_training_set_of_the_fold(toy: Data, fold: Fold) -> None:
    train = tuple(name for name in fold.train if toy.labels[name] != "sadness")
    train += tuple(name for name in fold.train if toy.labels[name] == "sadness")[:2]
    names = (train[0], train[-1])
    counts = [sum(toy.labels[name] == label for name in train) for label in toy.manifest.classes]
    weights = torch.tensor([len(train) / (4 * n) for n in counts])
    logits = logits_for(names, 4)
    trainer = replace(PLAIN, class_weights="balanced")
    found, _ = total(toy, TrainingLoss(trainer, toy, train, CPU), Output(logits), names)
    expected = F.cross_entropy(logits, class_positions(toy, names), weights)
    torch.testing.assert_close(found, expected)


def test_only_speakers_of_the_training_set_are_told_apart(toy: Data, fold: Fold) -> None:
    speakers = toy.values("speaker")
    own = dict(zip(toy.manifest.table["utterance"], toy.manifest.table["speaker"], strict=True))
    here = sorted({own[name] for name in fold.train})
    assert len(here) < len(speakers)
    names = fold.train[3:9]
    logits = logits_for(names, len(speakers))
    loss = TrainingLoss(PLAIN, toy, fold.train, CPU)
    found = loss.criterion(toy.packed.rows(names))("speaker", logits)
    kept = logits[:, [speakers.index(speaker) for speaker in here]]
    expected = F.cross_entropy(kept, torch.tensor([here.index(own[name]) for name in names]))
    torch.testing.assert_close(found, expected)


def test_utterances_that_do_not_state_a_column_do_not_count_in_it(toy: Data, fold: Fold) -> None:
    said = {"F": "female", "M": "male"}
    data = with_column(toy, "gender", lambda who: None if "4" in who else said[who[-1]])
    fold = replace(fold, train=tuple(data.labels))
    names = ("s1a0", "s4a0", "s4a1", "s1a1")
    logits = logits_for(names, 2)
    loss = TrainingLoss(PLAIN, data, fold.train, CPU)

    def of_gender(rows: list[int]) -> torch.Tensor:
        asked = data.packed.rows([names[i] for i in rows])
        return loss.criterion(asked)("gender", logits[rows])

    expected = F.cross_entropy(logits[[0, 3]], torch.tensor([0, 1]))
    torch.testing.assert_close(of_gender([0, 1, 2, 3]), expected)
    assert of_gender([1, 2]) == 0


@pytest.mark.parametrize(
    "settings", [{"class_weights": "balanced"}, {"focal_gamma": 2.0}, {"label_smoothing": 0.5}]
)
def test_every_setting_of_the_loss_has_an_effect(
    toy: Data, fold: Fold, settings: dict[str, Any]
) -> None:
    names = fold.train[:5]
    train = fold.train[:19]  # not balanced
    logits = logits_for(names, 4)
    plain, changed = (
        total(toy, TrainingLoss(trainer, toy, train, CPU), Output(logits), names)[0]
        for trainer in (PLAIN, replace(PLAIN, **settings))
    )
    assert changed != plain


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.class_weights=balance", "trainer.class_weights=balance is not known. Did you"),
        ("trainer.focal_gamma=-1", "trainer.focal_gamma=-1.0: must be 0 or more"),
        ("trainer.focal_gamma=nan", "trainer.focal_gamma=nan: must be 0 or more"),
    ],
)
def test_settings_of_the_loss_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        compose([override])
