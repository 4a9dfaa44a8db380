"""Fold runs trained together: each gives what it gives alone, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.nn import GRU
from sercli.nn.together import DifferentError, Randomness, together
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.training import together as module
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.together import alike, train_together
from sercli.training.trainer import train_fold

SHORT = ("trainer.steps=4", "trainer.eval_every=2", "model.dropout=0.3", "activation=arelu")
IAAN = ("hidden=4", "context_hidden=4", "attention=4", "head=16")
MODELS = {
    "iaan_small": IAAN,
    "bigru_att_small": ("hidden=4", "attention=4", "head=16"),
    "bigru_iaa_small": IAAN,
    "iaan_repo_small": IAAN,
    "bilstm_att_small": ("dense_units=16", "hidden=8"),
    "a_lstm_small": ("dense_units=16", "hidden=8", "gender_weight=0"),
    "lstm_tf_at_small": ("hidden=8",),
    "maec_small": (
        "channels=8",
        "hidden=8",
        "attention=4",
        "bottleneck=4",
        "code=8",
        "gender_weight=0",
    ),
    "mdnn_small": ("local_units=8", "global_units=16", "groups=[[0-1],[2-4]]"),
}
QUICK = ["iaan_small", "maec_small"]
SLOW = [name for name in MODELS if name not in QUICK]
ALONE = ("iaan_repo_small", "mdnn_small")
"""Models whose code looks at the parameters of its layers, or whose sums over time depend on the
place of a row in memory."""
MANY = pytest.mark.exhaustive
LR = ("optim.lr=0.01", "optim.lr=0.03")

VARIED = (
    ("optim.lr=0.02", "arelu.alpha=0.1"),
    ("optim.lr=0.01", "model.dropout=0.5", "arelu.beta=0.5", "trainer.label_smoothing=0.2"),
    ("optim.weight_decay=0.01", "trainer.class_weights=balanced", "optim.clip_norm=0.5"),
)


def of_model(name: str, *settings: str) -> Config:
    own = [f"model.{each}" for each in MODELS[name]]
    rest = ("optim.lr=0.02", "trainer.batch_size=16", "trainer.patience=null")
    return compose([f"model={name}", *own, *rest, *SHORT, *settings])


def trained(configs: Sequence[Config], data: Data) -> list[FoldResult]:
    """Train fold 0 with seed 0 of several configurations together."""
    results: dict[int, FoldResult] = {}
    train_together(configs, data, fold_of(configs[0], data), 0, results.__setitem__)
    return [results[i] for i in range(len(configs))]


def alone(config: Config, data: Data) -> FoldResult:
    return train_fold(config, data, fold_of(config, data), 0)


def fold_of(config: Config, data: Data) -> Fold:
    return make_folds(data.manifest, config.protocol)[0]


def assert_equal(one: FoldResult, other: FoldResult) -> None:
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        elif field.name == "weights":
            assert all(np.array_equal(a[name], b[name]) for name in {**a, **b})
        elif field.name != "seconds":
            assert a == b


@pytest.fixture(name="steps")
def _steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of models in each joint pass."""
    seen: list[int] = []

    def counted(models: Sequence[nn.Module], *rest: Any) -> nn.Module:
        joint = together(models, *rest)
        joint.register_forward_hook(lambda *given: seen.append(len(models)))
        return joint

    monkeypatch.setattr(module, "together", counted)
    return seen


@pytest.mark.parametrize("name", QUICK + [pytest.param(each, marks=MANY) for each in SLOW])
def test_models_trained_together_have_the_results_of_each_alone_to_the_bit(
    name: str, toy: Data, steps: list[int]
) -> None:
    configs = [of_model(name, *settings) for settings in VARIED]
    for config, result in zip(configs, trained(configs, toy), strict=True):
        assert_equal(result, alone(config, toy))
    assert (3 in steps) == (name not in ALONE)


def test_one_that_ends_leaves_and_does_the_others_no_harm(toy: Data, steps: list[int]) -> None:
    """One diverges, one has no patience, one is refitted to the end."""
    endings = (
        ("optim.lr=1e18", "optim.clip_norm=null"),
        ("trainer.patience=1", "optim.lr=1e-9"),
        ("optim.lr=0.02",),
    )
    configs = [
        of_model("bigru_att_small", "trainer.steps=12", "protocol.refit=true", *settings)
        for settings in endings
    ]
    results = trained(configs, toy)
    for config, result in zip(configs, results, strict=True):
        assert_equal(result, alone(config, toy))
    diverged, early, _ = results
    assert diverged.diverged_at is not None
    assert early.history["step"].max() < 12
    assert {2, 3} <= set(steps)


def test_noisy_activations_train_alone_without_a_word(
    toy: Data, steps: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    configs = [of_model("bigru_att_small", "activation=rrelu", each) for each in LR]
    for config, result in zip(configs, trained(configs, toy), strict=True):
        assert_equal(result, alone(config, toy))
    assert not any(count > 2 for count in steps)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("settings", [("cell.layers=2", "cell.dropout=0.5"), ("cell=li_gru",)])
def test_dropout_between_levels_and_batch_statistics_are_those_of_each_model(
    settings: tuple[str, ...], toy: Data, steps: list[int]
) -> None:
    configs = [of_model("bigru_att_small", *settings, each) for each in LR]
    for config, result in zip(configs, trained(configs, toy), strict=True):
        assert_equal(result, alone(config, toy))
    assert 2 in steps


def test_what_shares_no_batches_is_not_alike() -> None:
    config = of_model("iaan_small")
    assert alike(of_model("iaan_small", "optim.lr=0.5", "arelu.alpha=0.3")) == alike(config)
    for other in ("trainer.batch_size=8", "trainer.steps=9", "activation=tanh", "cell=lstm"):
        assert alike(of_model("iaan_small", other)) != alike(config)
    assert alike(of_model("iaan_small", "trainer.together=1")) is None


def test_models_that_differ_in_more_than_numbers_are_refused() -> None:
    sources = [Randomness(0), Randomness(0)]
    pairs = (
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh())),
        (nn.Sequential(nn.Softplus(beta=1)), nn.Sequential(nn.Softplus(beta=2))),
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU())),
        (GRU(3, 4), GRU(3, 5)),
    )
    for pair in pairs:
        with pytest.raises(DifferentError):
            together(pair, sources)
