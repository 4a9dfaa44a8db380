"""Verify the records of experiments, each alone, and what sweeps left beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sercli.errors import RequestError
from sercli.processes import stop_workers, worker_pool
from sercli.progress import SILENT, Progress
from sercli.reporting.find import find_folders
from sercli.reporting.table import Cell, Column, Table, make_table, text_column
from sercli.results.run_record import is_record
from sercli.results.verify.files import Fault, record_name
from sercli.results.verify.record import verify_record
from sercli.results.verify.sweep import verify_sweep


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what is wrong with it.

    Attributes:
        records: Number of records.
        sweeps: Number of experiments that a sweep left its page in.
        faults: What is missing, damaged, or does not agree.
    """

    records: int
    sweeps: int
    faults: tuple[Fault, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as what ``json`` can write, under the names of the attributes."""
        return asdict(self)

    @property
    def summary(self) -> str:
        """The same in a line."""
        damaged = len({fault.record for fault in self.faults})
        found = f"{len(self.faults)} faults in {damaged} of them" if damaged else "no faults"
        return f"{self.records} records and {self.sweeps} sweeps verified: {found}"

    def tables(self) -> list[Table]:
        """Return a table of the faults; where there are none, it has no rows and says so."""
        columns: list[tuple[Column, Callable[[Fault], Cell]]] = [
            text_column("record", lambda fault: fault.record),
            text_column("file", lambda fault: fault.file),
            text_column("what is wrong", lambda fault: fault.reason),
        ]
        return [make_table(self.summary, columns, self.faults)]


def verify_runs(
    names: Sequence[str], runs: Path, *, workers: int = 1, progress: Progress = SILENT
) -> Verification:
    """Verify records, and the sweeps whose experiments are named whole.

    Args:
        names: Experiments, keys or folders of runs; none means all experiments.
        runs: Where the experiments lie.
        workers: Processes that read them, if there are many.
        progress: Where to show how far it is.

    Raises:
        RequestError: A name is unknown, or there is nothing to verify.
    """
    folders = find_folders(names, runs)
    experiments = [path for path in sorted(runs.glob("*")) if not names or path.name in names]
    halves = [path for experiment in experiments for path in _halves(experiment)]
    sweeps = [path for path in experiments if (path / "sweep.json").is_file()]
    if not (folders or halves or sweeps):
        raise RequestError(f"no finished run in {runs}; start with `sercli train`")
    faults = []
    with progress.task("verifying records", total=len(folders)) as bar:
        for found in _verified(folders, workers):
            faults += found
            bar.advance()
    faults += [Fault(record_name(path), "run.json", _HALF) for path in halves]
    faults += [fault for path in sweeps for fault in verify_sweep(path)]
    return Verification(len(folders) + len(halves), len(sweeps), tuple(faults))


def _verified(folders: Sequence[Path], workers: int) -> Iterator[list[Fault]]:
    if workers == 1 or len(folders) < _MANY:
        yield from map(verify_record, folders)
        return
    pool = worker_pool(workers)
    try:
        yield from pool.map(verify_record, folders, chunksize=_CHUNK)
    except BaseException:
        stop_workers(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_MANY = 20
"""Records that are worth other processes (our choice; one starts in the time of ten records)."""

_CHUNK = 4
"""Records that a process is given at a time."""

_HALF = "is missing: a record that was copied by half; copy it again, or remove it"


def _halves(experiment: Path) -> list[Path]:
    """Folders with the configuration of a run and without its page, which is written last."""
    pages = sorted(experiment.glob("[!.]*/config.yaml"))
    return [page.parent for page in pages if not is_record(page.parent)]
