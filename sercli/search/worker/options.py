"""The options of a worker: its study, and how to run on its machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 20.0
"""Time to finish a fold after SIGTERM (our choice: Slurm and Kubernetes send SIGKILL after 30 s).
"""


@dataclass(frozen=True)
class WorkerOptions:
    """The options of a worker.

    Attributes:
        study: Name of the study, which is that of the experiment.
        runs: Folder of the run records (``paths.runs``); None: the study's.
        storage: URL of the storage; None: ``study.db`` in the folder of the experiment.
        name: Name of the worker; None: from host and process.
        fold_workers: Processes that train the folds of a trial; None: one per core.
        overrides: Overrides for this machine (``device=…``, ``dataset.root=…``, ``paths.…=…``,
            ``recurrence.…=…``), none of which changes a result.
        grace: Seconds to finish a fold after SIGTERM.
        quiet: True to suppress progress and notes.
    """

    study: str
    runs: Path | None
    storage: str | None = None
    name: str | None = None
    fold_workers: int | None = None
    overrides: Sequence[str] = ()
    grace: float = GRACE_SECONDS
    quiet: bool = False
