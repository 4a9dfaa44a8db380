"""The sweep grammar: Hydra overrides with several values, expanded to an exact grid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sercli.config.compose import check_names, parse
from sercli.errors import RequestError

Point = tuple[str, ...]
"""The overrides that make one point of a grid."""


def expand(overrides: Sequence[str]) -> list[Point]:
    """Expand overrides to the points of their grid.

    Fixed overrides are part of every point. Values are those of ``a=1,2``, ``choice(…)``,
    ``range(…)`` and ``glob(…)``; the last override varies fastest; a value listed twice
    counts once.

    Raises:
        RequestError: An override is not understood, names an unknown key or choice, has no
            value, is an interval, or none has several values.
    """
    parsed = parse(overrides)
    check_names(parsed)
    if not any(override.is_sweep_override() for override in parsed):
        raise RequestError(
            "nothing to sweep: give a key several values, as in arelu.alpha=0.01,0.1 "
            "(for a single configuration: sercli train)"
        )
    axes = []
    for override in parsed:
        text = str(override.input_line)
        if override.is_interval_sweep():
            raise RequestError(
                f"'{text}' is an interval, and a grid needs values: "
                "list them (a=1,2), or use range(start,stop,step)"
            )
        if not override.is_sweep_override():
            axes.append([text])
            continue
        key = override.get_key_element()
        values = dict.fromkeys(str(value) for value in override.sweep_string_iterator())
        if not values:
            raise RequestError(f"'{text}' has no value")
        axes.append([f"{key}={value}" for value in values])
    return [tuple(point) for point in itertools.product(*axes)]
