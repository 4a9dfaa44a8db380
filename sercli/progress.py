"""Progress bars and one-line notes on standard error.

Work that takes long receives a `Progress` and reports to it. Bars appear only on a
terminal; notes are plain lines, so that a log file stays readable. Results never pass
through here: they go to standard output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.text import Text


@dataclass(frozen=True)
class Task:
    """One bar."""

    _bars: RichProgress | None
    _id: TaskID

    def advance(self, amount: float = 1) -> None:
        """Move the bar on by ``amount``."""
        if self._bars is not None:
            self._bars.advance(self._id, amount)

    def describe(self, text: str) -> None:
        """Change the words before the bar."""
        if self._bars is not None:
            self._bars.update(self._id, description=escape(text))


class _Amount(ProgressColumn):
    """How much of how much is done: numbers of things, or of a unit with two decimals."""

    def render(self, task: RichTask) -> Text:
        unit = task.fields["unit"]
        done, total = task.completed, task.total or 0
        return Text(f"{done:.2f}/{total:.2f} {unit}" if unit else f"{done:.0f}/{total:.0f}")


class Progress:
    """Bars and notes of one command.

    Args:
        quiet: Show neither.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._bars: RichProgress | None = None
        self._noted: set[str] = set()

    @contextmanager
    def task(self, description: str, total: float, unit: str = "") -> Iterator[Task]:
        """Show a bar while the block runs, of things or of a unit such as h; tasks nest."""
        if self._quiet or not self._console.is_terminal:
            yield Task(None, TaskID(0))
            return
        outermost = self._bars is None
        if self._bars is None:
            self._bars = self._start()
        bars = self._bars
        task = bars.add_task(escape(description), total=total, unit=unit)
        try:
            yield Task(bars, task)
        finally:
            if outermost:
                bars.stop()  # erases all bars; to remove the last one first would leave a line
                self._bars = None
            else:
                bars.remove_task(task)

    def note(self, text: str) -> None:
        """Print one line that the user should see but that is no result."""
        if not self._quiet:
            self._console.print(escape(text))

    def note_once(self, text: str) -> None:
        """Print one line as `note` does, unless it was printed so before."""
        if text not in self._noted:
            self._noted.add(text)
            self.note(text)

    def _start(self) -> RichProgress:
        bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Amount(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        bars.start()
        return bars


SILENT = Progress(quiet=True)
