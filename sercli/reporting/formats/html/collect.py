"""Collect the content of a page from records and sweeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import pandas as pd

from sercli import __version__
from sercli.errors import counted
from sercli.reporting.formats.html.content import (
    Card,
    Failures,
    Figure,
    PageContent,
    PageWarning,
    Section,
)
from sercli.reporting.formats.html.provenance import (
    Environment,
    commands,
    machines,
    read_environments,
)
from sercli.reporting.table import Cell, Column, Table, number_cell, value_text
from sercli.reporting.views.sweep import Sweep
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary


def collect(
    records: Sequence[Record],
    sweeps: Sequence[Sweep],
    sections: Sequence[Section],
    figures: Sequence[Figure],
    damaged: Sequence[str],
) -> PageContent:
    """Collect the content of a summary.

    Args:
        records: The runs of the report.
        sweeps: Pages and trials of the sweeps that runs of the report belong to.
        sections: Tables, in order.
        figures: Figures, in order.
        damaged: A line about each record that cannot be read.

    Returns:
        The content; a damaged ``environment.json`` is among the failures.
    """
    environments, unreadable = read_environments(records)
    return PageContent(
        title=_title(records),
        subtitle=_subtitle(records),
        made=datetime.now(UTC),
        version=__version__,
        warnings=tuple(_warnings(records)),
        sections=tuple(sections),
        figures=tuple(figures),
        cards=tuple(_cards(records)),
        failures=tuple(_failures(records, sweeps, [*damaged, *unreadable])),
        machines=tuple(machines(environments)),
        commands=tuple(commands(environments)),
        records=_record_table(records, environments),
    )


def _title(records: Sequence[Record]) -> str:
    experiments = list(dict.fromkeys(record.experiment for record in records))
    if len(experiments) > 3:
        return f"{len(experiments)} experiments"
    return ", ".join(experiments) or "No runs"


def _subtitle(records: Sequence[Record]) -> str:
    corpora = dict.fromkeys(str(record.summary["card"]["dataset"]) for record in records)
    on = f" on {', '.join(corpora)}" if corpora else ""
    return f"Speech emotion recognition: {counted(len(records), 'run')}{on}"


def _warnings(records: Sequence[Record]) -> Iterable[PageWarning]:
    cards = [record.summary["card"] for record in records]
    synthetic = sum(bool(card["synthetic"]) for card in cards)
    if synthetic:
        yield PageWarning(
            "SYNTHETIC",
            f"{_share(synthetic, len(cards))} used synthetic speech. Their results show that the "
            "software works, and say nothing about people.",
        )
    on_test = sum(card.get("selected_on") == "test" for card in cards)
    if on_test:
        yield PageWarning(
            "TEST-SELECTED",
            f"{_share(on_test, len(cards))} selected the training step on test. Their results are "
            "optimistic for unseen speech.",
        )


def _cards(records: Sequence[Record]) -> Iterable[Card]:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for record in records:
        card = dict(record.summary["card"])
        paragraph = str(card.pop("paragraph", ""))
        facts = tuple((name.replace("_", " "), value_text(value)) for name, value in card.items())
        found.setdefault((paragraph, facts), []).append(record.key)
    for (paragraph, facts), runs in found.items():
        yield Card(paragraph, facts, tuple(runs))


def _failures(
    records: Sequence[Record], sweeps: Sequence[Sweep], damaged: Sequence[str]
) -> Iterable[Failures]:
    lines = {
        "Diverged runs": [line for record in records for line in _diverged(record)],
        "Failed trials": [line for sweep in sweeps for line in _failed(*sweep)],
        "Unfinished sweeps": [line for summary, _ in sweeps for line in _unfinished(summary)],
        "Damaged records": damaged,
    }
    return (Failures(title, tuple(found)) for title, found in lines.items() if found)


def _diverged(record: Record) -> Iterable[str]:
    where = [f"seed {seed}, fold {fold}, step {step}" for seed, fold, step in record.divergences]
    if where:
        yield f"{record.experiment}/{record.key}: {'; '.join(where)}"


def _failed(summary: SweepSummary, trials: pd.DataFrame) -> Iterable[str]:
    causes = trials.loc[trials["state"] == "failed", "cause"]
    for cause, times in Counter(causes.fillna("unknown cause")).most_common():
        yield f"{summary.experiment}: {counted(times, 'trial')}: {cause}"


def _unfinished(summary: SweepSummary) -> Iterable[str]:
    if not summary.complete:
        left = [f"{summary.states.get(state, 0)} {state}" for state in ("waiting", "running")]
        trials = counted(sum(summary.states.values()), "trial")
        yield f"{summary.experiment}: {' and '.join(left)} of {trials}"


def _record_table(records: Sequence[Record], environments: Mapping[str, Environment]) -> Table:
    return Table(
        title="Records",
        columns=(
            *(Column(name) for name in ("run", "experiment", "status", "time")),
            Column("seconds", numeric=True),
            Column("folder"),
        ),
        rows=tuple(_record_row(record, environments.get(record.key, {})) for record in records),
    )


def _record_row(record: Record, environment: Environment) -> tuple[Cell, ...]:
    seconds = environment.get("seconds")
    return (
        Cell(record.key),
        Cell(record.experiment),
        Cell(record.status),
        Cell(value_text(environment.get("time"))),
        number_cell(seconds if isinstance(seconds, int | float) else None, ".0f"),
        Cell(str(record.path)),
    )


def _share(part: int, whole: int) -> str:
    return (
        f"{part} of {counted(whole, 'run')}" if part < whole else f"All of {counted(whole, 'run')}"
    )
