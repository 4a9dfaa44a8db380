"""The audit of a corpus: classes, subgroups, context, audio, findings, refused files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from sercli.corpora.audio_stats import AudioStats, Durations
from sercli.corpora.audit import Audit
from sercli.corpora.context import ContextCounts
from sercli.corpora.expected_counts import ExpectedCounts
from sercli.corpora.findings import Finding
from sercli.corpora.manifest import Refusal
from sercli.reporting.table import (
    Cell,
    Columns,
    Table,
    View,
    count_cell,
    count_text,
    make_table,
    number_cell,
    number_column,
    percent_cell,
    text_column,
)

T = TypeVar("T")

_MOST_ROWS = 20
"""Rows of a table (our choice: the tables above stay on the screen); JSON has all of them."""


def audit_view(audit: Audit) -> View:
    """Show an audit; CSV has the counts of the classes."""
    lines = [{"class": label, "targets": n} for label, n in audit.classes.items()]
    return View(tuple(_tables(audit)), audit.to_json(), lines)


def _tables(audit: Audit) -> Iterator[Table]:
    yield _class_table(audit)
    groups = {
        "corpus": audit.corpora,
        "speaker": audit.speakers,
        "session": audit.sessions,
        "split": audit.splits,
    }
    for name, counts in groups.items():
        if counts:
            yield _group_table(name, counts, list(audit.classes))
    yield _context_table(audit.context, audit.targets)
    if audit.audio is not None:
        yield _audio_table(audit.audio)
    if audit.findings:
        yield _finding_table(audit.findings)
    if audit.refused:
        yield _refusal_table(audit.refused)


def _class_table(audit: Audit) -> Table:
    columns: Columns[tuple[str, int]] = [
        text_column("class", lambda row: row[0]),
        number_column("targets", lambda row: count_cell(row[1])),
        number_column("share (%)", lambda row: _share_cell(row[1], audit.targets)),
    ]
    rows = [*audit.classes.items(), ("all", audit.targets)]
    codes = (_unbroken(f"{code} {count_text(n)}") for code, n in audit.emotions.items())
    notes = [
        "Targets: utterances that the task classifies.",
        f"Utterances by emotion label of the corpus: {', '.join(codes)}.",
    ]
    warnings: list[str] = []
    if audit.expected is not None:
        (notes if audit.expected.ok else warnings).append(_expected_text(audit.expected))
    return make_table(_audit_title(audit), columns, rows, notes=notes, warnings=warnings)


def _audit_title(audit: Audit) -> str:
    parts = [f"{count_text(audit.utterances)} utterances", f"{count_text(audit.targets)} targets"]
    if audit.hours is not None:
        parts.append(f"{audit.hours:.2f} h")
    if audit.synthetic:
        parts.append("generated speech")
    return f"{audit.dataset}: {', '.join(parts)}"


def _expected_text(expected: ExpectedCounts) -> str:
    parts = dict.fromkeys(each.part for each in expected.counts if each.part is not None)
    of_parts = f" of the corpus and {len(parts)} parts of it" if parts else ""
    counts = f"{len(expected.counts)} published counts{of_parts}"
    differing = sum(not each.ok for each in expected.counts)
    return f"{counts}: {f'{count_text(differing)} differ' if differing else 'all agree'}."


def _group_table(name: str, groups: Mapping[str, Mapping[str, int]], classes: list[str]) -> Table:
    columns: Columns[tuple[str, Mapping[str, int]]] = [text_column(name, lambda row: row[0])]
    columns += [number_column(label, _count_of(label)) for label in classes]
    columns.append(number_column("all", lambda row: count_cell(sum(row[1].values()))))
    rows, notes = _first(list(groups.items()))
    return make_table(f"Targets by {name}", columns, rows, notes=notes)


def _count_of(label: str) -> Callable[[tuple[str, Mapping[str, int]]], Cell]:
    return lambda row: count_cell(row[1][label])


def _context_table(context: ContextCounts, targets: int) -> Table:
    if context.neither == targets:
        return Table("Context: none; no target has a context turn", (), ())
    columns: Columns[tuple[str, int]] = [
        text_column("missing", lambda row: row[0]),
        number_column("targets", lambda row: count_cell(row[1])),
        number_column("share (%)", lambda row: _share_cell(row[1], targets)),
    ]
    rows = {
        "turn of the same speaker": context.no_same_speaker,
        "turn of the interlocutor": context.no_interlocutor,
        "both": context.neither,
    }
    notes = []
    if context.not_over is not None:
        rows["overlapping"] = context.not_over
        notes.append("overlapping: the interlocutor's turn ends after the target starts.")
    return make_table(_context_title(context), columns, rows.items(), notes=notes)


def _context_title(context: ContextCounts) -> str:
    where = f"{context.window} preceding turns (order: {context.order})"
    if context.choose != "last":
        where = f"dialogue (choice: {context.choose})"
    return f"Context in the {where}" + (", finished turns only" if context.past_only else "")


def _audio_table(audio: AudioStats) -> Table:
    durations = {"utterances": audio.utterances, "targets": audio.targets}
    rows = [(name, each) for name, each in durations.items() if each is not None]
    heads = {"min": "minimum", "5 %": "percentile_5", "median": "median", "mean": "mean",
             "95 %": "percentile_95", "max": "maximum"}  # fmt: skip
    columns: Columns[tuple[str, Durations]] = [text_column("durations", lambda row: row[0])]
    columns += [number_column(head, _seconds(name)) for head, name in heads.items()]
    rates = (
        _unbroken(f"{count_text(int(rate))} Hz ({count_text(n)})")
        for rate, n in audio.sampling_rates.items()
    )
    channels = (_unbroken(f"{k} ({count_text(n)})") for k, n in audio.channels.items())
    notes = [f"Files by sampling rate: {', '.join(rates)}; by channels: {', '.join(channels)}."]
    return make_table("Durations (seconds)", columns, rows, notes=notes)


def _seconds(name: str) -> Callable[[tuple[str, Durations]], Cell]:
    return lambda row: number_cell(getattr(row[1], name), ".2f")


def _finding_table(findings: Sequence[Finding]) -> Table:
    columns: Columns[Finding] = [text_column("finding", lambda finding: finding.text)]
    rows, notes = _first(findings)
    title = f"Findings that make results doubtful: {count_text(len(findings))}"
    return make_table(title, columns, rows, notes=notes)


def _refusal_table(refused: Sequence[Refusal]) -> Table:
    # One column: two wrap both a long path and its reason.
    columns: Columns[Refusal] = [
        text_column("file: reason", lambda refusal: f"{refusal.file}: {refusal.reason}")
    ]
    rows, notes = _first(refused)
    return make_table(f"Refused: {count_text(len(refused))}", columns, rows, notes=notes)


def _first(rows: Sequence[T]) -> tuple[Sequence[T], list[str]]:
    """Return the rows that a table shows, and a note about the others."""
    left_out = len(rows) - _MOST_ROWS
    notes = [f"{count_text(left_out)} more are not shown; --format json has all."]
    return rows[:_MOST_ROWS], notes if left_out > 0 else []


def _share_cell(part: int, whole: int) -> Cell:
    return percent_cell(part / whole if whole else None)


def _unbroken(text: str) -> str:
    """Keep a text on one line, however narrow the terminal."""
    return text.replace(" ", "\u00a0")
