"""The experiments of a runs folder: their trials, runs, size and last change."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sercli.errors import SercliError
from sercli.files import user_name, why_denied
from sercli.results.run_record import find_records, read_record
from sercli.results.sweep_summary import SweepSummary, read_sweep


@dataclass(frozen=True)
class Experiment:
    """An experiment.

    Attributes:
        name: Its name, that of its folder.
        trials: Number of trials of its sweep; None without a sweep.
        states: State → number of trials, or of runs without a sweep; zeros are left out.
        runs: Number of finished runs.
        dev_ua: The best UA on dev of its runs; None without one.
        dev_ccc: The best CCC on dev of its runs of dimensional labels; None without one.
        size: Bytes of its files.
        weights: Bytes of the weights among them.
        changed: Time of the last change, UTC.
        user: The user who planned its sweep, or the owner of the folder.
        problem: The reason why it cannot be read, or None.
    """

    name: str
    trials: int | None
    states: Mapping[str, int]
    runs: int
    dev_ua: float | None
    dev_ccc: float | None
    size: int
    weights: int
    changed: str
    user: str
    problem: str | None = None


@dataclass
class _Files:
    size: int = 0
    weights: int = 0
    changed: float = 0.0


def list_experiments(runs: Path) -> list[Experiment]:
    """Return the experiments of a runs folder by name; nothing is written.

    States are those of the last time that a worker exited (`sercli.results.sweep_summary`).
    """
    return [_experiment(folder) for folder in experiment_folders(runs)]


def experiment_folders(runs: Path) -> list[Path]:
    """Return the folders of the experiments, sorted by name; hidden folders are left out."""
    if not runs.is_dir():
        return []
    return [each for each in sorted(runs.iterdir()) if each.name[0] != "." and os.path.isdir(each)]  # noqa: PTH112


def _experiment(folder: Path) -> Experiment:
    files = _measure(folder)
    changed = datetime.fromtimestamp(files.changed or folder.stat().st_mtime, UTC)
    problem = why_denied(folder)
    summary: SweepSummary | None = None
    statuses: list[str] = []
    on_dev: dict[str, list[float]] = {"dev_ua": [], "dev_ccc": []}
    try:
        summary = read_sweep(folder) if problem is None else None
        for path in find_records(folder) if problem is None else ():
            record = read_record(path)
            statuses.append(record.status)
            for name in on_dev.keys() & record.metrics.keys():
                on_dev[name].append(record.metrics[name])
    except SercliError as error:
        problem = str(error)
    states: Mapping[str, int] = Counter(statuses) if summary is None else summary.states
    planned = sum(n for state, n in states.items() if state != "excluded")
    return Experiment(
        name=folder.name,
        trials=None if summary is None else planned,
        states={state: n for state, n in states.items() if n},
        runs=len(statuses),
        **{name: max(values, default=None) for name, values in on_dev.items()},
        size=files.size,
        weights=files.weights,
        changed=changed.isoformat(timespec="seconds"),
        user=(summary.user if summary else "") or user_name(folder.stat().st_uid),
        problem=problem,
    )


def _measure(folder: Path) -> _Files:
    found = _Files()
    for status, is_weight in _statuses(folder):
        found.size += status.st_size
        found.weights += status.st_size if is_weight else 0
        found.changed = max(found.changed, status.st_mtime)
    return found


def _statuses(folder: Path) -> Iterator[tuple[os.stat_result, bool]]:
    """Yield the status of every file, and True for weights; files removed meanwhile are skipped."""
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.stat(os.path.join(parent, name)), name.endswith(".safetensors")  # noqa: PTH116, PTH118
            except OSError:
                continue
