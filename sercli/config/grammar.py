"""The sweep grammar: Hydra overrides with several values, read as the axes of a space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, cast

from hydra.core.override_parser.types import IntervalSweep, Override, OverrideType, RangeSweep
from hydra.errors import HydraException

from sercli.config.compose import GROUPS, OPEN_KEYS, check_names, parse
from sercli.errors import RequestError, nearest

MOST_VALUES = 100_000
"""Of an axis, and of the points of a grid (our choice: who asks for more has mistyped)."""

Value = str | int | float
"""A value of an axis: as an override writes it (``'[0,1]'``, ``"null"``), or a number."""


@dataclass(frozen=True)
class Interval:
    """All numbers from ``low`` to ``high``, both included.

    Attributes:
        low: The least.
        high: The largest.
        log: Whether they are searched by their logarithm.
        whole: Whether only whole numbers count; None: as the setting itself says.
    """

    low: float
    high: float
    log: bool = False
    whole: bool | None = None


@dataclass(frozen=True)
class Axis:
    """One override with several values.

    Attributes:
        key: What it sets, as an override begins ("arelu.alpha", "+dataset.classes.fru").
        text: Its values as they were asked for ("tanh,arelu", "interval(0,1)").
        values: Its values in order: overrides' own words of a choice, numbers of a range.
        interval: Its numbers, of which there is no end; ``values`` is then empty.
        composed: Whether a value changes more than one leaf of a configuration, so that each
            needs a configuration of its own.
    """

    key: str
    text: str
    values: tuple[Value, ...]
    interval: Interval | None = None
    composed: bool = False

    def word(self, value: Value) -> str:
        """Write one of the values as an override."""
        return f"{self.key}={value}"


def read_sweep(overrides: Sequence[str]) -> list[str | Axis]:
    """Tell fixed overrides from swept ones.

    An axis has the values of ``a=1,2``, ``choice(…)``, ``range(…)`` (without its stop, as
    Python's), ``glob(…)`` or ``interval(…)``; a value listed twice counts once, and
    ``shuffle(…)`` is resolved here, once. Of two overrides of one key the later counts.

    Returns:
        The overrides in their order, a swept one as an axis.

    Raises:
        RequestError: An override is not understood, names an unknown key or choice, or has no
            value; an interval has no numbers, or is one of choices.
    """
    parsed = _last_of_each_key(parse(overrides))
    for override in parsed:
        if override.is_interval_sweep() and override.key_or_group in GROUPS:
            raise RequestError(f"'{override.input_line}': a group has choices, and no interval")
    check_names(parsed)
    return [_item(override, parsed) for override in parsed]


def _last_of_each_key(parsed: Sequence[Override]) -> list[Override]:
    """Drop what a later override of the same key undoes; a mapping would add to it instead."""
    return [
        override
        for position, override in enumerate(parsed)
        if not any(
            later.key_or_group == override.key_or_group
            and later.type == OverrideType.CHANGE == override.type
            and not _holds(later, dict)
            for later in parsed[position + 1 :]
        )
    ]


def _item(override: Override, parsed: Sequence[Override]) -> str | Axis:
    text = str(override.input_line)
    if not override.is_sweep_override():
        return text
    key, _, words = text.partition("=")
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        return Axis(key, words, (), _interval(text, sweep))
    if getattr(sweep, "tags", None):
        raise RequestError(f"'{text}': only an interval has a tag, as in tag(log,interval(1,9))")
    composed = _is_composed(override, parsed)
    return Axis(key, words, _values(override, sweep), composed=composed)


def _is_composed(override: Override, parsed: Sequence[Override]) -> bool:
    """Whether the values of a sweep are more than one leaf set last."""
    key = override.key_or_group
    others = [other.key_or_group for other in parsed if other is not override]
    return (
        override.type != OverrideType.CHANGE
        or key in GROUPS
        or key.startswith(OPEN_KEYS)
        or _holds(override, dict, list)
        or any(_overlap(key, other) for other in others if other not in GROUPS)
    )


def _overlap(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _holds(override: Override, *kinds: type) -> bool:
    """Whether the value, or one of the values, is of one of these kinds."""
    value = override.value()
    values = getattr(value, "list", None) or [value]
    return any(isinstance(each, kinds) for each in values)


def _values(override: Override, sweep: Any) -> tuple[Value, ...]:
    """The values of a sweep, each once."""
    text = override.input_line
    try:
        if isinstance(sweep, RangeSweep):
            _count_in_decimals(sweep)
            listed = cast("Iterator[Value]", override.sweep_iterator())
        else:
            listed = override.sweep_string_iterator()
        values = tuple(dict.fromkeys(islice(listed, MOST_VALUES + 1)))
    except (ValueError, HydraException) as error:
        raise RequestError(f"'{text}' has no end: its step is 0") from error
    if not values:
        raise RequestError(f"'{text}' has no value")
    if len(values) > MOST_VALUES:
        raise RequestError(f"'{text}' has more than {MOST_VALUES} values; use an interval")
    return values


def _count_in_decimals(sweep: RangeSweep) -> None:
    """Make range(0.1,0.4,0.1) hold 0.1, 0.2 and 0.3.

    Hydra adds up the binary fractions: 0.30000000000000004, and then 0.4 too.
    """
    for name in ("start", "stop", "step"):
        value = getattr(sweep, name)
        if isinstance(value, float):
            setattr(sweep, name, Decimal(str(value)))


def _interval(text: str, sweep: IntervalSweep) -> Interval:
    low, high = sweep.start, sweep.end
    for tag in sweep.tags:
        if tag != "log":
            raise RequestError(f"'{text}': unknown tag '{tag}'.{nearest(tag, ['log'])}")
    log = bool(sweep.tags)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        raise RequestError(f"'{text}': an interval ends at numbers")
    if low >= high:
        raise RequestError(f"'{text}' has no value: write interval(LEAST,LARGEST)")
    if log and low <= 0:
        raise RequestError(f"'{text}': a logarithm needs numbers above 0")
    return Interval(low, high, log, _whole(text, sweep))


def _whole(text: str, sweep: IntervalSweep) -> bool | None:
    """What a cast says; Hydra's intervals are floats, cast or not."""
    if isinstance(sweep.start, int):
        return True
    return False if "float(" in text else None
