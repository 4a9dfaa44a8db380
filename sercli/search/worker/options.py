"""What a worker is told: which study, and how to run on its machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 20.0
"""How long a worker that is asked to stop may still train (our choice: Slurm and Kubernetes give
a process 30 s between SIGTERM and SIGKILL)."""


@dataclass(frozen=True)
class WorkerOptions:
    """The options of a worker: its study, and how to run on its machine.

    Attributes:
        study: Its name, that of the experiment.
        runs: Where the records lie (``paths.runs``).
        storage: URL of the storage; None: ``study.db`` in the folder of the experiment.
        name: What the worker is called; None: host and process.
        fold_workers: Processes that train the folds of a point; None: one per core.
        overrides: How to run on this machine (``device=…``, ``dataset.root=…``, ``paths.…=…``,
            ``recurrence.…=…``); nothing in them changes a result.
        grace: Seconds from SIGTERM to the moment when an unfinished fold is given up.
        quiet: Whether to show no progress and no notes.
    """

    study: str
    runs: Path
    storage: str | None = None
    name: str | None = None
    fold_workers: int | None = None
    overrides: Sequence[str] = ()
    grace: float = GRACE_SECONDS
    quiet: bool = False
