"""What the machinery of a sweep costs: planning, claiming and finishing points that train nothing.

A stand-in takes the place of training. It sleeps for the time that a point of the smallest model
takes, or returns at once, so that what is left is the machinery itself.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import optuna

from sercli.config.run_key import run_key
from sercli.config.schema import Config
from sercli.progress import SILENT, Progress
from sercli.reporting.table import Cell, Columns, View, make_table, number_column, text_column
from sercli.search.launch.local import run_workers, share_machine
from sercli.search.plan.plan import Plan, make_plan
from sercli.search.study.study import Study
from sercli.search.worker.options import WorkerOptions
from sercli.search.worker.runner import TrialResult
from sercli.search.worker.worker import run_worker
from sercli.training.run import OnFoldFinished

POINT_SECONDS = 4.0
"""How long a point of ``iaan_small`` trains at least (docs/performance.md: five folds of 0.8 s on
the smallest corpus); most take longer, so that the machinery's share is smaller."""


@dataclass(frozen=True)
class SweepBenchmark:
    """What was measured.

    Attributes:
        planned: Points of the large grid.
        planning_seconds: To compose, check and store them.
        claimed: How many of them were then claimed and finished.
        milliseconds_per_point: From one claim to the next, with all the others waiting.
        share_of_training: The same as a share of a point that trains for `POINT_SECONDS`.
        one_worker, two_workers: Points per hour, of points that take a fixed time.
        speedup: Their ratio.
    """

    planned: int
    planning_seconds: float
    claimed: int
    milliseconds_per_point: float
    share_of_training: float
    one_worker: float
    two_workers: float
    speedup: float

    def to_json(self) -> dict[str, Any]:
        """The same as one document."""
        return asdict(self)


class StandIn:
    """A workshop that trains nothing: it waits, leaves what stands for a record, and scores.

    Args:
        runs: Where the records lie.
        seconds: How long a point takes.
    """

    def __init__(self, runs: Path, seconds: float) -> None:
        self._runs = runs
        self._seconds = seconds

    def __enter__(self) -> Self:
        """Nothing is opened."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Nothing is closed."""

    def train(
        self, config: Config, finished: OnFoldFinished, origin: Mapping[str, Any] | None
    ) -> TrialResult:
        """Wait as long as training would take."""
        time.sleep(self._seconds)
        finished({0: 0.5}, 1)
        key = run_key(config, "stand-in")
        page = self._runs / config.experiment / key / "run.json"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(json.dumps({"key": key}), encoding="utf-8")
        return TrialResult(key, 0.5, self._seconds)

    def check(self, config: Config) -> str:
        """Everything makes sense."""
        return ""

    def parameters(self, config: Config) -> int:
        """No model, no parameters."""
        return 0

    def cancel(self) -> None:
        """There is nothing to stop."""


def stand_in(runs: Path, seconds: float, fold_workers: int | None, progress: Progress) -> StandIn:
    """Open a stand-in where a worker opens its workshop."""
    return StandIn(runs, seconds)


def work_without_training(options: WorkerOptions) -> int:
    """Work on a study, at once."""
    return run_worker(options, partial(stand_in, options.runs, 0.0))


def work_for_half_a_second(options: WorkerOptions) -> int:
    """Work on a study whose points take half a second each."""
    return run_worker(options, partial(stand_in, options.runs, 0.5))


def bench_sweep(
    planned: int, storage: str | None = None, progress: Progress = SILENT
) -> SweepBenchmark:
    """Measure what planning, claiming and finishing cost.

    Args:
        planned: Points of the large grid, a square number.
        storage: URL of the storage; None: a file.
        progress: Told what is measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        progress.note(f"planning {planned} points")
        started = time.perf_counter()
        plan = _grid(planned, "large")
        study = Study("large", runs, storage, create=plan.objectives)
        study.plan(plan)
        planning = time.perf_counter() - started
        claimed = min(planned, 200)
        progress.note(f"claiming and finishing {claimed} of them")
        milliseconds = 1000 * _time_of(study, runs, storage, claimed) / claimed
        rates = []
        for workers in (1, 2):
            progress.note(f"{workers} workers")
            rates.append(_points_per_hour(runs, storage, workers))
    return SweepBenchmark(
        planned=planned,
        planning_seconds=planning,
        claimed=claimed,
        milliseconds_per_point=milliseconds,
        share_of_training=milliseconds / 1000 / POINT_SECONDS,
        one_worker=rates[0],
        two_workers=rates[1],
        speedup=rates[1] / rates[0],
    )


def _grid(points: int, experiment: str) -> Plan:
    side = round(points**0.5)
    alpha = ",".join(f"{0.02 + 0.9 * i / side:.6f}" for i in range(side))
    beta = ",".join(f"{-4 + 8 * i / side:.6f}" for i in range(side))
    fixed = ["activation=arelu", f"experiment={experiment}"]
    return make_plan([*fixed, f"arelu.alpha={alpha}", f"arelu.beta={beta}"])


def _time_of(study: Study, runs: Path, storage: str | None, points: int) -> float:
    """Seconds for so many points by one worker that trains nothing; then it is told to stop."""
    seen = 0

    class Counting(StandIn):
        def train(
            self, config: Config, finished: OnFoldFinished, origin: Mapping[str, Any] | None
        ) -> TrialResult:
            nonlocal seen
            seen += 1
            if seen == points:
                study.stop("the benchmark has seen enough")
            return super().train(config, finished, origin)

    options = WorkerOptions(study.name, runs, storage, quiet=True)
    started = time.perf_counter()
    run_worker(options, lambda fold_workers, progress: Counting(runs, 0.0))
    return time.perf_counter() - started


def _points_per_hour(runs: Path, storage: str | None, workers: int) -> float:
    """Points of half a second each that workers finish in an hour, once they are at work.

    Each counts from its first claim to its last result: that one starts a little later than another
    is a matter of seconds, whatever the sweep takes.
    """
    plan = _grid(36, f"workers{workers}")
    Study(plan.experiment, runs, storage, create=plan.objectives).plan(plan)
    run_workers(
        work_for_half_a_second,
        share_machine(WorkerOptions(plan.experiment, runs, storage, quiet=True), workers),
    )
    url = storage or f"sqlite:///{runs / plan.experiment / 'study.db'}"
    trials = optuna.load_study(study_name=plan.experiment, storage=url).trials_dataframe()
    names = trials["user_attrs_worker"].map(lambda worker: worker["name"])
    rates = [
        len(own) / (own["datetime_complete"].max() - own["datetime_start"].min()).total_seconds()
        for _, own in trials.groupby(names)
    ]
    return float(3600 * sum(rates))


def sweep_view(made: SweepBenchmark) -> View:
    """Show measured times and their targets."""
    rows = [
        (f"planning {made.planned} trials", f"{made.planning_seconds:.1f} s", "20 s"),
        (f"a trial, {made.planned} planned", f"{made.milliseconds_per_point:.0f} ms", "50 ms"),
        ("share of training iaan_small", f"{100 * made.share_of_training:.1f} %", "2 %"),
        ("two workers against one", f"{made.speedup:.2f} ×", "1.85 ×"),
    ]
    columns: Columns[tuple[str, str, str]] = [
        text_column("overhead", lambda row: row[0]),
        number_column("measured", lambda row: Cell(row[1])),
        number_column("target", lambda row: Cell(row[2])),
    ]
    data = made.to_json()
    return View(
        (make_table("Sweep overhead, with trials that train nothing", columns, rows),), data, [data]
    )
