"""The audit of a corpus, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sercli.corpora.audio_stats import AudioStats, Durations
from sercli.corpora.audit import Audit
from sercli.corpora.context import ContextCounts
from sercli.corpora.expected_counts import ExpectedCounts
from sercli.corpora.findings import Finding
from sercli.corpora.manifest import Refusal

_LISTED = 20
"""Refusals that are listed one by one (our choice: a screen still holds the tables above)."""


def render_audit(audit: Audit) -> RenderableType:
    """Lay the audit out: classes, groups, context, audio, what is doubtful, what was refused."""
    return Group(*_parts(audit))


def _parts(audit: Audit) -> Iterator[RenderableType]:
    yield _headline(audit)
    yield _classes(audit)
    yield _emotions(audit)
    groups = {"speaker": audit.speakers, "session": audit.sessions, "split": audit.splits}
    for name, counts in groups.items():
        if counts:
            yield _cross(name, counts, list(audit.classes))
    yield _context(audit.context, audit.targets)
    if audit.audio is not None:
        yield _durations(audit.audio)
        yield _formats(audit.audio)
    if audit.expected is not None:
        yield _published(audit.expected, audit.targets)
    if audit.findings:
        yield from _findings(audit.findings)
    if audit.refused:
        yield from _refused(audit.refused)


def _headline(audit: Audit) -> Text:
    parts = [f"{_number(audit.utterances)} utterances", f"{_number(audit.targets)} targets"]
    if audit.hours is not None:
        parts.append(f"{audit.hours:.2f} h")
    if audit.synthetic:
        parts.append("generated speech")
    return Text.assemble((audit.dataset, "bold"), ": ", ", ".join(parts))


def _classes(audit: Audit) -> Table:
    table = _table("class", ["utterances", "share"])
    for label, n in audit.classes.items():
        table.add_row(Text(label), _number(n), _percent(n, audit.targets))
    table.add_section()
    table.add_row("all", _number(audit.targets), "")
    return table


def _emotions(audit: Audit) -> Text:
    counts = (_unbroken(f"{code} {_number(n)}") for code, n in audit.emotions.items())
    return Text(f"Emotions of the corpus: {', '.join(counts)}")


def _cross(name: str, groups: Mapping[str, Mapping[str, int]], classes: list[str]) -> Table:
    table = _table(name, [*classes, "all"])
    for group, counts in list(groups.items())[:_LISTED]:
        cells = [_number(counts[label]) for label in classes]
        table.add_row(Text(group), *cells, _number(sum(counts.values())))
    if len(groups) > _LISTED:
        table.add_row(_more(groups))
    return table


def _context(context: ContextCounts, targets: int) -> RenderableType:
    if context.neither == targets:
        return Text("Context: none; every target stands alone")
    table = _table(_where(context), ["targets", "share"])
    rows = {
        "no turn of the same speaker": context.no_same_speaker,
        "no turn of an interlocutor": context.no_interlocutor,
        "neither": context.neither,
    }
    if context.not_over is not None:
        rows["the interlocutor's turn ends after the target starts"] = context.not_over
    for what, n in rows.items():
        table.add_row(what, _number(n), _percent(n, targets))
    return table


def _where(context: ContextCounts) -> str:
    where = f"context in the {context.window} preceding turns (order: {context.order})"
    if context.choose != "last":
        where = f"context of the dialogue (choice: {context.choose})"
    return where + (", if over" if context.past_only else "")


def _durations(audio: AudioStats) -> Table:
    table = _table("seconds", ["least", "5 %", "median", "mean", "95 %", "most"])
    rows: dict[str, Durations | None] = {"utterances": audio.utterances, "targets": audio.targets}
    for what, lasting in rows.items():
        if lasting is not None:
            values = (
                lasting.minimum,
                lasting.percentile_5,
                lasting.median,
                lasting.mean,
                lasting.percentile_95,
                lasting.maximum,
            )
            table.add_row(what, *(f"{value:.2f}" for value in values))
    return table


def _formats(audio: AudioStats) -> Text:
    rates = (f"{_number(int(rate))} Hz ({_number(n)})" for rate, n in audio.sampling_rates.items())
    channels = (f"{count} ({_number(n)})" for count, n in audio.channels.items())
    text = f"Files: {', '.join(map(_unbroken, rates))}; channels: "
    return Text(text + ", ".join(map(_unbroken, channels)))


def _published(expected: ExpectedCounts, found: int) -> Text:
    counts = f"{_number(found)} targets, {len(expected.counts)} known counts"
    parts = dict.fromkeys(each.part for each in expected.counts if each.part is not None)
    if parts:
        counts += f" in the corpus and {len(parts)} parts of it"
    if expected.ok:
        return Text(f"{counts}: as published", "green")
    differing = sum(not each.ok for each in expected.counts)
    return Text(f"{counts}: not as published ({_number(differing)} differ)", "yellow")


def _findings(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    yield Text(f"Doubtful: {_number(len(findings))}", "bold yellow")
    for finding in findings[:_LISTED]:
        yield Text(finding.text, overflow="fold")
    if len(findings) > _LISTED:
        yield _more(findings)


def _refused(refused: Sequence[Refusal]) -> Iterator[RenderableType]:
    yield Text(f"Refused: {_number(len(refused))}", "bold")
    for refusal in refused[:_LISTED]:
        yield Text(f"{refusal.file}: {refusal.reason}", overflow="fold")
    if len(refused) > _LISTED:
        yield _more(refused)


def _more(things: Sized) -> Text:
    return Text(f"… and {_number(len(things) - _LISTED)} more")


def _table(name: str, numbers: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column(name, overflow="fold")
    for number in numbers:
        table.add_column(Text(number), justify="right", overflow="fold")
    return table


def _number(n: int) -> str:
    return f"{n:,}".replace(",", " ")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _unbroken(text: str) -> str:
    """Keep the text on one line, however narrow the terminal."""
    return text.replace(" ", "\u00a0")
