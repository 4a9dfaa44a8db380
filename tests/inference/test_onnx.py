"""ONNX graphs equal their networks: one by day, every cell, activation and model in `test-all`.

An export costs 5 to 15 CPU seconds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.reference_models import reads_streams
from torch import nn

from sercli.config.compose import compose, list_choices
from sercli.errors import RequestError, SercliError
from sercli.inference.graph import OnnxNetwork
from sercli.inference.onnx import export_onnx
from sercli.models.interface import Batch, Turns, as_output
from sercli.nn.recurrence.backend import use_backend
from sercli.training.validate import new_model_for

SMALL = ("model=bilstm_att_small", "model.hidden=4", "model.dense_units=4")
CELLS = [choice.name for choice in list_choices("cell")]
MODELS = [choice.name for choice in list_choices("model")]
FUNCTIONALS = ("features=eGeMAPSv02", "features.level=functionals")

EXHAUSTIVE = pytest.mark.exhaustive


@pytest.fixture(autouse=True)
def _eager() -> None:
    use_backend("eager")


def export(path: Path, *overrides: str, inputs: int = 45) -> nn.Module:
    """Export a network with random weights; raises if the graph differs from torch."""
    torch.manual_seed(0)
    network = new_model_for(
        compose(overrides), corpus="toy", inputs=inputs, classes=4, values=lambda column: ["a", "b"]
    )
    export_onnx(network.eval(), inputs, path / "graph.onnx")
    return network


def test_both_runtimes_give_the_same_probabilities(tmp_path: Path) -> None:
    sizes = ("model=lstm_tf_at_small", "model.hidden=3", "model.dense=4")
    network = export(tmp_path, *sizes, "cell=rnn", "activation=arelu", inputs=3)
    graph = OnnxNetwork(tmp_path / "graph.onnx")
    turns = Turns(torch.randn(4, 9, 3), torch.tensor([9, 1, 4, 9]))
    batch = Batch(turns, turns, turns)
    with torch.no_grad():
        expected = as_output(network(batch)).logits.softmax(dim=-1)
    found = graph.probabilities([turns.frames.numpy(), turns.lengths.numpy()])
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)


@EXHAUSTIVE
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("activation", ["tanh", "relu", "arelu", "pau"])
def test_every_cell_is_exported(tmp_path: Path, cell: str, activation: str) -> None:
    export(tmp_path, *SMALL, f"cell={cell}", f"activation={activation}")


@EXHAUSTIVE
@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_exported_or_refused_by_name(tmp_path: Path, model: str) -> None:
    if reads_streams(model):
        with pytest.raises(RequestError, match="reads the stream"):
            export(tmp_path, f"model={model}")
    elif model == "superb_linear":  # reads one row per layer of an encoder: no variable steps
        with pytest.raises(SercliError, match="SuperbLinear cannot be exported to ONNX"):
            export(tmp_path, f"model={model}", *FUNCTIONALS, inputs=88)
    elif model == "svm_functionals":
        export(tmp_path, f"model={model}", *FUNCTIONALS, inputs=88)
    else:
        export(tmp_path, f"model={model}", "activation=arelu")


@EXHAUSTIVE
@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_every_pooling_is_exported(tmp_path: Path, pooling: str) -> None:
    export(tmp_path, *SMALL, f"model.pooling={pooling}")
