"""What a page says, before it has a form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sercli.reporting.table import Table


@dataclass(frozen=True)
class Warned:
    """What must be seen before any figure.

    Attributes:
        mark: A word or two that stay in sight wherever the reader is: ``SYNTHETIC``.
        text: The sentence, without the mark.
    """

    mark: str
    text: str


@dataclass(frozen=True)
class Section:
    """Tables that belong together.

    Attributes:
        title: Its heading.
        tables: At least one.
        folded: Whether it is closed until the reader opens it, as the recall of every class.
    """

    title: str
    tables: tuple[Table, ...]
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        name: A word for links and files: ``surface``. No other figure of the page has it.
        title: What it shows.
        caption: What must be known to read it.
        svg: The drawing; its ids begin with its name, so that several fit in one page.
    """

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Card:
    """A protocol card, and the runs that followed it.

    Attributes:
        paragraph: The card in a paper's words.
        facts: The same, as names and values.
        runs: Keys of the runs.
    """

    paragraph: str
    facts: tuple[tuple[str, str], ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """Where runs were made: versions and hardware.

    Attributes:
        title: The most important of it, in a line.
        facts: Names and values.
        runs: Keys of the runs.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A command line, ready for a shell, and the runs that it made.

    Attributes:
        line: The command; passwords in it are left out.
        runs: Keys of the runs.
    """

    line: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Failures:
    """What went wrong in one way.

    Attributes:
        title: In which way: ``Diverged runs``.
        lines: One for each.
    """

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class PageContent:
    """All that stands on a page, in its order.

    Attributes:
        title: Its heading.
        subtitle: One line below it.
        made: When, with its time zone.
        version: The sercli that made it.
        warnings: What must be seen first.
        sections: Tables.
        figures: Drawings.
        cards: How the runs were done.
        failures: What went wrong; empty where nothing did.
        machines: Where the runs were made.
        commands: What made them, the first first.
        records: Where they lie: a row for each.
    """

    title: str
    subtitle: str
    made: datetime
    version: str
    warnings: tuple[Warned, ...]
    sections: tuple[Section, ...]
    figures: tuple[Figure, ...]
    cards: tuple[Card, ...]
    failures: tuple[Failures, ...]
    machines: tuple[Machine, ...]
    commands: tuple[Command, ...]
    records: Table
