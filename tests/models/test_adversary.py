from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.reference_models import random_batch, run_with_criterion, tiny
from helpers.toy import toy_config, toy_data
from torch import nn

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.models import build_model
from sercli.models.adversary import attach_adversary, find_classifier
from sercli.training.folds import make_folds
from sercli.training.trainer import train_fold
from sercli.training.validate import new_model

TINY = ("model=bilstm_att", "model.dense_units=4", "model.hidden=3", "model.dropout=0")


def adversarial(weight: float, *overrides: str) -> nn.Module:
    torch.manual_seed(0)
    model = tiny(*TINY, *overrides)
    torch.manual_seed(1)
    attach_adversary(model, "head", "speaker", values=3, weight=weight, hidden=5)
    return model.double()


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    output, criterion = run_with_criterion(model, random_batch())
    assert [column for column, _ in criterion.calls] == ["speaker"]
    output.losses["adversary_speaker"].backward()  # type: ignore[no-untyped-call]
    return {name: x.grad for name, x in model.named_parameters() if x.grad is not None}


def test_the_adversary_learns_and_the_model_receives_its_gradient_reversed() -> None:
    none, one, two = (gradients(adversarial(weight)) for weight in (0.0, 1.0, 2.0))
    assert one.keys() == two.keys()
    assert not any(name.startswith("head") for name in one)  # the classifier is beside it
    for name, slope in one.items():
        same = name.startswith("adversary")
        torch.testing.assert_close(two[name], slope if same else 2 * slope)
        torch.testing.assert_close(none[name], slope if same else 0 * slope)
    plain = adversarial(1.0)
    layer = plain.get_submodule("head")
    found: list[torch.Tensor] = []
    layer.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    _, criterion = run_with_criterion(plain, random_batch())
    torch.testing.assert_close(criterion.calls[0][1], plain.get_submodule("adversary")(found[0]))


def test_evaluation_is_as_without_it() -> None:
    torch.manual_seed(0)
    alone = tiny(*TINY).double()
    batch = random_batch()
    torch.testing.assert_close(adversarial(1.0)(batch), alone(batch))


@pytest.mark.parametrize("name", ["iaan_small", "mdnn_small", "hnsd_small", "mscnn_spu_small"])
def test_the_classifier_is_the_last_layer_whose_outputs_are_the_classes(name: str) -> None:
    groups = ["model.groups=[[0-1],[2-5]]"] if "mdnn" in name else []
    config = compose([f"model={name}", *groups])

    def build(classes: int) -> nn.Module:
        nodes = (config.model, config.cell, config.activation)
        return build_model(*nodes, inputs=6, classes=classes)

    model: Any = build(4)
    found = find_classifier(model, build, 4)
    assert model.get_submodule(found).out_features == 4


def test_a_fold_trains_against_the_speaker_and_records_its_loss() -> None:
    data = toy_data(sessions=3)
    config = toy_config("adversary.column=speaker", "trainer.steps=4", "trainer.eval_every=2")
    result = train_fold(config, data, make_folds(data.manifest, config.protocol)[0], seed=0)
    assert result.history["loss/adversary_speaker"].iloc[1:].gt(0).all()
    assert result.weights["adversary.2.weight"].shape == (6, 64)
    plain = train_fold(
        toy_config("trainer.steps=2", "trainer.eval_every=2"),
        data,
        make_folds(data.manifest, config.protocol)[0],
        seed=0,
    )
    first = [x.history["test_ua"].iloc[0] for x in (result, plain)]
    assert np.isclose(*first)  # the same initial weights


def test_a_column_without_two_values_is_refused() -> None:
    data = toy_data(sessions=3)
    with pytest.raises(RequestError, match=r"has 0 values of it.*dataset=several"):
        new_model(toy_config("adversary.column=corpus"), data)
