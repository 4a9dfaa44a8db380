"""The light gated recurrent unit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn.cells import CELLS
from sercli.nn.checks import check_one_of
from sercli.nn.layer import RecurrentLayer
from sercli.nn.pooling import valid_steps
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, Weights, affine


def _step(x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi) -> State:
    (h,) = state
    to_update, to_candidate = affine(x[0], h, weights.hidden[0]).chunk(2, dim=-1)
    return (torch.lerp(phi(to_candidate), h, torch.sigmoid(to_update)),)


CELL = Cell("li_gru", (2,), (2,), states=1, step=_step, fused=True)


@CELLS.register("li_gru")
class LiGRU(RecurrentLayer):
    """The light gated recurrent unit (Ravanelli, Brakel, Omologo, Bengio 2018, arXiv 1803.10225).

    A GRU without reset gate and with a normalised input; the φ of the paper is ReLU:

        z_t = σ(N(W_z x_t) + U_z h_{t−1}),   c_t = φ(N(W_c x_t) + U_c h_{t−1}),
        h_t = z_t ∘ h_{t−1} + (1 − z_t) ∘ c_t

    N is a batch normalisation over the real frames of a batch, without padding; in evaluation it
    uses running statistics. Its shift replaces the bias, which exists only without
    normalisation. Recurrent blocks start orthogonal, as in the paper. The blocks of the weights
    are in the order z, c.

    Args:
        layer: Arguments of `RecurrentLayer`.
        norm: ``batch``; ``layer``: each frame over all features of W x; ``none``.
        settings: Keyword arguments of `RecurrentLayer`.

    Raises:
        RequestError: In training, a batch has fewer than two real frames to normalise.

    >>> import torch
    >>> from sercli.nn.cells import CELLS
    >>> layer = CELLS["li_gru"](45, 64, activation="relu")
    >>> output, final = layer(torch.randn(9, 3, 45), lengths=[9, 4, 7])
    >>> output.shape
    torch.Size([9, 3, 64])
    """

    def __init__(self, *layer: Any, norm: str = "batch", **settings: Any) -> None:
        check_one_of("norm", norm, ("batch", "layer", "none"))
        self._norm = norm
        super().__init__(CELL, *layer, init="orthogonal", **settings)
        features = CELL.gates * self.hidden_size
        kind = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}.get(norm)
        self.norms = nn.ModuleDict(
            {name: kind(features) for name in self.all_suffixes()} if kind else {}
        ).to(self.weight_hh_l0)

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        shapes = super().parameter_shapes(inputs)
        unused = {"bias_hh"} if self._norm == "none" else {"bias_ih", "bias_hh"}
        return {name: shape for name, shape in shapes.items() if name not in unused}

    def operands(self, suffix: str, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Weights]:
        steps, weights = super().operands(suffix, steps, lengths)
        if weights.input is None or suffix not in self.norms:
            return steps, weights
        if torch.compiler.is_compiling() and not self.training:
            # An export cannot choose frames; in evaluation each is normalised by itself.
            projected = nn.functional.linear(steps, weights.input).flatten(0, 1)
            normal = self._normalised(self.norms[suffix], projected.to(steps.dtype))
            return normal.view(*steps.shape[:2], -1), Weights(None, weights.hidden)
        real = valid_steps(lengths, len(steps)).t().flatten().nonzero().squeeze(-1)
        frames = steps.flatten(0, 1).index_select(0, real)
        projected = nn.functional.linear(frames, weights.input).to(steps.dtype)
        normal = self._normalised(self.norms[suffix], projected)
        inputs = normal.new_zeros(steps.shape[0] * steps.shape[1], normal.shape[1])
        inputs = inputs.index_copy(0, real, normal).view(*steps.shape[:2], normal.shape[1])
        return inputs, Weights(None, weights.hidden)

    def _normalised(self, norm: nn.Module, frames: Tensor) -> Tensor:
        if isinstance(norm, nn.BatchNorm1d) and self.training and len(frames) < 2:
            raise RequestError(
                f"li_gru: {len(frames)} real frames are too few for batch statistics"
            )
        normal: Tensor = norm(frames.to(self.weight_hh_l0.dtype)).to(frames.dtype)
        return normal
