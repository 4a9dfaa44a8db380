"""What a report shows, before it has a form: tables to read, and the same as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sercli.reporting.table import Cell, Column, Table

Row = dict[str, Any]
"""A line of data: fractions, not percentages."""

Layout = list[tuple[Column, Callable[[Row], Cell]]]
"""The columns of a table of such lines, and what each shows of one."""


@dataclass(frozen=True)
class View:
    """One look at the runs.

    Attributes:
        tables: What a person reads.
        data: The same for a program: name → rows, which are the JSON document. The rows of the
            first name are the lines of the CSV file.
    """

    tables: tuple[Table, ...]
    data: Mapping[str, Sequence[Row]]
