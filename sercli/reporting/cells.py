"""Cells with figures: fractions become percentages, differences points."""

from __future__ import annotations

from collections.abc import Sequence

from sercli.reporting.table import NOTHING, Cell


def percent(
    fraction: float | None,
    deviation: float | None = None,
    bounds: Sequence[float] | None = None,
) -> Cell:
    """A fraction as a percentage, with its standard deviation and interval where there are any."""
    if fraction is None:
        return Cell(NOTHING)
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    between = "" if bounds is None else f" ({interval(bounds).text})"
    return Cell(f"{100 * fraction:.1f}{spread}{between}", 100 * fraction)


def points(difference: float | None, bounds: Sequence[float] | None = None) -> Cell:
    """A difference of fractions in points, with its sign and, where there is one, its interval."""
    if difference is None:
        return Cell(NOTHING)
    between = "" if bounds is None else f" ({_span(bounds)})"
    return Cell(f"{_signed(difference)}{between}", 100 * difference)


def interval(bounds: Sequence[float] | None) -> Cell:
    """An interval of fractions in per cent, sorted by its lower bound."""
    if bounds is None:
        return Cell(NOTHING)
    return Cell("–".join(f"{100 * bound:.1f}" for bound in bounds), 100 * bounds[0])


def number(value: float | None, form: str = "") -> Cell:
    """Any number, in Python's format ``form``."""
    return Cell(NOTHING) if value is None else Cell(format(value, form), float(value))


def probability(p: float | None) -> Cell:
    """A p-value with three decimals; a smaller one says so."""
    if p is None:
        return Cell(NOTHING)
    return Cell("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def _span(bounds: Sequence[float]) -> str:
    return " to ".join(map(_signed, bounds))


def _signed(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")
