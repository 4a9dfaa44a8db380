"""Verification of the records of experiments and of the sweeps beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sercli.errors import RequestError
from sercli.processes import possible_workers, stop_workers, worker_pool
from sercli.progress import SILENT, Progress
from sercli.reporting.table import Columns, View, make_table, text_column
from sercli.results.find import find_run_folders
from sercli.results.run_record import is_record
from sercli.results.verify.files import Fault, record_name
from sercli.results.verify.record import verify_record
from sercli.results.verify.sweep import verify_sweep

_MANY = 20
"""Records from which on several processes read them (our choice; one starts in the time of ten)."""

_CHUNK = 4
"""Records that a process is given at a time."""

_INCOMPLETE = "is missing: an incomplete copy of a record; copy it again, or remove it"


@dataclass(frozen=True)
class Verification:
    """The faults of records and sweeps.

    Attributes:
        records: Number of records.
        sweeps: Number of sweeps.
        faults: Files that are missing, damaged or disagree.
    """

    records: int
    sweeps: int
    faults: tuple[Fault, ...]

    @property
    def summary(self) -> str:
        """The numbers of records, sweeps and faults in a line."""
        damaged = len({fault.record for fault in self.faults})
        found = f"{len(self.faults)} faults in {damaged} of them" if damaged else "no faults"
        return f"{self.records} records and {self.sweeps} sweeps verified: {found}"

    def view(self) -> View:
        """Show the faults, one per row."""
        columns: Columns[Fault] = [
            text_column("record", lambda fault: fault.record),
            text_column("file", lambda fault: fault.file),
            text_column("fault", lambda fault: fault.reason),
        ]
        table = make_table(self.summary, columns if self.faults else [], self.faults)
        return View((table,), asdict(self), self.faults)


def verify_runs(
    names: Sequence[str], runs: Path, *, workers: int = 1, progress: Progress = SILENT
) -> Verification:
    """Verify records, and the sweeps whose experiments are named whole.

    Args:
        names: Experiments, keys or folders of runs; none means all experiments.
        runs: The folder of the experiments.
        workers: Processes that read them, if there are many.
        progress: Progress bar.

    Raises:
        RequestError: A name is unknown, or there is nothing to verify.
    """
    folders = find_run_folders(names, runs)
    experiments = [path for path in sorted(runs.glob("*")) if not names or path.name in names]
    partial = [path for experiment in experiments for path in _incomplete_records(experiment)]
    # by os.path: Path.is_file raises in a folder of another user
    sweeps = [path for path in experiments if os.path.isfile(path / "sweep.json")]  # noqa: PTH113
    if not (folders or partial or sweeps):
        raise RequestError(f"no finished run in {runs}; start with `sercli train`")
    faults = []
    with progress.task("verifying records", total=len(folders)) as bar:
        for found in _verified(folders, workers):
            faults += found
            bar.advance()
    faults += [Fault(record_name(path), "run.json", _INCOMPLETE) for path in partial]
    faults += [fault for path in sweeps for fault in verify_sweep(path)]
    return Verification(len(folders) + len(partial), len(sweeps), tuple(faults))


def _verified(folders: Sequence[Path], workers: int) -> Iterator[list[Fault]]:
    if len(folders) < _MANY or possible_workers(workers) == 1:
        yield from map(verify_record, folders)
        return
    pool = worker_pool(workers, module=__name__)
    try:
        yield from pool.map(verify_record, folders, chunksize=_CHUNK)
    except BaseException:
        stop_workers(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _incomplete_records(experiment: Path) -> list[Path]:
    """Return the folders with a configuration and without run.json, which is written last."""
    configs = sorted(experiment.glob("[!.]*/config.yaml"))
    return [config.parent for config in configs if not is_record(config.parent)]
