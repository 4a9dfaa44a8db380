"""The audit of a corpus, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sercli.corpora.audit import Audit, ContextCounts, Expected
from sercli.corpora.manifest import Refusal

_LISTED = 20
"""Refusals that are listed one by one (our choice: a screen still holds the tables above)."""


def render_audit(audit: Audit) -> RenderableType:
    """Lay the audit out as tables: classes, speakers, sessions, context, what was refused."""
    return Group(*_parts(audit))


def _parts(audit: Audit) -> Iterator[RenderableType]:
    yield _headline(audit)
    yield _classes(audit)
    if audit.expected is not None:
        yield _published(audit.expected, audit.targets)
    yield _emotions(audit)
    yield _cross("speaker", audit.speakers, list(audit.classes))
    if audit.sessions:
        yield _cross("session", audit.sessions, list(audit.classes))
    yield _context(audit.context, audit.targets)
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


def _published(expected: Expected, found: int) -> Text:
    total = sum(each.expected for each in expected.classes.values())
    counts = f"{_number(found)} of {_number(total)}"
    if expected.ok:
        return Text(f"{counts}: as published", "green")
    differing = (
        f"{label} {_number(each.found)} of {_number(each.expected)}"
        for label, each in expected.classes.items()
        if each.found != each.expected
    )
    return Text(f"{counts}: not as published ({', '.join(differing)})", "yellow")


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
    where = f"missing in the {context.window} preceding turns (order: {context.order})"
    table = _table(where, ["targets", "share"])
    for what, n in (
        ("a turn of the same speaker", context.no_same_speaker),
        ("a turn of an interlocutor", context.no_interlocutor),
        ("both", context.neither),
    ):
        table.add_row(what, _number(n), _percent(n, targets))
    return table


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
