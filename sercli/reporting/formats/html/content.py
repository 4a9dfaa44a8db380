"""The content of an HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sercli.reporting.table import Table


@dataclass(frozen=True)
class PageWarning:
    """A warning to read before any result.

    Attributes:
        mark: A word or two that stay in sight while the page scrolls: ``SYNTHETIC``.
        text: The sentence, without the mark.
    """

    mark: str
    text: str


@dataclass(frozen=True)
class Section:
    """A section of tables.

    Attributes:
        title: The heading.
        tables: At least one table.
        folded: True if the section is closed until the reader opens it.
    """

    title: str
    tables: tuple[Table, ...]
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: A word for links and files, unique on the page: ``surface``.
        title: The title.
        caption: The caption.
        svg: The ``<svg>`` element; its ids begin with the name, so that a page can hold several.
    """

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Card:
    """A protocol card and its runs.

    Attributes:
        paragraph: The protocol as a paragraph for a paper.
        facts: The same as names and values.
        runs: Keys of the runs.
    """

    paragraph: str
    facts: tuple[tuple[str, str], ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """An environment and its runs: versions and hardware.

    Attributes:
        title: The main versions, and what differs from other environments.
        facts: Names and values.
        runs: Keys of the runs.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A command line and its runs.

    Attributes:
        line: The command, ready for a shell, without passwords.
        runs: Keys of the runs.
    """

    line: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Failures:
    """Failures of one kind.

    Attributes:
        title: The kind: ``Diverged runs``.
        lines: One line per failure.
    """

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class PageContent:
    """The content of a page, in order.

    Attributes:
        title: The heading.
        subtitle: One line below it.
        made: Time of creation, with its time zone.
        version: Version of sercli.
        warnings: Warnings.
        sections: Tables.
        figures: Figures.
        cards: Protocol cards.
        failures: Failures by kind.
        machines: Environments of the runs.
        commands: Commands that made the runs, in order of time.
        records: A table of the runs and their folders.
    """

    title: str
    subtitle: str
    made: datetime
    version: str
    warnings: tuple[PageWarning, ...]
    sections: tuple[Section, ...]
    figures: tuple[Figure, ...]
    cards: tuple[Card, ...]
    failures: tuple[Failures, ...]
    machines: tuple[Machine, ...]
    commands: tuple[Command, ...]
    records: Table
