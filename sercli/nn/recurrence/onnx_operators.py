"""Recurrences as the operators GRU, LSTM and RNN of ONNX, which are faster than a scan.

The operators support some activations. A piecewise linear activation such as AReLU, φ(x) =
k·max(x, 0) + s·min(x, 0) with k > 0, equals Leaky ReLU of k·x with slope s/k: the weights and
biases of the candidate are multiplied by k.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sercli.nn.activations import Activation
from sercli.nn.recurrence.operands import Cell, Recurrence, Unrolled


@dataclass(frozen=True)
class OnnxActivation:
    """An activation φ as an operator f of ONNX, φ(x) = f(gain · x).

    Attributes:
        name: Name of f.
        alpha: Parameters of f.
        gain: Factor of its argument.
    """

    name: str
    alpha: tuple[float, ...] = ()
    gain: float = 1.0


@dataclass(frozen=True)
class _Operator:
    """An operator of ONNX and its differences from a cell.

    Attributes:
        name: Its name.
        order: For each block of its weights, the index of the same block in those of the cell.
        candidate: Index of the candidate's block in the weights of the cell.
        before, after: Activations that it expects before and after that of the candidate.
        attributes: Further attributes.
    """

    name: str
    order: tuple[int, ...]
    candidate: int
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    attributes: Mapping[str, int] | None = None


_OPERATORS = {
    "gru": _Operator("GRU", (1, 0, 2), 2, ("Sigmoid",), attributes={"linear_before_reset": 1}),
    "lstm": _Operator("LSTM", (0, 3, 1, 2), 2, ("Sigmoid",), ("Tanh",)),
    "rnn": _Operator("RNN", (0,), 0),
}
"""Name of a cell → its operator."""


def onnx_activations(network: nn.Module) -> dict[int, OnnxActivation]:
    """Return the activations of a network that operators support, by the id of their module.

    >>> from sercli.nn import AReLU
    >>> list(onnx_activations(AReLU(alpha=0.5, beta=0.0)).values())
    [OnnxActivation(name='LeakyRelu', alpha=(0.3333333333333333,), gain=1.5)]
    """
    found = {}
    for module in network.modules():
        if isinstance(module, Activation) and (known := _known(module)):
            found[id(module)] = known
    return found


@torch.no_grad()
def _known(activation: Activation) -> OnnxActivation | None:
    probes = torch.linspace(-8, 8, 129)
    try:
        values = activation(probes)
    except RuntimeError:  # a coefficient for each unit
        return None
    if torch.equal(values, torch.tanh(probes)):
        return OnnxActivation("Tanh")
    gain, slope = (values[-1] / probes[-1]).item(), (values[0] / probes[0]).item()
    linear = probes * torch.where(probes > 0, gain, slope)
    if gain > 0 and torch.allclose(values, linear, rtol=1e-6, atol=0):
        return OnnxActivation("LeakyRelu", (slope / gain,), gain)
    return None


def has_operator(cell: Cell, recurrence: Recurrence) -> bool:
    """Return True if an operator computes a cell."""
    return cell.name in _OPERATORS and recurrence.weights.input is not None


def apply_operator(cell: Cell, recurrence: Recurrence, activation: OnnxActivation) -> Unrolled:
    """Run a recurrence as the operator of its cell, in the graph that is being exported."""
    operator = _OPERATORS[cell.name]
    weights, hidden = recurrence.weights, recurrence.weights.hidden
    assert weights.input is not None
    zeros = hidden.new_zeros(len(hidden))
    biases = [zeros if part is None else part for part in (weights.input_bias, weights.hidden_bias)]

    def blocks(part: Tensor) -> Tensor:
        found = list(part.chunk(len(operator.order)))
        found[operator.candidate] = activation.gain * found[operator.candidate]
        return torch.cat([found[place] for place in operator.order]).unsqueeze(0)

    steps, batch = recurrence.inputs.shape[:2]
    size = hidden.shape[1]
    states, *final = torch.onnx.ops.symbolic_multi_out(
        operator.name,
        (
            recurrence.inputs,
            blocks(weights.input),
            blocks(hidden),
            torch.cat([blocks(each) for each in biases], dim=1),
            recurrence.lengths.int(),
            *(part.unsqueeze(0) for part in recurrence.initial),
        ),
        {
            "hidden_size": size,
            "direction": "reverse" if recurrence.reverse else "forward",
            "activations": [*operator.before, activation.name, *operator.after],
            **({"activation_alpha": activation.alpha} if activation.alpha else {}),
            **(operator.attributes or {}),
        },
        dtypes=[hidden.dtype] * (1 + cell.states),
        shapes=[(steps, 1, batch, size), *[(1, batch, size)] * cell.states],
    )
    return Unrolled(states.squeeze(1), tuple(part.squeeze(0) for part in final))
