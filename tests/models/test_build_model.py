from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.features.sets import column_names
from sercli.models import MODELS, build_model
from sercli.models.interface import Batch, CorpusInfo, Turns, as_output
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS
from sercli.nn.cells.gru import BEFORE, GRU
from sercli.registry import Registry
from sercli.resources import packaged


def choices(group: str) -> list[Path]:
    return sorted((packaged("conf") / group).glob("*.yaml"))


GROUPS = {group: choices(group) for group in ("activation", "cell", "model")}

TOGETHER = [
    [f"{group}={files[i % len(files)].stem}" for group, files in GROUPS.items()]
    for i in range(max(map(len, GROUPS.values())))
]
"""Every activation, cell and model, each group in rotation."""


def test_every_cell_and_every_model_is_built_with_an_activation() -> None:
    chosen = {choice for together in TOGETHER for choice in together}
    assert len(chosen) == sum(map(len, GROUPS.values()))


LARGE = ("ca_mser", "cnn14", "key_sparse")
"""Models of 24 to 85 million parameters: by day only their small ones classify."""


@cache
def recurrent_model() -> dict[str, Any]:
    return compose([]).model


@pytest.mark.parametrize("together", TOGETHER, ids=" ".join)
def test_every_choice_builds_and_classifies(together: list[str]) -> None:
    config = compose(together)
    if config.model["name"] == "wav2vec2_tuned":
        pytest.skip("it is built from a checkpoint, in test_wav2vec2_tuned.py")
    assert_classifies(replace(config, model=recurrent_model()))
    if config.model["name"] in LARGE:
        with torch.device("meta"):
            built(config)
    else:
        assert_classifies(config)


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", LARGE)
def test_a_large_model_classifies(model: str) -> None:
    assert_classifies(compose([f"model={model}"]))


def built(config: Config) -> nn.Module:
    corpus = CorpusInfo(
        values=lambda column: ["one", "two"],
        columns=lambda: column_names(config.features),
        streams=dict.fromkeys(streams_of(config), 45),
    )
    return build_model(
        config.model, config.cell, config.activation, inputs=45, classes=4, corpus=corpus
    )


def streams_of(config: Config) -> set[str]:
    return set(config.model.get("streams", ())) - {"audio"}


def assert_classifies(config: Config) -> None:
    layers = config.model.get("layers")  # a number: rows of an encoder's layers
    steps = layers if isinstance(layers, int) else 3
    turns = Turns(torch.randn(2, steps, 45), torch.tensor([steps, 1]))
    batch = Batch(turns, turns, turns, streams=dict.fromkeys(streams_of(config), turns))
    logits = as_output(built(config)(batch)).logits
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
    nodes = [file.get(group, file) for file in files]  # of a file that sets other groups too
    assert {node[key] for node in nodes if key in node} == set(parts.names())


@pytest.mark.parametrize(
    ("group", "key", "parts", "given", "common"),
    [
        ("activation", "name", ACTIVATIONS, {"units"}, {"share", "per_unit"}),
        ("cell", "name", CELLS, set(), {"layers", "dropout"}),
        ("model", "system", MODELS, {"inputs", "classes", "new_cell", "corpus"}, set()),
    ],
)
def test_a_file_in_conf_lists_every_setting_of_its_part(
    group: str, key: str, parts: Registry[Any], given: set[str], common: set[str]
) -> None:
    for together in TOGETHER:
        node = getattr(compose(together), group)
        settings = {
            name
            for name, parameter in inspect.signature(parts[node[key]]).parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }
        shared = set() if group == "activation" and "units" not in settings else common
        assert set(node) - {"name", key} == (settings - given) | shared, together


def test_the_settings_reach_the_parts() -> None:
    config = compose(["activation=leaky_relu", "activation.slope=1", "model.hidden=7"])
    model = build_model(config.model, config.cell, config.activation, inputs=5, classes=4)
    assert model.get_parameter("current.weight_hh_l0").shape == (21, 7)
    slope = model.get_submodule("current.activations.l0").slope
    assert slope == 1.0


def alphas(*overrides: str) -> list[str]:
    config = compose(["activation=arelu", *overrides])
    model = build_model(config.model, config.cell, config.activation, inputs=5, classes=4)
    return [name for name, _ in model.named_parameters() if name.endswith("alpha")]


@pytest.mark.parametrize("of", ["direction", "layer", "model"])
def test_what_an_activation_learns_is_shared_as_asked(of: str) -> None:
    own, other = ("own.cell.activations.l0.alpha", "interlocutor.cell.activations.l0.alpha")
    current = "current.activations.l0.alpha"
    expected = {
        "direction": [current, "current.activations.l0_reverse.alpha", own, other],
        "layer": [current, own, other],
        "model": [current],
    }
    assert alphas(f"arelu.share={of}") == expected[of]


def test_each_unit_can_learn_its_own() -> None:
    config = compose(["activation=arelu", "arelu.per_unit=true", "model.context_hidden=16"])
    model = build_model(config.model, config.cell, config.activation, inputs=5, classes=4)
    assert model.get_parameter("current.activations.l0.alpha").shape == (32,)
    assert model.get_parameter("own.cell.activations.l0.alpha").shape == (16,)
    turns = Turns(torch.randn(2, 3, 5), torch.tensor([3, 1]))
    assert model(Batch(turns, turns, turns)).isfinite().all()


def test_cells_are_stacked_as_asked() -> None:
    config = compose(["cell.layers=2", "cell.dropout=0.5", "cell.reset=before"])
    model = build_model(config.model, config.cell, config.activation, inputs=5, classes=4)
    assert model.get_parameter("current.weight_ih_l1_reverse").shape == (96, 64)
    current = model.get_submodule("current")
    assert isinstance(current, GRU)
    assert (current.dropout, current.cell) == (0.5, BEFORE)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["cell.layers=0"], "cell.layers=0: must be 1 or more"),
        (["cell.layers=two"], "cell.layers=two: expected int, not str"),
        (["cell.dropout=0.5"], "cell.dropout=0.5 acts between layers, and cell.layers=1"),
        (["cell.layers=2", "cell.dropout=1"], r"cell.dropout=1: must be in \[0, 1\)"),
        (["cell=a_lstm", "cell.lags=[0]"], r"lags=\[0\]: must be different integers from 1 up"),
        (["cell=a_lstm", "cell.lags=1"], r"cell.lags=1: must be a list; write cell.lags=\[1\]"),
        (["cell.reset=never"], "reset=never: must be one of after, before"),
        (["activation=pau", "activation.share=none"], "activation.share=none: must be one of"),
        (
            ["activation=arelu", "arelu.share=model", "arelu.per_unit=true", "model.hidden=8"],
            "activation.per_unit: layers of 8 and of 32 units cannot share",
        ),
    ],
)
def test_settings_of_cells_and_activations_out_of_range_are_refused(
    overrides: list[str], message: str
) -> None:
    config = compose(overrides)
    with pytest.raises(RequestError, match=message):
        build_model(config.model, config.cell, config.activation, inputs=5, classes=4)


def test_what_learns_nothing_cannot_learn_by_unit() -> None:
    config = compose([])
    with pytest.raises(RequestError, match=r"activation\.per_unit: tanh learns nothing"):
        build_model(
            config.model, config.cell, {"name": "tanh", "per_unit": True}, inputs=5, classes=4
        )


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
        (
            {"cell": {"name": "gru", "input_size": 3}},
            "unknown setting 'cell.input_size'. Known: gate_bias, init, reset.",
        ),
        ({"model": {"system": "iaan", "hidden": 3.5}}, "model.hidden=3.5: expected int, not float"),
    ],
)
def test_what_cannot_be_built_is_refused(node: dict[str, dict[str, Any]], message: str) -> None:
    nodes: dict[str, dict[str, Any]] = {
        "model": {"system": "iaan", "hidden": 2, "context_hidden": 2},
        "cell": {"name": "gru"},
        "activation": {"name": "tanh"},
    }
    nodes |= node
    with pytest.raises(RequestError) as error:
        build_model(nodes["model"], nodes["cell"], nodes["activation"], inputs=5, classes=4)
    assert str(error.value) == message
