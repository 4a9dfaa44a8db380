"""Hold the settings of a model to what a network can have."""

from __future__ import annotations

from sercli.errors import RequestError


def check_sizes(**sizes: int) -> None:
    """Refuse layers without a unit.

    Raises:
        RequestError: Names the setting as the configuration does.
    """
    for name, size in sizes.items():
        if size < 1:
            raise RequestError(f"model.{name}={size}: must be 1 or more")


def check_dropout(dropout: float) -> None:
    """Refuse shares that drop everything or are none.

    Raises:
        RequestError: ``dropout`` is not in [0, 1).
    """
    if not 0 <= dropout < 1:
        raise RequestError(f"model.dropout={dropout:g}: must be in [0, 1)")
