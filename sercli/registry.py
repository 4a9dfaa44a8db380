"""Find a part by the name that the configuration gives it.

A configuration names an activation, a cell, a model or a reader; it never names code.
Each kind has one folder, whose modules register what they define; a new part is one
new file there (and one in ``conf/``), and this file does not change.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

from sercli.errors import RequestError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """The parts of one kind, by name.

    Args:
        kind: What a part is called in messages ("activation").
        package: The package whose modules register parts ("sercli.nn.activations").
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._parts: dict[str, T] = {}

    def register(self, *names: str) -> Callable[[T], T]:
        """Enter the decorated class or function under each of ``names``."""

        def enter(part: T) -> T:
            for name in names:
                self._parts[name] = part
            return part

        return enter

    def __getitem__(self, name: str) -> T:
        """Return the part called ``name``.

        Raises:
            RequestError: There is none; the message names the nearest one.
        """
        if name not in self._parts:
            self._import_modules()
        if name not in self._parts:
            raise RequestError(f"unknown {self.kind} '{name}'.{nearest(name, self._parts)}")
        return self._parts[name]

    def names(self) -> list[str]:
        """Return the names of all parts, sorted."""
        self._import_modules()
        return sorted(self._parts)

    def _import_modules(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
