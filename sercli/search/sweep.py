"""The sweep: run every point of a plan, each exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sercli.config.key import run_key
from sercli.config.schema import Config
from sercli.errors import RequestError, SercliError
from sercli.progress import SILENT, Progress
from sercli.results.record import Record, is_record, read_record
from sercli.search.plan import Point
from sercli.search.study import RUN, Study
from sercli.training.crew import Crew, crew_size
from sercli.training.data import Data, read_data
from sercli.training.run import train_run
from sercli.training.unit import new_model


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        experiment: Its name.
        points: Points of the plan.
        finished_now: How many of them this sweep trained; the others were known.
        records: The records of all points that are finished.
        failed: What could not be run: overrides and reason.
    """

    experiment: str
    points: int
    finished_now: int
    records: tuple[Record, ...]
    failed: tuple[tuple[str, str], ...]

    @property
    def all_well(self) -> bool:
        """Whether every point is finished and none diverged."""
        complete = sum(record.status == "complete" for record in self.records)
        return complete == self.points

    def lines(self) -> list[str]:
        """Say in words what the sweep did."""
        before = len(self.records) - self.finished_now
        diverged = sum(record.status == "diverged" for record in self.records)
        return [
            f"{self.experiment}: {self.points} points, {self.finished_now} finished now, "
            f"{before} before, {diverged} diverged, {len(self.failed)} failed",
            *(f"failed: {overrides}: {reason}" for overrides, reason in self.failed),
        ]

    def to_json(self) -> dict[str, Any]:
        """The same as one document."""
        return {
            "experiment": self.experiment,
            "points": self.points,
            "finished": len(self.records),
            "finished_now": self.finished_now,
            "runs": [
                {"key": r.key, "status": r.status, "dev_ua": r.metrics.get("dev_ua")}
                for r in self.records
            ],
            "failed": [{"point": point, "reason": reason} for point, reason in self.failed],
        }


def run_sweep(
    points: Sequence[Point], *, workers: int | None = None, progress: Progress = SILENT
) -> SweepResult:
    """Run the points of a plan one after the other; what was finished before is not run again.

    The objective is UA on dev, pooled over folds. A point whose run fails is noted, and the
    rest goes on.

    Args:
        points: Points of one experiment.
        workers: Processes that extract features and train folds; default: one per core.
        progress: Where bars and notes go.

    Raises:
        RequestError: A point makes no sense, the points belong to several experiments, or
            another process is at work on this one. Nothing was run.
    """
    folder = _home(points)
    study = Study(folder)
    finished_now = 0
    failed: list[tuple[str, str]] = []
    with study.alone(), ExitStack() as crews:
        workshop = _Workshop(workers, progress, crews)
        wanted = {workshop.key(point): point for point in points}
        study.plan(wanted)
        waiting = study.count_waiting(wanted)
        with progress.task(f"sweep {folder.name}, points", waiting) as task:
            while (trial := study.claim(wanted)) is not None:
                point = wanted[trial.user_attrs[RUN]]
                try:
                    record, new = workshop.train(point.config)
                except SercliError as error:
                    study.fail(trial, str(error))
                    failed.append((" ".join(point.overrides), str(error)))
                else:
                    whole = record.status == "complete"  # a seed that is left over is no answer
                    study.finish(trial, record.metrics["dev_ua"] if whole else None)
                    finished_now += new
                task.advance()
    return SweepResult(
        experiment=folder.name,
        points=len(wanted),
        finished_now=finished_now,
        records=tuple(read_record(path) for path in _finished(folder, wanted)),
        failed=tuple(failed),
    )


def _finished(folder: Path, keys: Iterable[str]) -> list[Path]:
    return [folder / key for key in keys if is_record(folder / key)]


class _Workshop:
    """Keeps the data and the crew from one point to the next, as long as the data stays."""

    def __init__(self, workers: int | None, progress: Progress, crews: ExitStack) -> None:
        self._workers = workers
        self._progress = progress
        self._crews = crews
        self._settings: Any = None
        self._data: Data
        self._crew: Crew | None = None

    def key(self, point: Point) -> str:
        """The key of a point's run; a point that makes no sense is refused before any work."""
        try:
            data = self._read(point.config)
            new_model(point.config, data)
        except RequestError as error:
            raise RequestError(f"point {' '.join(point.overrides)}: {error}") from error
        return run_key(point.config, data.fingerprint)

    def train(self, config: Config) -> tuple[Record, bool]:
        data = self._read(config)
        if self._crew is None:
            size = crew_size(config, self._workers)
            self._crew = self._crews.enter_context(Crew(data, size))
        return train_run(config, data, self._crew, progress=self._progress)

    def _read(self, config: Config) -> Data:
        settings = asdict(config.dataset), asdict(config.features), asdict(config.paths)
        if settings != self._settings:
            self._crews.close()
            self._crew = None
            size = crew_size(config, self._workers)
            self._data = read_data(config, workers=size, progress=self._progress)
            self._settings = settings
        return self._data


def _home(points: Sequence[Point]) -> Path:
    """The folder of the experiment."""
    homes = {Path(point.config.paths.runs) / point.config.experiment for point in points}
    if len(homes) != 1:
        raise RequestError("a sweep is one experiment: give one experiment= and one paths.runs=")
    return homes.pop()
