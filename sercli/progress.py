"""Progress bars and one-line notes on standard error.

Long computations report to a `Progress`. Bars appear on a terminal only; notes are plain lines,
so that a log file stays readable. Results go to standard output, not through here. rich is imported
with the first bar.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sercli.errors import visible
from sercli.passwords import without_passwords

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


@dataclass(frozen=True)
class Task:
    """A progress bar; without bars, nothing."""

    _bars: RichProgress | None = None
    _id: TaskID | None = None

    def advance(self, amount: float = 1) -> None:
        """Advance the bar by ``amount``."""
        if self._bars is not None and self._id is not None:
            self._bars.advance(self._id, amount)

    def describe(self, text: str) -> None:
        """Change the text before the bar."""
        if self._bars is not None and self._id is not None:
            self._bars.update(self._id, description=_escaped(text))


class Progress:
    """Progress bars and notes of one command.

    Args:
        quiet: Suppress both.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: RichProgress | None = None
        self._noted: set[str] = set()

    @contextmanager
    def task(self, description: str, total: float, unit: str = "") -> Iterator[Task]:
        """Show a bar while the block runs; tasks nest.

        Args:
            description: Text before the bar.
            total: Amount to complete.
            unit: Unit of the amount, as h; empty: a count.
        """
        if self._quiet or not sys.stderr.isatty():
            yield Task()
            return
        outermost = self._bars is None
        if self._bars is None:
            self._bars = _start_bars()
        bars = self._bars
        task = bars.add_task(_escaped(description), total=total, unit=unit)
        try:
            yield Task(bars, task)
        finally:
            if outermost:
                bars.stop()  # erases all bars; to remove the last one first would leave a line
                self._bars = None
            else:
                bars.remove_task(task)

    def note(self, text: str) -> None:
        """Print one line for the user that is not a result."""
        if self._quiet:
            return
        if self._bars is None:
            sys.stderr.write(f"{visible(without_passwords(text))}\n")
        else:
            self._bars.console.print(_escaped(without_passwords(text)))

    def note_once(self, text: str) -> None:
        """Print one line as `note` does, unless it was printed before."""
        if text not in self._noted:
            self._noted.add(text)
            self.note(text)


SILENT = Progress(quiet=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(visible(text))


def _start_bars() -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Amount(ProgressColumn):
        """The completed and total amounts: counts, or a unit with two decimals."""

        def render(self, task: Any) -> Text:
            unit = task.fields["unit"]
            done, total = task.completed, task.total or 0
            return Text(f"{done:.2f}/{total:.2f} {unit}" if unit else f"{done:.0f}/{total:.0f}")

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False, soft_wrap=True),
        transient=True,
    )
    bars.start()
    return bars
