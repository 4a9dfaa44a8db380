"""The space of a sweep: its axes, and the frozen configurations of its points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, cast

from sercli.config.compose import parse
from sercli.config.frozen import choices_of, leaves_of, overrides_of, thaw
from sercli.config.grammar import Axis, Interval, Value
from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.search.plan.filter import Filter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

POINT = "point"
"""Key of the axis whose values are the named points of a plan file."""


@dataclass(frozen=True)
class Point:
    """A point of a space.

    Attributes:
        overrides: Its overrides; they compose to its configuration as long as no file is edited.
        base: Name of its frozen configuration (`base_name`).
        settings: Key → value to set in the frozen configuration.
        parameters: Key of each axis → value, as `Space.point` takes them.
    """

    overrides: tuple[str, ...]
    base: str
    settings: Mapping[str, Any]
    parameters: Mapping[str, Value]


@dataclass(frozen=True)
class Space:
    """The space of a sweep, complete enough for workers on other machines.

    Attributes:
        axes: The swept hyperparameters; the last varies fastest in a grid.
        bases: Values of the composed axes (`base_name`) → frozen configuration.
        exclude: Expression that excludes points (`sercli.search.plan.filter`).
    """

    axes: tuple[Axis, ...]
    bases: Mapping[str, str]
    exclude: str | None = None

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return key → the distribution that a sampler draws from.

        Intervals and ranges are numbers; choices are strings as an override writes them.
        """
        return {axis.key: _distribution(axis) for axis in self.axes}

    def point(self, parameters: Mapping[str, Any]) -> Point:
        """Return the point with these values of the axes.

        Args:
            parameters: Key of the axis → value.

        Raises:
            RequestError: A value is missing, or not on its axis.
        """
        chosen = {axis.key: _chosen(axis, parameters) for axis in self.axes}
        base = base_name(self.axes, chosen)
        settings, words = {}, []
        for axis in self.axes:
            if not axis.composed:
                value = chosen[axis.key]
                word = axis.override(value)
                settings[axis.key] = _meaning(word) if isinstance(value, str) else value
                words.append(word)
        return Point((*overrides_of(self.bases[base]), *words), base, settings, chosen)

    def grid(self) -> Iterator[Point]:
        """Yield all points of a space without intervals, the last axis varying fastest."""
        keys = [axis.key for axis in self.axes]
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield self.point(dict(zip(keys, values, strict=True)))

    def samples(self) -> Iterator[Point]:
        """Yield a few points that together have every value and both ends of each interval.

        An invalid value shows in one of them.
        """
        lists = {
            axis.key: [axis.interval.low, axis.interval.high] if axis.interval else axis.values
            for axis in self.axes
        }
        composed = [axis.key for axis in self.axes if axis.composed]
        free = [key for key in lists if key not in composed]
        for base in itertools.product(*(lists[key] for key in composed)):
            for turn in range(max([len(lists[key]) for key in free], default=1)):
                chosen = {key: lists[key][turn % len(lists[key])] for key in free}
                yield self.point(chosen | dict(zip(composed, base, strict=True)))

    def thaw(self, point: Point) -> Config:
        """Return the configuration of a point as it was planned.

        Raises:
            RequestError: The configuration is invalid.
        """
        return thaw(self.bases[point.base], point.settings)

    def excludes(self, point: Point, config: Config) -> bool:
        """Return True if a point is excluded.

        Args:
            point: The point.
            config: Its configuration.

        Raises:
            RequestError: The expression cannot be evaluated for it.
        """
        matches = self._filter
        return matches is not None and matches(config, choices_of(self.bases[point.base]))

    @cached_property
    def _filter(self) -> Filter | None:
        if self.exclude is None:
            return None
        keys = {key for text in self.bases.values() for key in leaves_of(text)}
        return Filter(self.exclude, keys)

    def to_json(self) -> dict[str, Any]:
        """Return the space as a JSON document."""
        return {
            "axes": [asdict(axis) for axis in self.axes],
            "bases": dict(self.bases),
            "exclude": self.exclude,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Space:
        """Return the space of a document of `to_json`."""
        axes = tuple(_axis(**axis) for axis in content["axes"])
        return cls(axes, content["bases"], content["exclude"])


def base_name(axes: Sequence[Axis], chosen: Mapping[str, Value]) -> str:
    """Return the name of a frozen configuration: its values of the composed axes."""
    return " ".join(axis.override(chosen[axis.key]) for axis in axes if axis.composed)


def _axis(values: list[Value], interval: Mapping[str, Any] | None, **plain: Any) -> Axis:
    numbers = Interval(**interval) if interval is not None else None
    return Axis(values=tuple(values), interval=numbers, **plain)


@lru_cache(maxsize=4096)
def _meaning(word: str) -> Any:
    """Return the value of an override by Hydra's grammar."""
    return parse([word])[0].value()


def _chosen(axis: Axis, parameters: Mapping[str, Any]) -> Value:
    """Return the value of an axis that a sampler has chosen."""
    value = parameters.get(axis.key)
    if value in axis.values:
        return cast("Value", value)
    if isinstance(value, int | float):
        if axis.interval is not None and axis.interval.low <= value <= axis.interval.high:
            return int(value) if axis.interval.whole else float(value)
        for known in axis.values:  # a sampler counts the steps of a range in binary fractions
            if isinstance(known, int | float) and math.isclose(known, value, abs_tol=1e-12):
                return known
    raise RequestError(
        f"'{axis.override(str(value))}' is not in {axis.text}; the study has another space"
    )


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.interval is not None:
        interval = axis.interval
        if interval.whole:
            return IntDistribution(int(interval.low), int(interval.high), log=interval.log)
        return FloatDistribution(interval.low, interval.high, log=interval.log)
    if any(isinstance(value, str) for value in axis.values):
        return CategoricalDistribution(axis.values)
    low, *more = sorted(Decimal(str(value)) for value in axis.values)
    high, step = (more[-1], more[0] - low) if more else (low, 1)
    if all(isinstance(value, int) for value in axis.values):
        return IntDistribution(int(low), int(high), step=int(step))
    return FloatDistribution(float(low), float(high), step=float(step))
