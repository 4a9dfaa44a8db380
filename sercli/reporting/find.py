"""Find the records that a report was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sercli.errors import RequestError, SercliError, nearest
from sercli.results.record import Record, find_records, is_record, read_record


def find(names: Sequence[str], runs: Path) -> tuple[list[Record], list[str]]:
    """Read the records of experiments and runs.

    Args:
        names: Experiments, keys of runs, or folders of runs; none means all experiments.
        runs: Where the experiments lie.

    Returns:
        The records, and a line about each that cannot be read.

    Raises:
        RequestError: A name is unknown, or there is no run at all.
    """
    experiments = [path.name for path in sorted(runs.iterdir())] if runs.is_dir() else []
    folders = [path for name in names or experiments for path in _resolve(name, runs, experiments)]
    records, damaged = [], []
    for folder in dict.fromkeys(folders):
        try:
            records.append(read_record(folder))
        except SercliError as error:
            damaged.append(str(error))
    if not records and not damaged:
        raise RequestError(f"no finished run in {runs}; start with `sercli train`")
    return records, damaged


def _resolve(name: str, runs: Path, experiments: Sequence[str]) -> list[Path]:
    if name in experiments:
        return list(find_records(runs / name))
    if is_record(Path(name)):
        return [Path(name)]
    anywhere = [runs / experiment / name for experiment in experiments]
    by_key = [path for path in anywhere if is_record(path)]
    if not by_key:
        known = nearest(name, experiments) if experiments else f" There is none in {runs}."
        raise RequestError(f"no experiment or run '{name}'.{known}")
    return by_key[:1]
