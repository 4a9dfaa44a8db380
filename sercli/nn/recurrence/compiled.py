"""A cache of compiled activations and of failures to compile them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from sercli.nn.activations import Activation
from sercli.nn.recurrence.cpp.build import NoKernelError

Code = TypeVar("Code")


class CompiledActivations(Generic[Code]):
    """The compiled activations of a backend; each is compiled once.

    Args:
        compile_one: Compilation of an activation with a number of coefficients.
    """

    def __init__(self, compile_one: Callable[[nn.Module, int], Code]) -> None:
        self._compile_one = compile_one
        self._known: WeakKeyDictionary[nn.Module, Code | NoKernelError] = WeakKeyDictionary()

    def get(self, activation: nn.Module, count: int) -> Code:
        """Return the code of an activation with ``count`` coefficients.

        Raises:
            NoKernelError: It cannot be compiled, or could not be before.
        """
        found = self._known.get(activation)
        if found is None:
            try:
                found = self._compile_checked(activation, count)
            except NoKernelError as error:
                found = error
            self._known[activation] = found
        if isinstance(found, NoKernelError):
            raise found.again()
        return found

    def prepare(self, activation: nn.Module) -> None:
        """Compile an activation in advance.

        Raises:
            NoKernelError: The activation cannot be compiled.
        """
        shape = torch.Size((1, 1))
        given = activation.coefficients(shape) if isinstance(activation, Activation) else ()
        self.get(activation, len(given))

    def raise_if_failed(self, activation: nn.Module) -> None:
        """Raise the error of an earlier attempt to compile an activation."""
        if isinstance(known := self._known.get(activation), NoKernelError):
            raise known.again()

    def _compile_checked(self, activation: nn.Module, count: int) -> Code:
        if not count and any(True for _ in activation.parameters()):
            name = type(activation).__name__
            raise NoKernelError(f"activation {name} has parameters but is no sercli Activation")
        return self._compile_one(activation, count)
