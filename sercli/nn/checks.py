"""Check settings of parts of networks, and name them in full in errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sercli.errors import RequestError, nearest


def check_finite(setting: str, value: float) -> None:
    """Refuse infinity and NaN.

    Args:
        setting: The name of the setting in a configuration ("activation.slope").
        value: Its value.

    Raises:
        RequestError: The value is not a finite number.
    """
    if not math.isfinite(value):
        raise RequestError(f"{setting}={value}: must be a finite number")


def check_at_least(setting: str, value: float, bound: float) -> None:
    """Refuse a value below ``bound``, infinity and NaN.

    Raises:
        RequestError: The value is not a finite number from ``bound`` up.
    """
    if not bound <= value < math.inf:
        raise RequestError(f"{setting}={value}: must be {bound:g} or more, and finite")


def check_positive(setting: str, value: float) -> None:
    """Refuse zero, negative numbers, infinity and NaN.

    Raises:
        RequestError: The value is not a finite number above 0.
    """
    if not 0 < value < math.inf:
        raise RequestError(f"{setting}={value}: must be above 0, and finite")


def check_choice(setting: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a value that is not among ``choices``.

    Raises:
        RequestError: The value is unknown; the message names the nearest choice.
    """
    known = list(choices)
    if value not in known:
        raise RequestError(f"{setting}={value} is not known.{nearest(value, known)}")


def check_one_of(setting: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is not among a few choices, and list them all.

    Raises:
        RequestError: The value is none of them.
    """
    if value not in choices:
        raise RequestError(f"{setting}={value}: must be one of {', '.join(choices)}")


def check_sizes(prefix: str = "", /, **sizes: int) -> None:
    """Refuse sizes below 1.

    Args:
        prefix: The prefix of the names in a configuration ("model.").
        sizes: The sizes, by name.

    Raises:
        RequestError: A size is below 1; the message names it.
    """
    for name, size in sizes.items():
        if size < 1:
            raise RequestError(f"{prefix}{name}={size}: must be 1 or more")
