"""Registries of parts by name.

A configuration names an activation, a cell, a model or a reader; it never names code. Each kind
has one package, whose modules register what they define: a new part is a new module there and a
YAML file in ``conf/``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import Generic, TypeVar

from sercli.errors import RequestError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Parts of one kind, by name.

    Args:
        kind: Name of the kind in messages ("activation").
        package: Package whose modules register parts ("sercli.nn.activations").

    >>> from sercli.nn.activations import ACTIVATIONS
    >>> "arelu" in ACTIVATIONS.names()
    True
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._parts: dict[str, T] = {}

    def register(self, *names: str) -> Callable[[T], T]:
        """Register the decorated class or function under each of ``names``."""

        def enter(part: T) -> T:
            for name in names:
                self._parts[name] = part
            return part

        return enter

    def __getitem__(self, name: str) -> T:
        """Return the part called ``name``.

        Raises:
            RequestError: There is none; the message suggests the nearest name.
        """
        if name not in self._parts:
            self._import_namesake(name)
        if name not in self._parts:
            self._import_modules()
        if name not in self._parts:
            raise RequestError(f"unknown {self.kind} '{name}'.{nearest(name, self._parts)}")
        return self._parts[name]

    def names(self) -> list[str]:
        """Return the names of all parts, sorted."""
        self._import_modules()
        return sorted(self._parts)

    def _import_namesake(self, name: str) -> None:
        """Import the module with the name of a part, which usually defines it; all take 0.1 s."""
        module = f"{self._package}.{name}"
        if str(name).isidentifier() and find_spec(module) is not None:
            importlib.import_module(module)

    def _import_modules(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
