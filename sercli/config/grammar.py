"""The sweep grammar: Hydra overrides with several values, expanded to an exact grid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal

from hydra.core.override_parser.types import Override, RangeSweep
from hydra.errors import HydraException

from sercli.config.compose import check_names, parse
from sercli.errors import RequestError

Point = tuple[str, ...]
"""The overrides that make one point of a grid."""


def expand(overrides: Sequence[str], *, alone: bool = False) -> list[Point]:
    """Expand overrides to the points of their grid.

    Fixed overrides are part of every point. Values are those of ``a=1,2``, ``choice(…)``,
    ``range(…)`` (without its stop, as Python's) and ``glob(…)``; the last override varies
    fastest; a value listed twice counts once.

    Args:
        overrides: The overrides.
        alone: Whether a single point will do.

    Raises:
        RequestError: An override is not understood, names an unknown key or choice, has no
            value, is an interval, or none has several values.
    """
    parsed = parse(overrides)
    for override in parsed:
        if override.is_interval_sweep():
            raise RequestError(
                f"'{override.input_line}' is an interval, and a grid needs values: "
                "list them (a=1,2), or use range(start,stop,step)"
            )
    check_names(parsed)
    if not alone and not any(override.is_sweep_override() for override in parsed):
        raise RequestError(
            "nothing to sweep: give a key several values, as in arelu.alpha=0.01,0.1 "
            "(for a single configuration: sercli train)"
        )
    return list(itertools.product(*map(_axis, parsed)))


def _axis(override: Override) -> list[str]:
    """The values of one override, each as an override of its own."""
    text = str(override.input_line)
    if not override.is_sweep_override():
        return [text]
    sweep = override.value()
    if isinstance(sweep, RangeSweep):
        _count_in_decimals(sweep)
    try:
        values = dict.fromkeys(override.sweep_string_iterator())
    except (ValueError, HydraException) as error:
        raise RequestError(f"'{text}' has no end: its step is 0") from error
    if not values:
        raise RequestError(f"'{text}' has no value")
    return [f"{override.get_key_element()}={value}" for value in values]


def _count_in_decimals(sweep: RangeSweep) -> None:
    """Make range(0.1,0.4,0.1) hold 0.1, 0.2 and 0.3.

    Hydra adds up the binary fractions: 0.30000000000000004, and then 0.4 too.
    """
    for name in ("start", "stop", "step"):
        value = getattr(sweep, name)
        if isinstance(value, float):
            setattr(sweep, name, Decimal(str(value)))
