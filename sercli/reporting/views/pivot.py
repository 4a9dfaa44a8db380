"""UA by any two settings: a configuration key or a group down, another one across."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sercli.config.keys import arelu_aliases, flatten
from sercli.errors import RequestError, nearest
from sercli.reporting.table import NOTHING, Cell, Column, Row, Table, View, percent_cell
from sercli.reporting.views.published import task_warnings
from sercli.reporting.views.rows import task_of, task_title
from sercli.results.run_record import Record
from sercli.results.seal import seal_warning

_APART = ("dataset", "protocol")
"""Groups that part tasks: where one is an axis, runs of several tasks stand in one table."""


@dataclass(frozen=True)
class Axes:
    """What stands down and across: a key of the configuration, a group, or None for all runs."""

    down: str | None
    across: str | None

    @property
    def named(self) -> list[str]:
        """The keys that are given."""
        return [axis for axis in (self.down, self.across) if axis is not None]


@dataclass(frozen=True)
class _Run:
    row: Row
    down: Any
    across: Any


def pivot_view(rows: Sequence[Row], records: Sequence[Record], axes: Axes) -> View:
    """Tabulate UA by settings; where any run of a table is sealed, dev UA.

    Args:
        rows: Those of the runs.
        records: The runs.
        axes: Keys (``optim.lr``), groups (``activation``) or ``experiment``.

    Returns:
        For each task a table. A cell is a run ± the standard deviation over its seeds, or the mean
        over several runs ± the standard deviation over them, with their number. The values of
        an axis stand in natural order.

    Raises:
        RequestError: No run has such a key.
    """
    settings = {(record.experiment, record.key): _settings(record) for record in records}
    known = {key for setting in settings.values() for key in setting}
    for axis in axes.named:
        if axis not in known:
            raise RequestError(f"no run has a setting '{axis}'.{nearest(axis, known)}")
    runs = []
    for row in rows:
        setting = settings[row["experiment"], row["runs"][0]]
        runs.append(_Run(row, setting.get(axes.down or ""), setting.get(axes.across or "")))
    tables, data = [], []
    for part in _parts(runs, axes):
        lines = list(_lines(part, axes))
        tables.append(_table(part, lines, axes))
        data += lines
    return View(tuple(tables), {"pivot": data})


def _settings(record: Record) -> dict[str, Any]:
    """Every key, every group by the name of its choice, and ``arelu.*`` where AReLU is used."""
    configuration = record.summary["configuration"]
    groups = {
        group: node["name"]
        for group, node in configuration.items()
        if isinstance(node, Mapping) and "name" in node
    }
    settings = {**flatten(configuration), **arelu_aliases(configuration["activation"])}
    return {"experiment": record.experiment, **settings, **groups}


def _parts(runs: Sequence[_Run], axes: Axes) -> Iterable[list[_Run]]:
    """Runs of one task each, but for what the axes themselves part."""
    parted = any(axis in _APART for axis in axes.named)
    found: dict[object, list[_Run]] = {}
    for run in runs:
        task = len(run.row["card"]["classes"]) if parted else task_of(run.row)
        found.setdefault(task, []).append(run)
    return found.values()


def _lines(part: Sequence[_Run], axes: Axes) -> Iterator[Row]:
    """A line of data for every cell that holds a run."""
    metric = "dev_ua" if any(run.row["sealed"] for run in part) else "ua"
    cells: dict[tuple[str, str], list[Row]] = {}
    for run in part:
        cells.setdefault((_text(run.down), _text(run.across)), []).append(run.row)
    for down, across in product(_in_order(x.down for x in part), _in_order(x.across for x in part)):
        rows = cells.get((_text(down), _text(across)))
        if rows:
            place = {axes.down: down, axes.across: across}
            named = {axis: value for axis, value in place.items() if axis is not None}
            yield {"task": _task(rows), **named, "metric": metric, **_pooled(rows, metric)}


def _task(rows: Sequence[Row]) -> str | None:
    """The task of a cell, which has no figure where runs of several meet."""
    return task_title(rows[0]) if len({task_of(row) for row in rows}) == 1 else None


def _pooled(rows: Sequence[Row], metric: str) -> Row:
    measured = [row for row in rows if row[metric] is not None]
    values = [row[metric] for row in measured] if _task(rows) else []
    if len(values) == 1:
        spread = measured[0][f"{metric}_sd"]
    else:
        spread = statistics.stdev(values) if values else None
    return {
        "mean": statistics.fmean(values) if values else None,
        "sd": spread,
        "runs": [key for row in measured for key in row["runs"]],
        "diverged": len(rows) - len(measured),
    }


def _table(part: Sequence[_Run], lines: Sequence[Row], axes: Axes) -> Table:
    down, across = axes.down or "", axes.across or ""
    cells = {(_text(line.get(down)), _text(line.get(across))): _cell(line) for line in lines}
    downs = _in_order(run.down for run in part)
    acrosses = _in_order(run.across for run in part)
    rows = [run.row for run in part]
    sealed = sum(row["sealed"] for row in rows)
    warnings = dict.fromkeys(text for row in rows for text in task_warnings(row))
    return Table(
        title=_title(lines),
        columns=(
            Column(down),
            *(Column(_heading(axes.across, x), numeric=True) for x in acrosses),
        ),
        rows=tuple(
            (
                _value_cell(axes.down, y),
                *(cells.get((_text(y), _text(x)), Cell("")) for x in acrosses),
            )
            for y in downs
        ),
        notes=tuple(_notes(lines)),
        warning=" ".join(filter(None, (*warnings, seal_warning(sealed, len(rows))))),
    )


def _title(lines: Sequence[Row]) -> str:
    tasks = sorted({line["task"] for line in lines if line["task"] is not None})
    what = "dev UA" if lines[0]["metric"] == "dev_ua" else "UA"
    return f"{'; '.join(tasks) or 'several tasks'}: {what} (per cent)"


def _cell(line: Row) -> Cell:
    if line["mean"] is None:
        return Cell("diverged" if line["task"] and line["diverged"] else NOTHING)
    cell = percent_cell(line["mean"], line["sd"])
    several = f" (n={len(line['runs'])})" if len(line["runs"]) > 1 else ""
    return replace(cell, text=cell.text + several)


def _value_cell(axis: str | None, value: Any) -> Cell:
    text = "all runs" if axis is None else _text(value)
    return Cell(text, float(value) if _is_number(value) else None)


def _heading(axis: str | None, value: Any) -> str:
    return "all runs" if axis is None else f"{axis} {_text(value)}"


def _notes(lines: Sequence[Row]) -> Iterator[str]:
    if any(len(line["runs"]) > 1 for line in lines):
        yield "n: runs in a cell, which is their mean ± their standard deviation."
    if any(len(line["runs"]) == 1 and line["sd"] is not None for line in lines):
        yield "± of a single run is the standard deviation over its seeds."
    if any(line["diverged"] and line["mean"] is not None for line in lines):
        yield "Runs that diverged are left out of the means."
    tasks = {line["task"] for line in lines}
    if len(tasks) > 1:
        yield "Figures of different corpora, classes or protocols do not compare with each other."
    if None in tasks:
        yield f"{NOTHING}: runs of several tasks meet there."


def _in_order(values: Iterable[Any]) -> list[Any]:
    """Distinct values: numbers by size, then words, and last what has no such setting."""
    distinct = {_text(value): value for value in values}
    return sorted(distinct.values(), key=_order)


def _order(value: Any) -> tuple[bool, bool, float, str]:
    number = float(value) if _is_number(value) else 0.0
    return value is None, not _is_number(value), number, _text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)
