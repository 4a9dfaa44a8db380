"""The sweep grammar: Hydra overrides with several values, parsed as axes of a search space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, cast

from hydra.core.override_parser.types import IntervalSweep, Override, OverrideType, RangeSweep
from hydra.errors import HydraException

from sercli.config.compose import OPEN_KEYS, check_names, parse
from sercli.config.settings import group_of
from sercli.errors import RequestError, nearest

MOST_VALUES = 100_000
"""Upper limit of values per axis and of trials per grid (our choice: more is a typing error)."""

Value = str | int | float
"""A value of an axis: text of an override (``'[0,1]'``, ``"null"``) or a number."""


@dataclass(frozen=True)
class Interval:
    """All numbers from ``low`` to ``high``, both included.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        log: Search on a logarithmic scale.
        whole: True for integers only; None: by the type of the setting.
    """

    low: float
    high: float
    log: bool = False
    whole: bool | None = None


@dataclass(frozen=True)
class Axis:
    """One override with several values.

    Attributes:
        key: Left side of the override ("arelu.alpha", "+dataset.classes.fru").
        text: Right side as written ("tanh,arelu", "interval(0,1)").
        values: Values in order: texts of a list, numbers of a range.
        interval: Continuous range; ``values`` is then empty.
        composed: True if a value changes more than one leaf of the configuration, so that each
            value needs a composition of its own.
    """

    key: str
    text: str
    values: tuple[Value, ...]
    interval: Interval | None = None
    composed: bool = False

    def override(self, value: Value) -> str:
        """Return one of the values as an override."""
        return f"{self.key}={value}"


def plain_key(item: str | Axis) -> str:
    """Return the key of an override or an axis without Hydra's + and ~.

    >>> plain_key("+dataset.classes.fru=frustration")
    'dataset.classes.fru'
    """
    text = item.key if isinstance(item, Axis) else item.partition("=")[0]
    return text.lstrip("+~")


def read_sweep(overrides: Sequence[str]) -> list[str | Axis]:
    """Separate fixed overrides from axes.

    An axis is ``a=1,2``, ``choice(…)``, ``range(…)`` (without its stop, as in Python),
    ``glob(…)`` or ``interval(…)``. Repeated values count once, and ``shuffle(…)`` is resolved
    here, once. Of two overrides of one key the later counts.

    Returns:
        The overrides in their order; one with several values as an axis.

    Raises:
        RequestError: An override cannot be parsed, names an unknown key or choice, or has no
            value; an interval is empty or over choices.

    >>> read_sweep(["activation=tanh", "arelu.alpha=0.01,0.9"])[1].values
    ('0.01', '0.9')
    """
    parsed = _last_of_each_key(parse(overrides))
    for override in parsed:
        if override.is_interval_sweep() and group_of(override.key_or_group):
            raise RequestError(f"'{override.input_line}': a group has choices, not an interval")
    check_names(parsed)
    return [_item(override, parsed) for override in parsed]


def _last_of_each_key(parsed: Sequence[Override]) -> list[Override]:
    """Drop overrides that a later one of the same key replaces; a mapping is merged instead."""
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
    """True if a value is more than one leaf that no other override sets."""
    key = override.key_or_group
    others = [other.key_or_group for other in parsed if other is not override]
    return (
        override.type != OverrideType.CHANGE
        or group_of(key) is not None
        or key.startswith(OPEN_KEYS)
        or _holds(override, dict, list)
        or any(_overlap(key, other) for other in others if group_of(other) is None)
    )


def _overlap(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _holds(override: Override, *kinds: type) -> bool:
    """True if the value, or one of the values, is of one of these types."""
    value = override.value()
    values = getattr(value, "list", None) or [value]
    return any(isinstance(each, kinds) for each in values)


def _values(override: Override, sweep: Any) -> tuple[Value, ...]:
    """Return the values of an axis, each once."""
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
    """Make range(0.1,0.4,0.1) give 0.1, 0.2 and 0.3.

    Hydra adds binary fractions: 0.30000000000000004, and then 0.4 too.
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
        raise RequestError(f"'{text}': the bounds of an interval are numbers")
    if low >= high:
        raise RequestError(f"'{text}' has no value: write interval(LOW,HIGH)")
    if log and low <= 0:
        raise RequestError(f"'{text}': a log interval needs numbers above 0")
    return Interval(low, high, log, _whole(text, sweep))


def _whole(text: str, sweep: IntervalSweep) -> bool | None:
    """Return the type that a cast asks for; Hydra's intervals are floats, cast or not."""
    if isinstance(sweep.start, int):
        return True
    return False if "float(" in text else None
