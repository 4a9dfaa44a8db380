"""Find the runs that a command names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sercli.errors import RequestError, SercliError, nearest
from sercli.results.experiments import experiment_folders
from sercli.results.run_record import Record, find_records, is_record, read_record
from sercli.results.verify.schema import why_unreadable


def find_runs(names: Sequence[str], runs: Path) -> tuple[list[Record], list[str]]:
    """Read the records of experiments and runs.

    Args:
        names: Experiments, keys of runs (``first/0123456789`` is that of one experiment), or
            folders of runs; none means all experiments.
        runs: The folder of the experiments.

    Returns:
        The records, and a line about each that cannot be read.

    Raises:
        RequestError: A name is unknown, or there is no run at all.
    """
    records, damaged = [], []
    for folder in find_run_folders(names, runs):
        try:
            records.append(_read(folder))
        except SercliError as error:
            damaged.append(str(error))
    if not records and not damaged:
        raise RequestError(f"no finished run in {runs}; start with `sercli train`")
    return records, damaged


def find_run_folders(names: Sequence[str], runs: Path) -> list[Path]:
    """Return the folders of records, each once, without reading them; see `find_runs`."""
    experiments = [path.name for path in experiment_folders(runs)]
    folders = [path for name in names or experiments for path in _resolve(name, runs, experiments)]
    return list({path.resolve(): path for path in folders}.values())


def find_run(name: str, runs: Path) -> Record:
    """Read the record of one run.

    Args:
        name: Its key, its folder, or its experiment, where that has no other run.
        runs: The folder of the experiments.

    Raises:
        RequestError: No run has that name, or several do.
        SercliError: It is damaged.
    """
    folders = find_run_folders([name], runs)
    if len(folders) != 1:
        keys = ", ".join(folder.name for folder in folders[:_LISTED])
        more = ", …" if len(folders) > _LISTED else ""
        raise RequestError(f"'{name}' has {len(folders)} runs: name one ({keys}{more})")
    return _read(folders[0])


_LISTED = 5
"""Runs that an error names."""


def _read(folder: Path) -> Record:
    record = read_record(folder)
    if (wrong := why_unreadable(record)) is not None:
        raise SercliError(wrong)
    return record


def _resolve(name: str, runs: Path, experiments: Sequence[str]) -> list[Path]:
    if name in experiments:
        return list(find_records(runs / name))
    if is_record(Path(name)):
        return [Path(name).resolve()]  # its parent is the experiment, which "." does not show
    if is_record(runs / name):
        return [runs / name]
    anywhere = [runs / experiment / name for experiment in experiments]
    by_key = [path for path in anywhere if is_record(path)]
    if not by_key:
        known = nearest(name, experiments) if experiments else f" There is none in {runs}."
        raise RequestError(f"no experiment or run '{name}'.{known}")
    return by_key[:1]
