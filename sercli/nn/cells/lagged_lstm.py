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
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Cell, Phi, State, StepWeights, product

LAGS = (1, 3, 5)
"""The lags T of Tao and Liu."""


@dataclass(frozen=True)
class LaggedStep:
    """One step over a shift register h_{t−1}, c_{t−1}, h_{t−2}, c_{t−2} and so on.

    Attributes:
        lags: The lags of the states that are combined.
        scored: True if their weights are a softmax of learned scores; else they are equal.
    """

    lags: tuple[int, ...]
    scored: bool

    def __call__(
        self, x: tuple[Tensor, ...], state: State, weights: StepWeights, phi: Phi
    ) -> State:
        """Combine the earlier states, then do the step of an LSTM."""
        h = self._combined([state[2 * (lag - 1)] for lag in self.lags], weights)
        c = self._combined([state[2 * (lag - 1) + 1] for lag in self.lags], weights)
        return *lstm_step(x, (h, c), weights, phi), *state[:-2]

    def _combined(self, earlier: Sequence[Tensor], weights: StepWeights) -> Tensor:
        states = torch.stack(list(earlier))
        if not self.scored:
            return states.mean(0)
        (score,) = weights.extra
        scores = torch.stack([product(each, score) for each in earlier])
        return (scores.softmax(0) * states).sum(0)


class _LaggedLSTM(RecurrentLayer):
    num_states = 2
    init_groups = (4,)

    scored: bool

    def __init__(
        self, *layer: Any, lags: list[int] | tuple[int, ...] = LAGS, **settings: Any
    ) -> None:
        given: Sequence[object] = lags  # a configuration may contain anything
        real = {lag for lag in given if isinstance(lag, int) and lag > 0}
        if not real or len(real) < len(lags):
            raise RequestError(f"lags={list(lags)}: must be different integers from 1 up")
        step = LaggedStep(tuple(sorted(real)), self.scored)
        cell = Cell("a_lstm" if self.scored else "mean_lstm", (4,), (4,), 2 * max(real), step)
        super().__init__(cell, *layer, **settings)


@CELLS.register("a_lstm")
class ALSTM(_LaggedLSTM):
    """The advanced LSTM of Tao and Liu (ICASSP 2018, arXiv 1710.10197).

    C'(t) = Σ_T w_T C(t−T) and h'(t) = Σ_T w_T h(t−T) replace c_{t−1} and h_{t−1} in an LSTM.
    The weights w are a softmax over the lags T of a learned linear score of the states that they
    weight. One vector of H numbers scores both h and C; each direction has its own, the column
    ``weight_score``. States before the first step are zero and are included (our choice).

    Args:
        layer: Arguments of `RecurrentLayer`.
        lags: The lags T.
        settings: Keyword arguments of `RecurrentLayer`.

    Raises:
        RequestError: There is no lag, one is below 1, or one is repeated.

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
        settings: Keyword arguments of `RecurrentLayer`.

    Raises:
        RequestError: There is no lag, one is below 1, or one is repeated.

    >>> import torch
    >>> from sercli.nn.cells import CELLS
    >>> layer = CELLS["mean_lstm"](45, 64)
    >>> output, final = layer(torch.randn(9, 3, 45), lengths=[9, 4, 7])
    >>> output.shape
    torch.Size([9, 3, 64])
    """

    scored = False
