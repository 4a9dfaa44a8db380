from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.models import MODELS, build_model
from sercli.models.batch import Batch, Turns
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS
from sercli.registry import Registry
from sercli.resources import packaged


def choices(group: str) -> list[Path]:
    return sorted((packaged("conf") / group).glob("*.yaml"))


@pytest.mark.parametrize(
    "choice",
    [
        f"{group}={path.stem}"
        for group in ("model", "cell", "activation")
        for path in choices(group)
    ],
)
def test_every_choice_builds_and_classifies(choice: str) -> None:
    config = compose([choice])
    model = build_model(config.model, config.cell, config.activation, inputs=5, classes=4)
    turns = Turns(torch.randn(2, 3, 5), torch.tensor([3, 1]))
    logits = model(Batch(turns, turns, turns))
    assert logits.shape == (2, 4)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("group", "key", "parts"),
    [
        ("activation", "name", ACTIVATIONS),
        ("cell", "name", CELLS),
        ("model", "system", MODELS),
    ],
)
def test_every_part_has_a_file_in_conf(group: str, key: str, parts: Registry[Any]) -> None:
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in choices(group)]
    assert {file[key] for file in files if key in file} == set(parts.names())


@pytest.mark.parametrize(
    ("group", "key", "parts", "given"),
    [
        ("activation", "name", ACTIVATIONS, set()),
        ("cell", "name", CELLS, {"input_size", "hidden_size", "bidirectional", "activation"}),
        ("model", "system", MODELS, {"inputs", "classes", "new_cell"}),
    ],
)
def test_a_file_in_conf_lists_every_setting_of_its_part(
    group: str, key: str, parts: Registry[Any], given: set[str]
) -> None:
    for path in choices(group):
        node = getattr(compose([f"{group}={path.stem}"]), group)
        settings = {
            name
            for name, parameter in inspect.signature(parts[node[key]]).parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }
        assert set(node) - {"name", key} == settings - given, path.name


def test_the_settings_reach_the_parts() -> None:
    config = compose(["activation=leaky_relu", "activation.slope=1", "model.hidden=7"])
    model = build_model(config.model, config.cell, config.activation, inputs=5, classes=4)
    assert model.get_parameter("current.weight_hh_l0").shape == (21, 7)
    slope = model.get_submodule("current.activation").slope
    assert slope == 1.0


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"model": {"system": "iann"}}, "unknown model 'iann'. Did you mean 'iaan'?"),
        ({"cell": {"name": "gruu"}}, "unknown cell 'gruu'. Did you mean 'gru'?"),
        ({"activation": {"name": "than"}}, "unknown activation 'than'. Did you mean 'tanh'?"),
        (
            {"activation": {"name": "leaky_relu", "slop": 0.1}},
            "unknown setting 'activation.slop'. Did you mean 'slope'?",
        ),
        ({"activation": {"name": "tanh", "args": 1}}, "unknown setting 'activation.args'."),
        ({"cell": {"name": "gru", "input_size": 3}}, "unknown setting 'cell.input_size'."),
        ({"model": {"system": "iaan", "hidden": 3.5}}, "model.hidden=3.5: expected int, not float"),
    ],
)
def test_what_cannot_be_built_is_refused(node: dict[str, dict[str, Any]], message: str) -> None:
    nodes: dict[str, dict[str, Any]] = {
        "model": {"system": "iaan", "hidden": 2, "context_hidden": 2},
        "cell": {"name": "gru"},
        "activation": {"name": "tanh"},
    }
    with pytest.raises(RequestError) as error:
        build_model(**nodes | node, inputs=5, classes=4)
    assert str(error.value) == message
