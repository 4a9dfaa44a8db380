"""A run beside its repetition, to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from sercli.reporting.table import (
    Cell,
    Column,
    Table,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    text_column,
)
from sercli.reporting.views.difference import differences_table
from sercli.results.agreement import TOLERANCE, Rerun


def rerun_tables(made: Rerun, *, shows_test: bool = True) -> list[Table]:
    """Lay out what agrees, unit by unit, and what differs between the two environments.

    Args:
        made: The run and its repetition.
        shows_test: Whether figures of test may be shown; a sealed search keeps them.
    """
    columns: list[_Laid] = [
        text_column("fold", lambda unit: str(unit["fold"])),
        number_column("seed", lambda unit: number_cell(unit["seed"])),
        *_both("selected_step", "step", lambda step: number_cell(step, ".0f")),
    ]
    for metric, heading in (("dev_ua", "dev UA"), ("ua", "UA"), ("wa", "WA")):
        if shows_test or metric == "dev_ua":
            columns += _both(metric, heading, percent_cell)
    columns += [
        number_column("alike", lambda unit: percent_cell(_known(unit["same"]))),
        number_column("farthest", lambda unit: number_cell(_known(unit["farthest"]), ".2g")),
    ]
    units = made.fold_runs.to_dict("records")
    title = f"{made.record.experiment}/{made.record.key} and its rerun: {verdict(made)}"
    table = make_table(title, columns, units, notes=_notes(made))
    changed = differences_table("What differs between the two", made.changed, "record", "rerun")
    return [table, changed] if made.changed else [table]


_Unit = dict[Any, Any]
_Laid = tuple[Column, Callable[[_Unit], Cell]]


def verdict(made: Rerun) -> str:
    """Say in a few words whether the two agree."""
    if not made.agrees:
        return "THEY DO NOT AGREE"
    if made.exact:
        return "they agree to the last digit"
    return f"they agree within {100 * TOLERANCE:g} point"


def _both(name: str, heading: str, form: Callable[[float | None], Cell]) -> list[_Laid]:
    """Two columns: that of the record, and that of its repetition."""
    return [
        number_column(heading, lambda unit: form(_known(unit[name]))),
        number_column(f"{heading} again", lambda unit: form(_known(unit[f"{name}_again"]))),
    ]


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _notes(made: Rerun) -> Iterator[str]:
    yield from (f"{reason}." for reason in made.reasons[:_LISTED])
    if len(made.reasons) > _LISTED:
        yield f"And {len(made.reasons) - _LISTED} more."
    yield "alike: share of test predictions that are the same; farthest: two probabilities apart."
    if not made.exact:
        yield (
            "The last digits may differ here, and training makes much of that: UA and WA of the "
            f"whole run, on dev and test, may lie {100 * TOLERANCE:g} points apart."
        )
    yield f"The rerun: {made.again.path}"


_LISTED = 5
"""Reasons that are named."""
