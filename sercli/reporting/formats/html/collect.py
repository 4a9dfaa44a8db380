"""Collect what a page says from records and sweeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import pandas as pd

from sercli import __version__
from sercli.reporting.formats.html.content import (
    Card,
    Failures,
    Figure,
    PageContent,
    Section,
    Warned,
)
from sercli.reporting.formats.html.provenance import (
    Environment,
    commands,
    machines,
    read_environments,
)
from sercli.reporting.formats.html.words import in_words
from sercli.reporting.table import Cell, Column, Table, number_cell
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary

Sweep = tuple[SweepSummary, pd.DataFrame]
"""A sweep's page and its trials."""


def collect(
    records: Sequence[Record],
    sweeps: Sequence[Sweep],
    sections: Sequence[Section],
    figures: Sequence[Figure],
    damaged: Sequence[str],
) -> PageContent:
    """Bring together what a page says.

    Args:
        records: The runs of the report.
        sweeps: Pages and trials of the sweeps that runs of the report belong to.
        sections: Tables, as they shall stand.
        figures: Drawings, as they shall stand.
        damaged: A line about each record that could not be read.

    Returns:
        The content; a record whose ``environment.json`` is damaged is named among the failures.
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
        records=_listed(records, environments),
    )


def _title(records: Sequence[Record]) -> str:
    experiments = list(dict.fromkeys(record.experiment for record in records))
    if len(experiments) > 3:
        return f"{len(experiments)} experiments"
    return ", ".join(experiments) or "No runs"


def _subtitle(records: Sequence[Record]) -> str:
    corpora = dict.fromkeys(str(record.summary["card"]["dataset"]) for record in records)
    on = f" on {', '.join(corpora)}" if corpora else ""
    return f"Speech emotion recognition: {_count(len(records), 'run')}{on}"


def _warnings(records: Sequence[Record]) -> Iterable[Warned]:
    cards = [record.summary["card"] for record in records]
    synthetic = sum(bool(card["synthetic"]) for card in cards)
    if synthetic:
        yield Warned(
            "SYNTHETIC",
            f"{_share(synthetic, len(cards))} heard synthetic speech. Their numbers show that the "
            "software works and say nothing about people.",
        )
    on_test = sum(card.get("selected_on") == "test" for card in cards)
    if on_test:
        yield Warned(
            "TEST-SELECTED",
            f"{_share(on_test, len(cards))} chose the training step on the test side. Their "
            "numbers are too high for speech that nobody has looked at.",
        )


def _cards(records: Sequence[Record]) -> Iterable[Card]:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for record in records:
        card = dict(record.summary["card"])
        paragraph = str(card.pop("paragraph", ""))
        facts = tuple((name.replace("_", " "), in_words(value)) for name, value in card.items())
        found.setdefault((paragraph, facts), []).append(record.key)
    for (paragraph, facts), runs in found.items():
        yield Card(paragraph, facts, tuple(runs))


def _failures(
    records: Sequence[Record], sweeps: Sequence[Sweep], damaged: Sequence[str]
) -> Iterable[Failures]:
    lines = {
        "Diverged runs": [line for record in records for line in _diverged(record)],
        "Failed points of sweeps": [line for sweep in sweeps for line in _failed(*sweep)],
        "Unfinished sweeps": [line for page, _ in sweeps for line in _unfinished(page)],
        "Damaged records": damaged,
    }
    return (Failures(title, tuple(found)) for title, found in lines.items() if found)


def _diverged(record: Record) -> Iterable[str]:
    lost = record.summary["diverged"]
    where = [f"seed {x['seed']}, fold {x['fold']}, step {x['step']}" for x in lost]
    if where:
        yield f"{record.experiment}/{record.key}: {'; '.join(where)}"


def _failed(page: SweepSummary, trials: pd.DataFrame) -> Iterable[str]:
    causes = trials.loc[trials["state"] == "failed", "cause"]
    for cause, times in Counter(causes.fillna("no cause was noted")).most_common():
        yield f"{page.experiment}: {_count(times, 'point')}: {cause}"


def _unfinished(page: SweepSummary) -> Iterable[str]:
    if not page.complete:
        left = [f"{page.states.get(state, 0)} {state}" for state in ("waiting", "running")]
        points = _count(sum(page.states.values()), "point")
        yield f"{page.experiment}: {' and '.join(left)} of {points}"


def _listed(records: Sequence[Record], environments: Mapping[str, Environment]) -> Table:
    return Table(
        title="The records of this report",
        columns=(
            *(Column(name) for name in ("run", "experiment", "state", "made")),
            Column("seconds", numeric=True),
            Column("folder"),
        ),
        rows=tuple(_line(record, environments.get(record.key, {})) for record in records),
    )


def _line(record: Record, environment: Environment) -> tuple[Cell, ...]:
    seconds = environment.get("seconds")
    return (
        Cell(record.key),
        Cell(record.experiment),
        Cell(record.status),
        Cell(in_words(environment.get("time"))),
        number_cell(seconds if isinstance(seconds, int | float) else None, ".0f"),
        Cell(str(record.path)),
    )


def _share(part: int, whole: int) -> str:
    return f"{part} of {_count(whole, 'run')}" if part < whole else f"All of {_count(whole, 'run')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
