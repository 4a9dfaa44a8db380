"""The gated recurrent unit with any activation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS
from sercli.nn.masks import reverse_within, valid_steps
from sercli.nn.recurrence import eager


@CELLS.register("gru")
class GRU(nn.Module):
    """One layer of gated recurrent units whose candidate state takes any activation.

    The gates keep their sigmoid: the activation replaces only the tanh, as in the AR-GRU of
    Rajamani et al. (2021). With tanh the layer equals ``torch.nn.GRU``; parameters have the
    same names, shapes and initial distribution U(±1/√H), so state dicts can be exchanged.

    Args:
        input_size: Features of a step.
        hidden_size: H, features of a state in one direction.
        bidirectional: Whether a second recurrence runs from the end to the beginning.
        activation: A name that `sercli.nn.activations` knows, or a module. Both directions
            share it (our choice: the paper does not say).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bidirectional: bool = False,
        activation: str | nn.Module = "tanh",
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self._suffixes = ("_l0", "_l0_reverse") if bidirectional else ("_l0",)
        self.output_size = hidden_size * len(self._suffixes)
        bound = 1 / math.sqrt(hidden_size)
        for suffix in self._suffixes:
            for name, shape in {
                "weight_ih": (3 * hidden_size, input_size),
                "weight_hh": (3 * hidden_size, hidden_size),
                "bias_ih": (3 * hidden_size,),
                "bias_hh": (3 * hidden_size,),
            }.items():
                values = torch.empty(shape).uniform_(-bound, bound)
                self.register_parameter(name + suffix, nn.Parameter(values))
        self.activation = ACTIVATIONS[activation]() if isinstance(activation, str) else activation

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run over a padded batch; see `sercli.nn.cells.Recurrent` for the shapes.

        Raises:
            RequestError: A length is zero, or longer than the batch.
        """
        _check_lengths(inputs, lengths)
        valid = valid_steps(lengths, inputs.shape[1]).t().unsqueeze(-1)
        time_first = inputs.transpose(0, 1).masked_fill(~valid, 0.0)
        directions = [time_first, reverse_within(time_first, lengths)][: len(self._suffixes)]
        projected = torch.stack(
            [
                nn.functional.linear(x, self._get("weight_ih", s), self._get("bias_ih", s))
                for x, s in zip(directions, self._suffixes, strict=True)
            ],
            dim=1,
        )
        states = eager.gru(
            projected,
            torch.stack([self._get("weight_hh", s).t() for s in self._suffixes]),
            torch.stack([self._get("bias_hh", s) for s in self._suffixes]).unsqueeze(1),
            ~valid.unsqueeze(1),
            self.activation,
        )
        last = torch.cat(states[-1].unbind(0), dim=-1)
        forward, *backward = (x.masked_fill(~valid, 0.0) for x in states.unbind(1))
        sequence = torch.cat([forward, *(reverse_within(x, lengths) for x in backward)], dim=-1)
        return sequence.transpose(0, 1), last

    def _get(self, name: str, suffix: str) -> Tensor:
        return self.get_parameter(name + suffix)


def _check_lengths(inputs: Tensor, lengths: Tensor) -> None:
    if lengths.shape != inputs.shape[:1]:
        raise RequestError(f"{inputs.shape[0]} sequences but {tuple(lengths.shape)} lengths")
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest < 1 or longest > inputs.shape[1]:
        raise RequestError(
            f"lengths from {shortest} to {longest} do not fit a batch of {inputs.shape[1]} steps"
        )
