"""Footnotes: each remark stands once below a table, and in it the number of the remark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def footnotes(remarks: Sequence[str]) -> list[str]:
    """Number remarks that stand without their full stop."""
    return [f"{number}: {remark.rstrip('.')}." for number, remark in enumerate(remarks, 1)]


def marks(of_row: Iterable[str], remarks: Sequence[str]) -> str:
    """The numbers of the remarks on one row."""
    return ", ".join(str(number) for number in sorted(remarks.index(each) + 1 for each in of_row))
