"""UA by one or two settings: configuration keys or groups as rows and columns."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sercli.config.keys import arelu_aliases, augmentations, flatten, stream_choices
from sercli.errors import RequestError, nearest
from sercli.reporting.table import NOTHING, Cell, Column, Table, View, percent_cell
from sercli.reporting.views.published import task_warnings
from sercli.reporting.views.rows import RunRow
from sercli.results.run_record import Record
from sercli.results.seal import seal_warning

_OF_TASK = ("dataset", "protocol")
"""Groups that tell tasks apart: with one as an axis, a table holds runs of several tasks."""


@dataclass(frozen=True)
class Axes:
    """The settings of rows and columns.

    Attributes:
        rows: A key of the configuration, a group or ``experiment``; None: one row for all runs.
        columns: The same for the columns.
    """

    rows: str | None
    columns: str | None

    @property
    def named(self) -> list[str]:
        """The settings that are given."""
        return [axis for axis in (self.rows, self.columns) if axis is not None]


@dataclass(frozen=True)
class _Run:
    row: RunRow
    down: Any
    across: Any


@dataclass(frozen=True)
class _PivotCell:
    """A table cell.

    Attributes:
        down: Value of the row's setting.
        across: Value of the column's setting.
        task: The task in words; None: the runs are of several, and have no mean.
        metric: ``ua``, or ``dev_ua`` where a run is sealed.
        mean: Mean over the runs, a fraction.
        sd: Standard deviation over the runs; of a single one, over its seeds.
        runs: Keys of the runs.
        diverged: Number of runs that diverged.
    """

    down: Any
    across: Any
    task: str | None
    metric: str
    mean: float | None
    sd: float | None
    runs: list[str]
    diverged: int

    def to_json(self, axes: Axes) -> dict[str, Any]:
        """Return the table cell under the names of the settings."""
        places = {axes.rows: self.down, axes.columns: self.across}
        return {
            "task": self.task,
            **{axis: value for axis, value in places.items() if axis is not None},
            **{name: getattr(self, name) for name in ("metric", "mean", "sd", "runs", "diverged")},
        }


def pivot_view(rows: Sequence[RunRow], records: Sequence[Record], axes: Axes) -> View:
    """Tabulate UA by settings; where any run of a table is sealed, dev UA.

    Each task has a table. A table cell is a run ± the standard deviation over its seeds, or the
    mean of several runs ± the standard deviation over them, with their number.

    Args:
        rows: The rows of the runs.
        records: The runs.
        axes: Keys (``optim.lr``), groups (``activation``) or ``experiment``.

    Raises:
        RequestError: No run has such a setting.
    """
    settings = {(record.experiment, record.key): _settings(record) for record in records}
    known = {key for setting in settings.values() for key in setting}
    for axis in axes.named:
        if axis not in known:
            raise RequestError(f"no run has a setting '{axis}'.{nearest(axis, known)}")
    runs = []
    for row in rows:
        setting = settings[str(row.experiment), row.key]
        runs.append(_Run(row, setting.get(axes.rows or ""), setting.get(axes.columns or "")))
    tables, data = [], []
    for part in _by_table(runs, axes):
        cells = list(_pivot_cells(part))
        tables.append(_pivot_table(part, cells, axes))
        data += [cell.to_json(axes) for cell in cells]
    return View(tuple(tables), {"pivot": data})


def _settings(record: Record) -> dict[str, Any]:
    """Return every key, every group by its choice, and ``arelu.*`` where AReLU is used."""
    configuration = record.summary["configuration"]
    groups = {
        group: node["name"]
        for group, node in configuration.items()
        if isinstance(node, Mapping) and "name" in node
    }
    groups["augment"] = augmentations(configuration)
    groups |= stream_choices(configuration)
    settings = {**flatten(configuration), **arelu_aliases(configuration["activation"])}
    return {"experiment": record.experiment, **settings, **groups}


def _by_table(runs: Sequence[_Run], axes: Axes) -> Iterable[list[_Run]]:
    """Group runs by task, unless an axis tells tasks apart."""
    mixed = any(axis in _OF_TASK for axis in axes.named)
    found: dict[object, list[_Run]] = {}
    for run in runs:
        task = len(run.row.card["classes"]) if mixed else run.row.task
        found.setdefault(task, []).append(run)
    return found.values()


def _pivot_cells(part: Sequence[_Run]) -> Iterator[_PivotCell]:
    """Yield the table cells that hold a run, row by row."""
    metric = "dev_ua" if any(run.row.sealed for run in part) else "ua"
    cells: dict[tuple[str, str], list[RunRow]] = {}
    for run in part:
        cells.setdefault((_text(run.down), _text(run.across)), []).append(run.row)
    for down, across in product(_in_order(x.down for x in part), _in_order(x.across for x in part)):
        if rows := cells.get((_text(down), _text(across))):
            yield _pooled(down, across, rows, metric)


def _pooled(down: Any, across: Any, rows: Sequence[RunRow], metric: str) -> _PivotCell:
    task = rows[0].task_title if len({row.task for row in rows}) == 1 else None
    measured = [row for row in rows if getattr(row, metric) is not None]
    values = [getattr(row, metric) for row in measured] if task else []
    if len(values) == 1:
        deviation = getattr(measured[0], f"{metric}_sd")
    else:
        deviation = statistics.stdev(values) if values else None
    return _PivotCell(
        down,
        across,
        task,
        metric,
        statistics.fmean(values) if values else None,
        deviation,
        [row.key for row in measured],
        len(rows) - len(measured),
    )


def _pivot_table(part: Sequence[_Run], cells: Sequence[_PivotCell], axes: Axes) -> Table:
    of_place = {(_text(cell.down), _text(cell.across)): _cell(cell) for cell in cells}
    downs = _in_order(run.down for run in part)
    acrosses = _in_order(run.across for run in part)
    rows = [run.row for run in part]
    sealed = sum(row.sealed for row in rows)
    warnings = dict.fromkeys(text for row in rows for text in task_warnings(row))
    return Table(
        title=_pivot_title(cells),
        columns=(
            Column(axes.rows or ""),
            *(Column(_heading(axes.columns, x), numeric=True) for x in acrosses),
        ),
        rows=tuple(
            (
                _value_cell(axes.rows, y),
                *(of_place.get((_text(y), _text(x)), Cell("")) for x in acrosses),
            )
            for y in downs
        ),
        notes=tuple(_pivot_notes(cells)),
        warning=" ".join(filter(None, (*warnings, seal_warning(sealed, len(rows))))),
    )


def _pivot_title(cells: Sequence[_PivotCell]) -> str:
    tasks = sorted({cell.task for cell in cells if cell.task is not None})
    metric = "dev UA" if cells[0].metric == "dev_ua" else "UA"
    return f"{'; '.join(tasks) or 'several tasks'}: {metric} (%)"


def _cell(cell: _PivotCell) -> Cell:
    if cell.mean is None:
        return Cell("diverged" if cell.task and cell.diverged else NOTHING)
    percent = percent_cell(cell.mean, cell.sd)
    several = f" (n={len(cell.runs)})" if len(cell.runs) > 1 else ""
    return replace(percent, text=percent.text + several)


def _value_cell(axis: str | None, value: Any) -> Cell:
    text = "all runs" if axis is None else _text(value)
    return Cell(text, float(value) if _is_number(value) else None)


def _heading(axis: str | None, value: Any) -> str:
    return "all runs" if axis is None else f"{axis} {_text(value)}"


def _pivot_notes(cells: Sequence[_PivotCell]) -> Iterator[str]:
    if any(len(cell.runs) > 1 for cell in cells):
        yield "n: number of runs, shown by their mean ± standard deviation."
    if any(len(cell.runs) == 1 and cell.sd is not None for cell in cells):
        yield "± of a single run: standard deviation over its seeds."
    if any(cell.diverged and cell.mean is not None for cell in cells):
        yield "Diverged runs are left out of the means."
    tasks = {cell.task for cell in cells}
    if len(tasks) > 1:
        yield "Results on different corpora, classes or protocols are not comparable."
    if None in tasks:
        yield f"{NOTHING}: runs of several tasks."


def _in_order(values: Iterable[Any]) -> list[Any]:
    """Sort distinct values: numbers by size, then text, and last runs without the setting."""
    distinct = {_text(value): value for value in values}
    return sorted(distinct.values(), key=_sort_key)


def _sort_key(value: Any) -> tuple[bool, bool, float, str]:
    number = float(value) if _is_number(value) else 0.0
    return value is None, not _is_number(value), number, _text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)
