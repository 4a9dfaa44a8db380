"""The results of runs on dimensional labels: CCC per dimension and their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sercli.errors import counted
from sercli.reporting.names import SystemName, name_systems, without_common_words
from sercli.reporting.table import (
    Cell,
    Columns,
    Table,
    View,
    ccc_cell,
    make_table,
    number_column,
    text_column,
)
from sercli.reporting.views.published import card_warnings
from sercli.reporting.views.rows import Bounds, deviation, facts_of_run, why_diverged
from sercli.results.run_record import Record, dimensional_labels

_CCC_NOTE = (
    "CCC: concordance correlation coefficient (Lin 1989), pooled over folds, by population "
    "covariance and variances; mean: over the dimensions."
)


@dataclass(frozen=True)
class DimensionRow:
    """A run on dimensional labels. Test results are None if sealed.

    Attributes:
        system: Name of the run (`sercli.reporting.names`).
        source: ``run``.
        experiment: Experiment of the run.
        status: ``complete`` or ``diverged``.
        settings: Model, cell, activation, and further settings that differ between the runs.
        sealed: True if the test results are sealed.
        dataset: Corpus.
        synthetic: True for generated speech.
        protocol: Name of the evaluation protocol.
        dimensions: The dimensions.
        seeds: Number of seeds.
        folds: Number of folds.
        n: Number of utterances.
        ccc: Mean CCC over the dimensions on test, at the step selected on dev.
        ccc_ci: 95 % confidence interval of ``ccc``.
        ccc_sd: Standard deviation of ``ccc`` over seeds, if there are several.
        ccc_oracle: CCC at the step selected on test.
        dev_ccc: CCC on dev.
        of: Dimension → CCC on test.
        lower: Dimension → lower end of its interval.
        upper: Dimension → upper end of its interval.
        reason: Cause of a divergence.
        runs: The key of the run.
        card: The protocol card.
    """

    system: str
    source: str
    experiment: str
    status: str
    settings: str
    sealed: bool
    dataset: str
    synthetic: bool
    protocol: str
    dimensions: Sequence[str]
    seeds: int
    folds: int
    n: int
    ccc: float | None = None
    ccc_ci: Bounds | None = None
    ccc_sd: float | None = None
    ccc_oracle: float | None = None
    dev_ccc: float | None = None
    of: Mapping[str, float] = field(default_factory=dict)
    lower: Mapping[str, float] = field(default_factory=dict)
    upper: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    runs: Sequence[str] = ()
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> tuple[str, str, tuple[str, ...]]:
        """Corpus, protocol and dimensions: only results of one task may share a table."""
        return self.dataset, self.protocol, tuple(self.dimensions)


def has_dimensions(record: Record) -> bool:
    """Return True if the task of a run is dimensional labels."""
    return bool(dimensional_labels(record.summary))


def dimension_rows(records: Sequence[Record]) -> list[DimensionRow]:
    """Return one row per run, by corpus and CCC on dev, the best first; diverged runs last.

    Args:
        records: Runs on dimensional labels; sealed ones have no test results.
    """
    names = name_systems(records)
    rows = [_row(record, name) for record, name in zip(records, names, strict=True)]
    return sorted(
        rows, key=lambda row: (row.dataset, -(-2 if row.dev_ccc is None else row.dev_ccc))
    )


def dimension_tables(rows: Sequence[DimensionRow]) -> list[Table]:
    """Return a table of results for each task."""
    tasks: dict[object, list[DimensionRow]] = {}
    for row in rows:
        tasks.setdefault(row.task, []).append(row)
    return [_table(task) for task in tasks.values()]


def with_dimensions(view: View, records: Sequence[Record]) -> View:
    """Add runs on dimensional labels to a view of results.

    Args:
        view: Tables, and rows in its data under ``rows``.
        records: The runs; if there are none, the view is returned unchanged.
    """
    if not records:
        return view
    rows = dimension_rows(records)
    data = {**view.data, "rows": [*view.data.get("rows", ()), *rows]}
    return View((*view.tables, *dimension_tables(rows)), data, view.lines)


def _row(record: Record, name: SystemName) -> DimensionRow:
    metrics, dimensions = record.metrics, dimensional_labels(record.summary)
    intervals = {x: found for x in dimensions if (found := metrics.get(f"ccc_{x}_ci"))}
    return DimensionRow(
        **facts_of_run(record, name),
        dimensions=dimensions,
        ccc=metrics.get("ccc"),
        ccc_ci=metrics.get("ccc_ci"),
        ccc_oracle=metrics.get("ccc_oracle"),
        dev_ccc=metrics.get("dev_ccc"),
        ccc_sd=deviation(metrics, "ccc"),
        of={x: metrics[f"ccc_{x}"] for x in dimensions if f"ccc_{x}" in metrics},
        lower={x: bounds[0] for x, bounds in intervals.items()},
        upper={x: bounds[1] for x, bounds in intervals.items()},
        reason=why_diverged(record),
    )


def _table(task: Sequence[DimensionRow]) -> Table:
    first = task[0]
    common, short = without_common_words([row.settings for row in task])
    labels = {row.runs[0]: label for row, label in zip(task, short, strict=True)}
    columns: Columns[DimensionRow] = [
        text_column("system", lambda row: labels[row.runs[0]]),
        number_column("mean CCC", _mean_cell),
        *(number_column(name, _dimension_cell(name)) for name in first.dimensions),
        number_column("oracle CCC", lambda row: ccc_cell(row.ccc_oracle)),
        number_column("dev CCC", lambda row: ccc_cell(row.dev_ccc)),
    ]
    if len({row.experiment for row in task}) > 1:
        columns.append(text_column("experiment", lambda row: row.experiment))
    return make_table(
        f"{first.dataset}, {first.protocol}, {', '.join(first.dimensions)}: CCC",
        columns,
        task,
        notes=_notes(task, common, labels),
        warnings=card_warnings(first.card),
    )


def _mean_cell(row: DimensionRow) -> Cell:
    if row.sealed:
        return Cell("sealed")
    if row.status == "diverged" and row.ccc is None:
        return Cell("diverged")
    return ccc_cell(row.ccc, row.ccc_sd, row.ccc_ci)


def _dimension_cell(name: str) -> Callable[[DimensionRow], Cell]:
    def cell(row: DimensionRow) -> Cell:
        bounds = [row.lower[name], row.upper[name]] if name in row.lower else None
        return ccc_cell(row.of.get(name), bounds=bounds)

    return cell


def _notes(task: Sequence[DimensionRow], common: str, labels: Mapping[str, str]) -> Iterator[str]:
    if common:
        yield f"All systems: {common}."
    counts = {(row.folds, row.seeds, row.n) for row in task}
    for folds, seeds, n in counts if len(counts) == 1 else ():
        each = (counted(folds, "fold"), counted(seeds, "seed"), counted(n, "utterance"))
        yield f"Each run: {', '.join(each)}."
    yield _CCC_NOTE
    if any(row.ccc_sd is not None for row in task):
        yield "±: standard deviation over seeds."
    if any(row.ccc_ci for row in task):
        yield (
            "In parentheses: 95 % confidence intervals, cluster bootstrap over speakers and seeds."
        )
    yield "Oracle: at the training step selected on test."
    for row in task:
        if row.status == "diverged":
            yield f"{labels[row.runs[0]]}: {row.reason}."
