"""Stacks of recurrent layers, of any cell with any activation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.checks import check_one_of, check_sizes
from sercli.nn.init import INITS, init_weights, uniform
from sercli.nn.recurrence import Cell, Recurrence, State, Weights
from sercli.nn.sequences import Sequences, read_sequences
from sercli.nn.stack_pass import FinalState, StackPass, run_parallel, split_state, stack_states

MakeActivation = str | nn.Module | Callable[[], nn.Module]
"""A name in `sercli.nn.activations`, a module, or a function that makes one."""

_STANDARD = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_HALF = (torch.bfloat16, torch.float16)
_DEFAULTS = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "share": "layer",
    "init": "torch",
    "gate_bias": 0.0,
}


class RecurrentLayer(nn.Module):
    """A stack of recurrent layers, uni- or bidirectional, of any cell with any activation.

    It takes the arguments of ``torch.nn.GRU`` and behaves like it: parameters have the same
    names, shapes and initial values; input can be a batch, a single sequence or packed. In
    addition it takes the ``lengths`` of a padded batch. The activation replaces only that of the
    candidate state; the gates keep their sigmoid (Rajamani et al. 2021).

    The layer of a cell is a subclass that passes its `Cell`. It may set `num_states`,
    `biased_gates` and `init_groups`, and override `parameter_shapes` and `operands`.

    Args:
        cell: The cell.
        input_size: Features I of a step.
        hidden_size: Features H of a state in one direction.
        num_layers: Levels of the stack.
        bias: Learn biases.
        batch_first: Batches are (B, T, I) instead of (T, B, I).
        dropout: Share of the output of every level but the last that is dropped in training.
        bidirectional: Run a second recurrence from the end to the beginning.
        device: Device of the weights.
        dtype: Dtype of the weights. In bfloat16 and float16 a layer computes in float32.
        activation: A name, or a function that makes a module: every level (see ``share``) gets
            its own. A module is used everywhere.
        share: ``layer``: the two directions of a level share an activation; ``direction``: each
            has its own. Our choice: the AR-GRU paper does not say.
        init: Initial weights: `sercli.nn.init.init_weights`. Biases start like the weights with
            ``torch``, else at zero.
        gate_bias: Added to the initial biases of the gates ``biased_gates``.

    Attributes:
        output_size: Features of the output, D·H.
        activations: The activation of each recurrence, by the suffix of its parameters.
        on_states: Hooks, called with the states (T, B, H) of every recurrence.

    Raises:
        RequestError: A size, share or choice is out of range.

    >>> import torch
    >>> from sercli.nn import LSTM
    >>> layer = LSTM(45, 64, num_layers=2, bidirectional=True, activation="relu")
    >>> output, (h_n, c_n) = layer(torch.randn(9, 3, 45), lengths=[9, 4, 7])
    >>> output.shape, h_n.shape
    (torch.Size([9, 3, 128]), torch.Size([4, 3, 64]))
    """

    weight_hh_l0: Tensor
    num_states = 1
    """Number of tensors, h first, in the states that a caller passes and receives."""
    biased_gates: tuple[int, ...] = ()
    """The gates to which ``gate_bias`` is added, by the position of their block in the weights."""
    init_groups: tuple[int, ...] = ()
    """Number of gates in each kernel of TensorFlow's cell; empty: one each (our choice)."""

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        activation: MakeActivation = "tanh",
        share: str = "layer",
        init: str = "torch",
        gate_bias: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_one_of("share", share, ("layer", "direction"))
        check_one_of("init", init, INITS)
        _check_dropout(dropout, num_layers)
        if gate_bias and not (bias and self.biased_gates):
            raise RequestError(
                f"gate_bias={gate_bias:g}: the layer has no bias to which it could be added"
            )
        self.cell = cell
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.share = bidirectional, share
        self.init, self.gate_bias = init, gate_bias
        self.output_size = hidden_size * (2 if bidirectional else 1)
        self._names = tuple(self.parameter_shapes(1))
        for level in range(num_layers):
            shapes = self.parameter_shapes(self.output_size if level else input_size)
            for suffix in self.suffixes(level):
                for name, shape in shapes.items():
                    empty = torch.empty(shape, device=device, dtype=dtype)
                    self.register_parameter(f"{name}_{suffix}", nn.Parameter(empty))
        self.reset_parameters()
        make = _maker(activation, device, dtype)
        names = dict.fromkeys(map(self._activation_name, self.all_suffixes()))
        self.activations = nn.ModuleDict({name: make() for name in names})
        self.on_states: list[Callable[[Tensor], None]] = []

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters of one recurrence, by name; torch's come first."""
        rows = self.cell.gates * self.hidden_size
        biases = {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        return {"weight_ih": (rows, inputs), "weight_hh": (rows, self.hidden_size), **biases}

    def operands(self, suffix: str, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Weights]:
        """Return the inputs of one recurrence and its weights, in the dtype of the computation.

        Args:
            suffix: The recurrence, by the suffix of its parameters.
            steps: Output of the level below, (T, B, I).
            lengths: (B,).
        """
        own = self.weights(suffix)
        if steps.dtype is not own["weight_hh"].dtype:
            own = {name: value.to(steps.dtype) for name, value in own.items()}
        return steps, Weights(
            input=own["weight_ih"],
            hidden=own["weight_hh"],
            input_bias=own.get("bias_ih"),
            hidden_bias=own.get("bias_hh"),
            extra=tuple(value for name, value in own.items() if name not in _STANDARD),
        )

    def suffixes(self, level: int) -> tuple[str, ...]:
        """Return the suffixes of the parameters of a level, one for each direction."""
        return (f"l{level}", f"l{level}_reverse") if self.bidirectional else (f"l{level}",)

    def all_suffixes(self) -> list[str]:
        """Return the suffixes of the parameters of all levels, from the first up."""
        return [suffix for level in range(self.num_layers) for suffix in self.suffixes(level)]

    def weights(self, suffix: str) -> dict[str, Tensor]:
        """Return the parameters of one recurrence, by their names without the suffix."""
        return {name: getattr(self, f"{name}_{suffix}") for name in self._names}

    def reset_parameters(self) -> None:
        """Draw all weights anew. Parameters that torch's layers lack are drawn from U(±1/√H)."""
        uniform(1 / math.sqrt(self.hidden_size), *self.parameters(recurse=False))
        for own in map(self.weights, self.all_suffixes()):
            if self.init != "torch":
                groups = self.init_groups or (1,) * self.cell.gates
                init_weights(self.init, own["weight_ih"], own["weight_hh"], groups)
                for name in own.keys() & {"bias_ih", "bias_hh"}:
                    nn.init.zeros_(own[name])
            for gate in self.biased_gates if self.gate_bias else ():
                with torch.no_grad():
                    own["bias_ih"].chunk(self.cell.gates)[gate].add_(self.gate_bias)

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 - as torch's layers call it
        hx: FinalState | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Any, Any]:
        """Run over sequences.

        Under autocast the input may have any dtype; the result has the dtype of the weights.

        Args:
            input: A batch (T, B, I), with ``batch_first`` (B, T, I); a single sequence (T, I);
                or packed.
            hx: The state before the first step: h (D·L, B, H), or a tuple (h, c) if the cell has
                both; without the axis B for a single sequence. None: zeros.
            lengths: Number of real steps of each sequence of a padded batch, (B,); None: all.
                The padding may hold anything.

        Returns:
            The output of the last level in the form of the input, with D·H features and zero
            at padded steps; and the final state of each level and direction in the form of
            ``hx``: after the last real step, or after the first in the reverse direction.

        Raises:
            RequestError: Shapes, lengths or dtypes do not fit.
        """
        return run_parallel([self.stack_pass(input, hx, lengths=lengths)])[0]

    def stack_pass(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 - as torch's layers call it
        hx: FinalState | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> StackPass:
        """Prepare a pass for `sercli.nn.run_parallel`; the arguments are those of `forward`."""
        batch = read_sequences(input, lengths, batch_first=self.batch_first)
        steps = self._checked(batch.steps, "input")
        if steps.shape[-1] != self.input_size:
            raise RequestError(
                f"input has {steps.shape[-1]} features: the layer reads {self.input_size}"
            )
        initial = self._initial(hx, steps.shape[1], batch.unbatched)
        levels = [partial(self._level, level, batch, initial) for level in range(self.num_layers)]

        def finish(output: Tensor, finals: list[State]) -> tuple[Any, Any]:
            dtype = self.weight_hh_l0.dtype
            final = stack_states(finals, self.num_states, batch.unbatched, dtype)
            return batch.like_input(output.to(dtype)), final

        return StackPass(self.cell, levels, steps, finish, self.on_states)

    def _level(
        self, level: int, batch: Sequences, initial: Sequence[State], steps: Tensor
    ) -> list[Recurrence]:
        if level and self.dropout:
            steps = F.dropout(steps, self.dropout, self.training)
        recurrences = []
        for direction, suffix in enumerate(self.suffixes(level)):
            inputs, weights = self.operands(suffix, steps, batch.lengths)
            start = initial[level * len(self.suffixes(level)) + direction] if initial else ()
            activation = self.activations[self._activation_name(suffix)]
            recurrences.append(
                Recurrence(
                    *(inputs, batch.lengths, weights, activation, start),
                    reverse=direction == 1,
                    padded=batch.padded,
                )
            )
        return recurrences

    def _initial(self, hx: FinalState | None, batch: int, unbatched: bool) -> list[State]:
        if hx is None:
            return []
        shape = len(self.all_suffixes()), batch, self.hidden_size
        states = split_state(hx, self.num_states, shape, unbatched)
        return [tuple(self._checked(part, "hx") for part in state) for state in states]

    def _checked(self, given: Tensor, what: str) -> Tensor:
        """Convert ``given`` to the dtype of the computation."""
        own = self.weight_hh_l0.dtype
        if given.dtype is not own and not torch.is_autocast_enabled(given.device.type):
            raise RequestError(
                f"{what} is {given.dtype} but the layer {own}: convert one, or use autocast"
            )
        return given.to(torch.float32 if own in _HALF else own)

    def _activation_name(self, suffix: str) -> str:
        return suffix if self.share == "direction" else suffix.removesuffix("_reverse")

    def extra_repr(self) -> str:
        """Show the sizes, and the settings that differ from the defaults."""
        shown = [str(self.input_size), str(self.hidden_size)]
        for name, default in _DEFAULTS.items():
            if (value := getattr(self, name)) != default:
                shown.append(f"{name}={value}")
        return ", ".join(shown)


def recurrent_layers(model: nn.Module) -> Iterator[RecurrentLayer]:
    """Iterate over the recurrent layers of a model."""
    return (module for module in model.modules() if isinstance(module, RecurrentLayer))


def last_state(layer: RecurrentLayer, final: FinalState) -> Tensor:
    """Return the visible final state of the last level, its directions concatenated.

    Args:
        layer: The layer that returned it.
        final: The final state as the layer returned it.

    Returns:
        (B, D·H), or (D·H,) for a single sequence.

    >>> import torch
    >>> from sercli.nn import LSTM, last_state
    >>> layer = LSTM(45, 64, num_layers=2, bidirectional=True)
    >>> last_state(layer, layer(torch.randn(9, 3, 45))[1]).shape
    torch.Size([3, 128])
    """
    visible = final if isinstance(final, Tensor) else final[0]
    directions = 2 if layer.bidirectional else 1
    return torch.cat(visible[-directions:].unbind(0), dim=-1)


def _check_dropout(dropout: float, num_layers: int) -> None:
    if not 0 <= dropout <= 1:
        raise RequestError(f"dropout={dropout:g}: must be in [0, 1]")
    if dropout and num_layers == 1:
        warnings.warn(
            f"dropout={dropout:g} acts between the layers of a stack, and num_layers=1",
            stacklevel=4,
        )


def _maker(
    activation: MakeActivation, device: torch.device | str | None, dtype: torch.dtype | None
) -> Callable[[], nn.Module]:
    if isinstance(activation, nn.Module):
        return lambda: activation
    make = ACTIVATIONS[activation] if isinstance(activation, str) else activation

    def new() -> nn.Module:
        module = make()
        if not isinstance(module, nn.Module):
            raise RequestError(f"activation={activation!r} returned {module!r}, not a module")
        return module.to(device=device, dtype=dtype)

    return new
