"""ONNX graphs equal their networks; without the extra onnx these tests are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sercli.config.compose import compose, list_choices
from sercli.nn.recurrence.backend import use_backend
from sercli.training.validate import new_model_for

for _name in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(_name)

SMALL = ("model=bilstm_att_small", "model.hidden=4", "model.dense_units=4")
CELLS = [choice.name for choice in list_choices("cell")]
MODELS = [choice.name for choice in list_choices("model") if choice.name.endswith("_small")]


@pytest.fixture(autouse=True)
def _eager() -> None:
    use_backend("eager")


def export(path: Path, *overrides: str) -> None:
    """Export a network with random weights; raises if the graph differs from torch."""
    from sercli.inference.onnx import export_onnx

    torch.manual_seed(0)
    network = new_model_for(
        compose(overrides), corpus="toy", inputs=45, classes=4, values=lambda column: ["a", "b"]
    )
    export_onnx(network.eval(), 45, path / "graph.onnx")
    assert (path / "graph.onnx").is_file()


def test_a_bidirectional_gru_with_arelu_is_exported(tmp_path: Path) -> None:
    export(tmp_path, *SMALL, "cell=gru", "activation=arelu")


@pytest.mark.exhaustive
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("activation", ["tanh", "relu", "arelu", "pau"])
def test_every_cell_is_exported(tmp_path: Path, cell: str, activation: str) -> None:
    export(tmp_path, *SMALL, f"cell={cell}", f"activation={activation}")


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_exported(tmp_path: Path, model: str) -> None:
    export(tmp_path, f"model={model}", "activation=arelu")
