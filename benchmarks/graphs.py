"""Compare ONNX graphs with torch at published sizes: equality, and CPU time of one utterance.

    .venv/bin/python benchmarks/graphs.py [TURNS]

Each network has random weights. It is exported, which compares it with torch, and both classify
the same 4 s in turn, on one thread. Printed per network: max |Δp| between both, and the least CPU
time of each.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sercli.config.compose import compose
from sercli.features.sets import column_names, frame_seconds
from sercli.inference.graph import OnnxNetwork
from sercli.inference.onnx import Graph, export_onnx
from sercli.training.validate import new_model_for

SECONDS = 4.0
SYSTEMS: dict[str, tuple[str, ...]] = {
    "iaan": ("model=iaan", "activation=tanh"),
    "iaan, AReLU": ("model=iaan", "activation=arelu"),
    "light_sernet": ("model=light_sernet", "features=mfcc", "features.pool=1"),
    "cnn14": (
        *("model=cnn14", "features=log_mel_panns", "features.pool=1", "features.normalise=none"),
    ),
}


def compare(name: str, overrides: tuple[str, ...], turns: int) -> str:
    """Return a row of the table."""
    config = compose(list(overrides))
    inputs = len(column_names(config.features))
    torch.manual_seed(0)
    network = new_model_for(
        config, corpus="none", inputs=inputs, classes=4, values=lambda column: ["a", "b"]
    ).eval()
    steps = round(SECONDS / frame_seconds(config.features) / config.features.pool)
    graph = Graph(network)
    tensors = [torch.randn(1, steps, inputs), torch.tensor([steps])] * graph.turns
    arrays = [each.numpy() for each in tensors]
    _spread(graph, tensors)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.onnx")
        export_onnx(network, inputs, path)
        size, other = path.stat().st_size / 1e6, OnnxNetwork(path)
    with torch.inference_mode():
        away = np.abs(graph(*tensors).numpy() - other.probabilities(arrays)).max()
        both = [
            (_seconds(lambda: graph(*tensors)), _seconds(lambda: other.probabilities(arrays)))
            for _ in range(turns)
        ]
    first, second = (1000 * min(each) for each in zip(*both, strict=True))
    parameters = sum(each.numel() for each in network.parameters()) / 1e6
    return (
        f"| {name} | {parameters:.1f} | {size:.0f} | {away:.0e} | {first:.1f} | {second:.1f} | "
        f"{second / first:.2f} |"
    )


@torch.no_grad()
def _spread(graph: Graph, tensors: list[Tensor]) -> None:
    """Scale the last layer until probabilities differ: those of random weights are almost equal."""
    layer = [each for each in graph.modules() if isinstance(each, nn.Linear)][-1]
    logarithms = graph(*tensors).log()
    layer.weight.mul_(2 / float(logarithms.max() - logarithms.min()))


def _seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("| model | parameters, M | file, MB | max Δp | torch, ms | ONNX, ms | ONNX ÷ torch |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, overrides in SYSTEMS.items():
        print(compare(name, overrides, int(sys.argv[1]) if sys.argv[1:] else 20), flush=True)
