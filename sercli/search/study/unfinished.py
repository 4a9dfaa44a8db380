"""Completion of deletions and renamings of experiments that were killed.

The folder of an experiment is renamed first. What is left to do on its study in a database follows
from the ids of the studies in ``sweep.json``, and is done when the study is opened next.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from optuna.storages import RDBStorage

from sercli.results.sweep_summary import find_sweep
from sercli.search.study.storage import StorageRetry
from sercli.search.study.trial_queue import TrialQueue

_DELETED = ".deleted"


def hidden_name(folder: Path) -> Path:
    """Return a hidden name for an experiment's folder during its deletion."""
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}{_DELETED}")


def finish(storage: RDBStorage, name: str, runs: Path, with_retry: StorageRetry) -> None:
    """Finish a killed deletion or renaming of a study in a database.

    Args:
        storage: The database.
        name: Name of the experiment that is opened.
        runs: Folder of the experiments.
        with_retry: Repeats a transaction until the storage answers.
    """
    studies = storage.get_all_studies()
    ids = {each.study_name: each.user_attrs.get("owner", {}).get("study") for each in studies}
    numbers = {each.study_name: each._study_id for each in studies}
    own, stored = _study_of(runs / name), ids.get(name)
    if stored is not None and stored != own:
        if (folder := _folder_of(runs, stored, f".*{_DELETED}")) is not None:
            storage.delete_study(numbers[name])
            shutil.rmtree(folder, ignore_errors=True)
        elif (folder := _folder_of(runs, stored, "[!.]*")) is not None:
            TrialQueue(storage, numbers[name], with_retry).rename(folder.name)
    old = next((each for each, study in ids.items() if own and study == own), name)
    if old != name and name not in ids:
        TrialQueue(storage, numbers[old], with_retry).rename(name)


def _study_of(folder: Path) -> str:
    """Return the id of the study of an experiment; empty if it has none."""
    summary = find_sweep(folder)
    return summary.study if summary else ""


def _folder_of(runs: Path, study: str, pattern: str) -> Path | None:
    folders = sorted(runs.glob(pattern)) if runs.is_dir() else []
    return next((each for each in folders if _study_of(each) == study), None)
