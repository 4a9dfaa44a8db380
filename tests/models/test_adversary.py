from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.reference_models import STREAMS, random_batch, run_with_criterion, tiny
from helpers.toy import toy_config, toy_data
from torch import nn

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.models import build_model
from sercli.models.adversary import attach_adversary, find_classifier
from sercli.models.interface import Turns
from sercli.nn.convolution import Maps
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


@pytest.mark.parametrize(
    ("name", "classifier"),
    [
        ("iaan_small", "head.4"),
        ("mdnn_small", "global_head.1"),
        ("attention_pooling_cnn_small", "top_down"),
        ("superb_linear", "head"),
    ],
)
def test_the_classifier_is_the_last_layer_whose_outputs_are_the_classes(
    name: str, classifier: str
) -> None:
    groups = ["model.groups=[[0-1],[2-5]]"] if "mdnn" in name else []
    config = compose([f"model={name}", *groups])

    def build(classes: int) -> nn.Module:
        nodes = (config.model, config.cell, config.activation)
        return build_model(*nodes, inputs=6, classes=classes)

    assert find_classifier(build(4), build, 4) == classifier


def test_of_maps_and_of_segments_the_adversary_reads_the_mean() -> None:
    """The mean over the real positions of each turn, and over the segments of each turn."""
    cases = {
        "top_down": ("model=attention_pooling_cnn_small",),
        "head.2": ("model=ca_mser_small", "model.streams=[text,vector]", "model.segments=[2,1,1]"),
    }
    for classifier, overrides in cases.items():
        model = tiny(*overrides)
        found: list[Any] = []
        vector = Turns(torch.randn(3, 4, STREAMS["vector"]).double(), torch.tensor([4, 2, 1]))
        whole = random_batch(padding=1)
        batch = replace(whole, streams={**whole.streams, "vector": vector})
        layer = model.get_submodule(classifier)
        layer.register_forward_pre_hook(lambda _, given, to=found: to.append(given[0]))
        attach_adversary(model, classifier, "speaker", values=3, weight=1.0, hidden=5)
        _, criterion = run_with_criterion(model.double(), batch)
        (read,) = found
        if isinstance(read, Maps):
            each = [x[:, :n].mean((1, 2)) for x, n in zip(read.values, read.lengths, strict=True)]
        else:  # the shortest stream has 3, 1 and 1 segments
            each = [read[:3].mean(0), read[3], read[4]]
        expected = model.get_submodule("adversary")(torch.stack(each))
        torch.testing.assert_close(criterion.calls[0][1], expected)


def test_the_loss_joins_that_of_an_adversary_of_the_model() -> None:
    model, batch = tiny("model=daae_small", "model.steps=2"), random_batch()
    own = run_with_criterion(model, batch)[0].losses["adversary_speaker"]
    attach_adversary(model, "head", "speaker", values=3, weight=1.0, hidden=5)
    output, criterion = run_with_criterion(model.double(), batch)
    added = criterion.calls[-1][1].square().sum()
    torch.testing.assert_close(output.losses["adversary_speaker"], own + added)


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
