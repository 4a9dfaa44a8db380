"""Fold runs that wait for training, in stacks of those that are trained together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from sercli.config.schema import Config
from sercli.progress import Progress
from sercli.results.folds import Fold
from sercli.training.together import alike, number_together


@dataclass(frozen=True)
class FoldJob:
    """A fold and seed to train, and the folder of the result."""

    config: Config
    fold: Fold
    seed: int
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """The outcome of a fold run.

    Attributes:
        diverged: True if it diverged.
        dev_ua: Its UA on dev.
        together: Number of fold runs that were trained together with it, itself included.
    """

    diverged: bool
    dev_ua: float
    together: int = 1


Finished = Callable[[FoldJob, Outcome], None]
Failed = Callable[[FoldJob, Exception], None]


def raise_error(job: FoldJob, error: Exception) -> None:
    """Raise the error of a fold run."""
    raise error


class Stacks:
    """The waiting fold runs, in stacks of those that are trained together.

    Args:
        jobs: The fold runs.
        workers: Number of processes that share them.
        finished: Called with every outcome.
        failed: Called with the error of a fold run that cannot be trained even alone.
        wanted: Asked before a fold is begun.
        progress: Notes.
    """

    def __init__(
        self,
        jobs: Sequence[FoldJob],
        workers: int,
        finished: Finished,
        failed: Failed,
        wanted: Callable[[FoldJob], bool],
        progress: Progress,
    ) -> None:
        self._finished, self._failed, self._wanted = finished, failed, wanted
        self._progress = progress
        self._diverged: set[tuple[Path, int]] = set()
        groups: dict[object, list[FoldJob]] = {}
        for job in jobs:
            groups.setdefault(_stack_key(job), []).append(job)
        share = -(-len(jobs) // workers)  # no process is left without work
        self._waiting = deque(
            part
            for members in groups.values()
            for part in _parts(members, min(share, number_together(members[0].config)))
        )

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> list[FoldJob] | None:
        """Return the next stack; None if there is none."""
        while self._waiting:
            stack = [job for job in self._waiting.popleft() if self._is_wanted(job)]
            if stack:
                return stack
        return None

    def receive(self, stack: list[FoldJob], future: Future[list[Outcome]]) -> None:
        """Take the outcomes of a stack from another process."""
        try:
            outcomes = future.result()
        except BrokenProcessPool:
            raise
        except Exception as error:
            self.failed(stack, error)
        else:
            self.finished(stack, outcomes)

    def finished(self, stack: list[FoldJob], outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of a stack."""
        for job, outcome in zip(stack, outcomes, strict=True):
            if outcome.diverged:
                self._diverged.add((job.folder.parent, job.seed))
        for job, outcome in zip(stack, outcomes, strict=True):
            self._finished(job, outcome)

    def failed(self, stack: list[FoldJob], error: Exception) -> None:
        """Train the halves of a stack that failed, so that one fold run harms no other."""
        if len(stack) == 1:
            self._failed(stack[0], error)
            return
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            self._progress.note_once(
                f"{len(stack)} fold runs do not fit in memory together: they are split; set "
                "trainer.together to a smaller number"
            )
        half = len(stack) // 2
        self._waiting.extendleft((stack[half:], stack[:half]))

    def _is_wanted(self, job: FoldJob) -> bool:
        return (job.folder.parent, job.seed) not in self._diverged and self._wanted(job)


def _stack_key(job: FoldJob) -> object:
    return job.fold.name, job.seed, alike(job.config) or job.folder


def _parts(jobs: Sequence[FoldJob], size: int) -> Iterator[list[FoldJob]]:
    """Divide jobs into as few parts as possible, of nearly equal size."""
    parts = -(-len(jobs) // size)
    for part in range(parts):
        yield list(jobs[part::parts])
