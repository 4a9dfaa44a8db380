"""The experiments of a runs folder, one per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sercli.errors import counted
from sercli.reporting.table import (
    Cell,
    Columns,
    View,
    ccc_cell,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    text_column,
)
from sercli.results.experiments import Experiment


def experiments_view(experiments: Sequence[Experiment]) -> View:
    """Show experiments: trials, states, best UA or CCC on dev, size, last change.

    Args:
        experiments: The experiments.
    """
    columns: Columns[Experiment] = [
        text_column("experiment", lambda each: each.name),
        number_column("trials", lambda each: number_cell(each.trials)),
        text_column("states", _states),
        number_column("best dev UA", lambda each: percent_cell(each.dev_ua)),
        number_column("size", lambda each: Cell(size_text(each.size), each.size)),
        number_column("weights", lambda each: Cell(size_text(each.weights), each.weights)),
        text_column("last change (UTC)", lambda each: each.changed[:16].replace("T", " ")),
        text_column("user", lambda each: each.user),
    ]
    if any(each.dev_ccc is not None for each in experiments):
        columns.insert(4, number_column("best dev CCC", lambda each: ccc_cell(each.dev_ccc)))
    problems = [f"{each.name}: {each.problem}." for each in experiments if each.problem]
    total = size_text(sum(each.size for each in experiments))
    table = make_table(
        f"{counted(len(experiments), 'experiment')}, {total}",
        columns if experiments else [],
        experiments,
        notes=[
            *(["States as of the last exit of a worker."] if experiments else []),
            *problems,
        ],
    )
    rows = [asdict(each) for each in experiments]
    return View((table,), {"experiments": rows}, rows)


def size_text(size: int) -> str:
    """Return a number of bytes, rounded, in kB, MB, GB or TB.

    >>> size_text(999), size_text(1_234_567)
    ('1.0 kB', '1.2 MB')
    """
    amount, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if amount < 99.5 else f"{amount:.0f} {unit}"


def _states(each: Experiment) -> str:
    if each.problem:
        return "cannot be read"
    return ", ".join(f"{n} {state}" for state, n in each.states.items()) or "empty"
