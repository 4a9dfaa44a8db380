"""Deletion and renaming of experiments: folder and study together, never half.

The folder is renamed first, which is atomic; the study in a database follows, now or when it is
opened next (`sercli.search.study.unfinished`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sercli.errors import BusyError, RequestError, nearest
from sercli.files import held_alone
from sercli.results.experiments import experiment_folders
from sercli.results.sweep_summary import find_sweep
from sercli.search.study.study import Study
from sercli.search.study.unfinished import hidden_name


def delete_experiment(name: str, runs: Path, storage: str | None = None) -> None:
    """Delete an experiment: its records and its study.

    Args:
        name: Name of the experiment.
        runs: Folder of the experiments.
        storage: URL of the study's database, if it is in one.

    Raises:
        RequestError: There is no such experiment, or its study is in a database that is not given.
        BusyError: A process is at work on it.
        OSError: The folder cannot be renamed.
    """
    folder = _folder(name, runs)
    study = _study(folder, storage)
    _refuse_at_work(folder, study)
    gone = hidden_name(folder)
    folder.rename(gone)
    if study is not None and storage is not None:
        study.delete()
    shutil.rmtree(gone, ignore_errors=True)


def rename_experiment(name: str, new: str, runs: Path, storage: str | None = None) -> None:
    """Rename an experiment: its folder and its study.

    Args:
        name: Name of the experiment.
        new: The new name.
        runs: Folder of the experiments.
        storage: URL of the study's database, if it is in one.

    Raises:
        RequestError: There is no such experiment, the new name is invalid or taken, or the study
            is in a database that is not given.
        BusyError: A process is at work on it.
        OSError: The folder cannot be renamed.
    """
    folder = _folder(name, runs)
    if not new or new[0] in ".-" or set(new) & set("/\\\0\n"):
        raise RequestError(f"'{new}': an experiment's name is a folder's: no '/', no leading '.'")
    if (runs / new).exists():
        raise RequestError(f"{runs / new} exists; give another name")
    study = _study(folder, storage)
    if storage is not None and study is not None and study.is_taken(new):
        raise RequestError(f"the database has a study '{new}' already; give another name")
    _refuse_at_work(folder, study)
    folder.rename(runs / new)
    if study is not None and storage is not None:
        study.rename(new)


def _folder(name: str, runs: Path) -> Path:
    known = [path.name for path in experiment_folders(runs)]
    if name not in known:
        hint = nearest(name, known) or f" There is none in {runs}."
        raise RequestError(f"no experiment '{name}'.{hint}")
    return runs / name


def _study(folder: Path, storage: str | None) -> Study | None:
    """Open the study of an experiment; None if it has none."""
    summary = find_sweep(folder)
    if summary is not None and summary.storage:
        if storage is None:
            raise RequestError(
                f"the study of '{folder.name}' is in a database: give --storage {summary.storage}"
            )
        return Study.find(folder.name, folder.parent, storage)
    return Study.find(folder.name, folder.parent)


def _refuse_at_work(folder: Path, study: Study | None) -> None:
    """Refuse an experiment on which a process is at work, here or on another machine."""
    for lock in _locks(folder):
        busy = (
            f"a process is at work on '{folder.name}' ({lock.name}); stop it first, a sweep by "
            f"`sercli stop {folder.name}`"
        )
        with held_alone(lock, busy):
            pass
    if study is None:
        return
    for worker, seconds in study.living_workers():
        raise BusyError(
            f"worker {worker} is at work on '{folder.name}': its last heartbeat was {seconds:.0f} "
            f"s ago; stop it first by `sercli stop {folder.name}`"
        )


def _locks(folder: Path) -> Iterator[Path]:
    yield from (folder / ".workers").glob("*.lock")
    yield from folder.glob(".*.lock")
