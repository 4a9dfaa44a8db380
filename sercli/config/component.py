"""Build a part from its settings in a configuration."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sercli.errors import RequestError, nearest

T = TypeVar("T")

_CATCH_ALL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""``*args`` and ``**kwargs``: the signature of a class without a constructor of its own."""


def build(path: str, part: Callable[..., T], settings: Mapping[str, Any], /, **given: Any) -> T:
    """Call ``part`` with settings of the configuration and arguments of the program.

    Args:
        path: Key of the settings ("activation"), for messages.
        part: Class or function with annotated parameters.
        settings: Node of the configuration; its ``name``, which chose ``part``, is left out.
        given: Arguments that are not configuration.

    Raises:
        RequestError: A setting is unknown to ``part`` or of the wrong type.

    >>> from sercli.nn.activations import ACTIVATIONS
    >>> part = ACTIVATIONS["leaky_relu"]
    >>> build("activation", part, {"name": "leaky_relu", "slope": 0.2})  # doctest: +ELLIPSIS
    LeakyReLU(...)
    """
    chosen = {key: value for key, value in settings.items() if key != "name"}
    hints = typing.get_type_hints(part.__init__ if inspect.isclass(part) else part)
    known = [
        name
        for name, parameter in inspect.signature(part).parameters.items()
        if name not in given and parameter.kind not in _CATCH_ALL
    ]
    for key, value in chosen.items():
        if key not in known:
            raise RequestError(f"unknown setting '{path}.{key}'.{nearest(key, known)}")
        chosen[key] = _converted(f"{path}.{key}", value, hints.get(key, Any))
    return part(**chosen, **given)


def _converted(path: str, value: Any, wanted: Any) -> Any:
    """Return ``value`` as ``wanted``; an int is accepted for a float, no other type for another."""
    kinds = typing.get_args(wanted) or (wanted,)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = tuple(typing.get_origin(kind) or kind for kind in kinds)
    if wanted is Any or (
        isinstance(value, plain) and (bool in kinds or not isinstance(value, bool))
    ):
        return value
    if list in plain and not isinstance(value, dict):
        raise RequestError(f"{path}={value}: must be a list; write {path}=[{value}]")
    names = " or ".join(map(_type_name, plain))
    raise RequestError(f"{path}={value}: expected {names}, not {_type_name(type(value))}")


def _type_name(kind: type) -> str:
    return "null" if kind is type(None) else kind.__name__
