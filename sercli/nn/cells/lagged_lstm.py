"""LSTMs with states of several earlier steps: the advanced LSTM and the mean-LSTM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.cells import CELLS
from sercli.nn.cells.lstm import lstm_step
from sercli.nn.checks import check_one_of
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, product

LAGS = (1, 3, 5)
"""The lags T of Tao and Liu."""


@dataclass(frozen=True)
class LaggedStep:
    """One step over a shift register h_{t−1}, c_{t−1}, h_{t−2}, c_{t−2} and so on.

    Attributes:
        lags: The lags of the states that are combined, ascending.
        scored: True if their weights are a softmax of learned scores; else they are equal.
        exclude: True if lags from before the first step are left out. The number of steps so far
            is then the last tensor of the state.
    """

    lags: tuple[int, ...]
    scored: bool
    exclude: bool

    def __call__(
        self, x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi
    ) -> State:
        """Combine the earlier states, then do the step of an LSTM."""
        register, steps = (state[:-1], state[-1]) if self.exclude else (state, None)
        h, c = (self._combined(register[part::2], steps, weights) for part in (0, 1))
        counted = () if steps is None else (steps + 1,)
        return *lstm_step(x, (h, c), weights, phi), *register[:-2], *counted

    def _combined(self, register: State, steps: Tensor | None, weights: StepWeights) -> Tensor:
        earlier = [register[lag - 1] for lag in self.lags]
        states = torch.stack(earlier)
        if not self.scored and steps is None:
            return states.mean(0)
        scores = [self._score(each, weights) for each in earlier]
        if steps is not None:
            for i, lag in enumerate(self.lags[1:], 1):  # the shortest stays: its state may be given
                scores[i] = scores[i].masked_fill(steps[..., :1] < lag, -torch.inf)
        return (torch.stack(scores).softmax(0) * states).sum(0)

    def _score(self, state: Tensor, weights: StepWeights) -> Tensor:
        return product(state, weights.extra[0]) if self.scored else torch.zeros_like(state[..., :1])


class _LaggedLSTM(RecurrentLayer):
    num_states = 2
    init_groups = (4,)

    scored: bool

    def __init__(
        self,
        *layer: Any,
        lags: list[int] | tuple[int, ...] = LAGS,
        start: str = "zeros",
        **settings: Any,
    ) -> None:
        given: Sequence[object] = lags  # a configuration may contain anything
        real = {lag for lag in given if isinstance(lag, int) and lag > 0}
        if not real or len(real) < len(lags):
            raise RequestError(f"lags={list(lags)}: must be different integers from 1 up")
        check_one_of("start", start, ("zeros", "exclude"))
        exclude = start == "exclude"
        step = LaggedStep(tuple(sorted(real)), self.scored, exclude)
        name = "a_lstm" if self.scored else "mean_lstm"
        super().__init__(Cell(name, (4,), (4,), 2 * max(real) + exclude, step), *layer, **settings)


@CELLS.register("a_lstm")
class ALSTM(_LaggedLSTM):
    """The advanced LSTM of Tao and Liu (ICASSP 2018, arXiv 1710.10197).

    C'(t) = Σ_T w_T C(t−T) and h'(t) = Σ_T w_T h(t−T) replace c_{t−1} and h_{t−1} in an LSTM.
    The weights w are a softmax over the lags T of a learned linear score of the states that they
    weight. One vector of H numbers scores both h and C; each direction has its own, the column
    ``weight_score``: our reading, since the formulas of our source were pictures. At the first
    steps the longer lags reach back before the beginning. Our choice is to include zeros there,
    or with ``start="exclude"`` to leave these lags out.

    Args:
        layer: Arguments of `RecurrentLayer`.
        lags: The lags T.
        start: States before the first step: ``zeros``, or ``exclude``.
        settings: Keyword arguments of `RecurrentLayer`.

    Raises:
        RequestError: There is no lag, one is below 1 or repeated, or the start is unknown.

    >>> import torch
    >>> from sercli.nn.cells import CELLS
    >>> layer = CELLS["a_lstm"](45, 64, lags=[1, 3])
    >>> output, final = layer(torch.randn(9, 3, 45), lengths=[9, 4, 7])
    >>> output.shape
    torch.Size([9, 3, 64])
    """

    scored = True

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        return super().parameter_shapes(inputs) | {"weight_score": (self.hidden_size, 1)}


@CELLS.register("mean_lstm")
class MeanLSTM(_LaggedLSTM):
    """The mean-LSTM of Tao and Liu (2018): `ALSTM` with the same weight for all lags.

    Args:
        layer: Arguments of `RecurrentLayer`.
        lags: The lags T.
        start: States before the first step: ``zeros``, or ``exclude``.
        settings: Keyword arguments of `RecurrentLayer`.

    Raises:
        RequestError: There is no lag, one is below 1 or repeated, or the start is unknown.

    >>> import torch
    >>> from sercli.nn.cells import CELLS
    >>> layer = CELLS["mean_lstm"](45, 64)
    >>> output, final = layer(torch.randn(9, 3, 45), lengths=[9, 4, 7])
    >>> output.shape
    torch.Size([9, 3, 64])
    """

    scored = False
