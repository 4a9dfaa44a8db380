"""Hold the settings of a model to what a network can have."""

from __future__ import annotations

from sercli.errors import RequestError
from sercli.nn import checks


def check_sizes(**sizes: int) -> None:
    """Refuse layers without a unit.

    Raises:
        RequestError: Names the setting as the configuration does.
    """
    checks.check_sizes("model.", **sizes)


def check_dropout(dropout: float) -> None:
    """Refuse shares that drop everything or are none.

    Raises:
        RequestError: ``dropout`` is not in [0, 1).
    """
    if not 0 <= dropout < 1:
        raise RequestError(f"model.dropout={dropout:g}: must be in [0, 1)")


def check_weight(name: str, weight: float) -> None:
    """Refuse weights of losses that are below 0 or not finite.

    Raises:
        RequestError: Names the setting as the configuration does.
    """
    if not 0 <= weight < float("inf"):
        raise RequestError(f"model.{name}={weight:g}: must be 0 or more")
