"""One forward pass through several models of the same structure.

A row of a batch passes through a network on its own, so the rows of G models are put one after the
other into a batch of G·B rows. Modules without parameters see one large batch, and run once for
all. A module with parameters, or with dropout, takes the rows of each model through that model's
own module; recurrent layers put all their recurrences into one call. So each model computes what
it computes alone, and what a step costs beside its products is paid once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence import Recurrence, Unrolled
from sercli.nn.stack_pass import StackPass, run_parallel

_LAYER = (
    *("cell", "input_size", "hidden_size", "num_layers", "bidirectional"),
    *("batch_first", "output_size"),
)
"""Attributes of a recurrent layer that have to agree."""


class DifferentError(ValueError):
    """Models differ in more than numbers that their layers hold."""


class Randomness:
    """The state of torch's CPU generator of one model among several.

    >>> import torch
    >>> one, two = Randomness(seed=0), Randomness(seed=0)
    >>> with one:
    ...     a = torch.rand(1)
    >>> with two:
    ...     b = torch.rand(1)
    >>> bool(a == b)
    True

    Args:
        seed: Its seed; None: the present state of the generator.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None:
            torch.manual_seed(seed)
        self.state = torch.get_rng_state()

    def __enter__(self) -> None:
        torch.set_rng_state(self.state)

    def __exit__(self, *error: object) -> None:
        self.state = torch.get_rng_state()


def together(models: Sequence[nn.Module], randomness: Sequence[Randomness]) -> nn.Module:
    """Make one module of several models.

    >>> from torch import nn
    >>> models = [nn.Sequential(nn.Linear(3, 2), nn.Tanh()) for _ in range(4)]
    >>> both = together(models, [Randomness(seed) for seed in range(4)])
    >>> both(torch.randn(4 * 5, 3)).shape
    torch.Size([20, 2])

    Args:
        models: G models. They keep their parameters, which the module uses.
        randomness: Source of the dropout of each.

    Returns:
        A module that takes what one model takes, with the rows of the first model, then those of
        the second, and so on, and returns the like. A scalar is returned for each model, (G,).

    Raises:
        DifferentError: The models differ in more than the numbers in their layers.
    """
    first = models[0]
    if any(type(each) is not type(first) for each in models):
        raise DifferentError("different modules")
    if isinstance(first, RecurrentLayer):
        return _Recurrent(models, randomness)
    own = any(True for _ in (*first.parameters(recurse=False), *first.buffers(recurse=False)))
    if own or isinstance(first, nn.Dropout) or not getattr(first, "by_row", True):
        return _Each(models, randomness)
    _check_equal(models)
    joint = copy.copy(first)
    joint.__dict__["_modules"] = {
        name: together([each.get_submodule(name) for each in models], randomness)
        if child is not None
        else None
        for name, child in first._modules.items()
    }
    return joint


def _check_equal(models: Sequence[nn.Module]) -> None:
    """Refuse modules whose code would see different settings."""
    internal = vars(nn.Module()).keys()
    settings = [{k: v for k, v in vars(each).items() if k not in internal} for each in models]
    names = [tuple(each._modules) for each in models]
    if any(each != settings[0] for each in settings) or len(set(names)) > 1:
        raise DifferentError(f"{type(models[0]).__name__}: different settings")


class _Each(nn.Module):
    """A module of every model, each with the rows of its model."""

    def __init__(self, modules: Sequence[nn.Module], randomness: Sequence[Randomness]) -> None:
        super().__init__()
        self._own = list(modules)  # not registered: the models own their parameters
        self._randomness = randomness
        self._random = not all(map(_draws_nothing, modules))

    def forward(self, rows: Tensor) -> Tensor:
        parts = rows.chunk(len(self._own))
        if self._random and self._own[0].training:
            found = []
            for module, part, source in zip(self._own, parts, self._randomness, strict=True):
                with source:
                    found.append(module(part))
        else:
            found = [module(part) for module, part in zip(self._own, parts, strict=True)]
        return torch.cat(found) if found[0].dim() else torch.stack(found)


def _draws_nothing(module: nn.Module) -> bool:
    """Return True if a module surely draws no random number."""
    return type(module).__module__.startswith("torch.nn.") and not getattr(module, "p", 0)


class _Recurrent(nn.Module):
    """A recurrent layer of every model, whose recurrences run in one call."""

    def __init__(self, layers: Sequence[nn.Module], randomness: Sequence[Randomness]) -> None:
        super().__init__()
        own = [each for each in layers if isinstance(each, RecurrentLayer)]
        for name in _LAYER:
            if any(getattr(each, name) != getattr(own[0], name) for each in own):
                raise DifferentError(f"recurrent layers of different {name}")
            setattr(self, name, getattr(own[0], name))
        self._own, self._randomness = own, randomness

    def forward(self, input: Tensor, *, lengths: Tensor) -> tuple[Any, Any]:  # noqa: A002
        return run_parallel([self.stack_pass(input, lengths=lengths)])[0]

    def stack_pass(self, input: Tensor, *, lengths: Tensor) -> StackPass:  # noqa: A002
        count = len(self._own)
        parts = zip(self._own, input.chunk(count), lengths.chunk(count), strict=True)
        passes = [layer.stack_pass(steps, lengths=ends) for layer, steps, ends in parts]
        draw = any(layer.dropout for layer in self._own)
        return _JointPass(passes, self._randomness if draw else None)


class _JointPass(StackPass):
    """The passes of several models through their layers, as one."""

    def __init__(self, passes: Sequence[StackPass], randomness: Sequence[Randomness] | None):
        self.cell = passes[0].cell
        self._passes, self._randomness = passes, randomness

    @property
    def done(self) -> bool:
        return self._passes[0].done

    def recurrences(self) -> list[Recurrence]:
        if self._randomness is None:
            levels = [each.recurrences() for each in self._passes]
        else:
            levels = []
            for each, source in zip(self._passes, self._randomness, strict=True):
                with source:
                    levels.append(each.recurrences())
        self._directions = len(levels[0])
        return [each for level in levels for each in level]

    def receive(self, unrolled: Sequence[Unrolled]) -> None:
        remaining = iter(unrolled)
        for each in self._passes:
            each.receive(list(islice(remaining, self._directions)))

    def result(self) -> tuple[Any, Any]:
        outputs, finals = zip(*(each.result() for each in self._passes), strict=True)
        if isinstance(finals[0], Tensor):
            return torch.cat(outputs), torch.cat(finals, dim=1)
        return torch.cat(outputs), tuple(torch.cat(part, 1) for part in zip(*finals, strict=True))
