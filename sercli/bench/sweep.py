"""Speed of a sweep: the training of a trial, and the overhead of planning, claiming and finishing.

The overhead is measured with a runner that sleeps, or returns at once, instead of training.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
import torch

from sercli.config.compose import compose
from sercli.config.run_key import run_key
from sercli.config.schema import Config
from sercli.nn.recurrence.cpp.launch import kernel_seconds
from sercli.progress import SILENT, Progress
from sercli.reporting.table import Cell, Columns, View, make_table, number_column, text_column
from sercli.search.launch.local import run_workers, share_machine
from sercli.search.plan.plan import Plan, make_plan
from sercli.search.study.study import Study
from sercli.search.worker.options import WorkerOptions
from sercli.search.worker.runner import TrialResult
from sercli.search.worker.worker import run_worker
from sercli.training.data import read_data
from sercli.training.folds import make_folds
from sercli.training.run import OnFoldFinished
from sercli.training.trainer import train_fold

TRIAL = ("model=iaan_small", "activation=arelu", "trainer.steps=100", "trainer.eval_every=50")
"""The trial that is trained, on the synthetic corpus. It is short: for others the share of the
overhead is smaller."""


@dataclass(frozen=True)
class SweepBenchmark:
    """Measurements of a sweep.

    Attributes:
        trained_per_hour: Trials (`TRIAL`) that one core trains in an hour of CPU time.
        milliseconds_per_step: CPU time of a training step.
        kernel_share: Share of it in the fused kernel.
        planned: Trials of the large grid.
        planning_seconds: Time to compose, check and store them.
        claimed: Number of them that were claimed and finished.
        milliseconds_per_trial: Time from one claim to the next, with all others waiting.
        share_of_training: The same as a share of the training of a trial.
        one_worker, two_workers: Trials per hour, of trials of half a second.
        speedup: Ratio of the two.
    """

    trained_per_hour: float
    milliseconds_per_step: float
    kernel_share: float
    planned: int
    planning_seconds: float
    claimed: int
    milliseconds_per_trial: float
    share_of_training: float
    one_worker: float
    two_workers: float
    speedup: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


class IdleRunner:
    """A runner that trains nothing: it waits, and writes the file that makes a record.

    Args:
        runs: Folder of the records.
        seconds: Duration of a trial.
    """

    def __init__(self, runs: Path, seconds: float) -> None:
        self._runs = runs
        self._seconds = seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        return

    def train(
        self, config: Config, finished: OnFoldFinished, origin: Mapping[str, Any] | None
    ) -> TrialResult:
        time.sleep(self._seconds)
        finished({0: 0.5}, 1)
        key = run_key(config, "idle")
        summary = self._runs / config.experiment / key / "run.json"
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(json.dumps({"key": key}), encoding="utf-8")
        return TrialResult(key, 0.5, self._seconds)

    def check(self, config: Config) -> str:
        return ""

    def parameters(self, config: Config) -> int:
        return 0

    def cancel(self) -> None:
        return


def run_idle_worker(options: WorkerOptions) -> int:
    """Run trials that take half a second each."""
    assert options.runs is not None
    runs = options.runs
    return run_worker(options, lambda fold_workers, progress: IdleRunner(runs, 0.5))


def bench_sweep(
    planned: int, storage: str | None = None, progress: Progress = SILENT
) -> SweepBenchmark:
    """Measure the training of a trial, and the overhead of planning, claiming and finishing.

    Args:
        planned: Trials of the large grid, a square number.
        storage: URL of the storage; None: a file.
        progress: Notes of each measurement.
    """
    progress.note("training a fold")
    trained = _train(compose(TRIAL), progress)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        progress.note(f"planning {planned} trials")
        started = time.perf_counter()
        plan = _grid(planned, f"{runs.name}-large")  # a database may be measured again
        study = Study(plan.experiment, runs, storage, create=plan.objectives)
        study.plan(plan)
        planning = time.perf_counter() - started
        claimed = min(planned, 200)
        progress.note(f"claiming and finishing {claimed} of them")
        milliseconds = 1000 * _time_of(study, runs, storage, claimed) / claimed
        rates = []
        for workers in (1, 2):
            progress.note(f"{workers} workers")
            rates.append(_trials_per_hour(runs, storage, workers))
    return SweepBenchmark(
        **trained,
        planned=planned,
        planning_seconds=planning,
        claimed=claimed,
        milliseconds_per_trial=milliseconds,
        share_of_training=milliseconds * trained["trained_per_hour"] / 3.6e6,
        one_worker=rates[0],
        two_workers=rates[1],
        speedup=rates[1] / rates[0],
    )


def _train(config: Config, progress: Progress) -> dict[str, float]:
    """Train one fold on this thread, and measure its steps without the evaluations."""
    torch.set_num_threads(1)  # as in a worker
    data = read_data(config, progress=progress)
    folds = make_folds(data.manifest, config.protocol)
    clocks = [_clock()]
    began, _ = clocks[0]
    train_fold(config, data, folds[0], config.seeds[0], lambda _: clocks.append(_clock()))
    seconds = (time.thread_time() - began) * len(folds) * len(config.seeds)
    evaluated = config.trainer.eval_every
    steps = np.diff(clocks, axis=0)[np.arange(len(clocks) - 1) % evaluated > 0]
    step, kernel = steps.sum(axis=0)
    return {
        "trained_per_hour": 3600 / seconds,
        "milliseconds_per_step": 1000 * step / len(steps),
        "kernel_share": kernel / step,
    }


def _clock() -> tuple[float, float]:
    return time.thread_time(), kernel_seconds()


def _grid(trials: int, experiment: str) -> Plan:
    side = round(trials**0.5)
    alpha = ",".join(f"{0.02 + 0.9 * i / side:.6f}" for i in range(side))
    beta = ",".join(f"{-4 + 8 * i / side:.6f}" for i in range(side))
    fixed = ["activation=arelu", f"experiment={experiment}"]
    return make_plan([*fixed, f"arelu.alpha={alpha}", f"arelu.beta={beta}"])


def _time_of(study: Study, runs: Path, storage: str | None, trials: int) -> float:
    """Return the seconds in which one worker claims and finishes so many trials."""
    seen = 0

    class Counting(IdleRunner):
        def train(
            self, config: Config, finished: OnFoldFinished, origin: Mapping[str, Any] | None
        ) -> TrialResult:
            nonlocal seen
            seen += 1
            if seen == trials:
                study.stop("the benchmark is finished")
            return super().train(config, finished, origin)

    options = WorkerOptions(study.name, runs, storage, quiet=True)
    started = time.perf_counter()
    run_worker(options, lambda fold_workers, progress: Counting(runs, 0.0))
    return time.perf_counter() - started


def _trials_per_hour(runs: Path, storage: str | None, workers: int) -> float:
    """Return the rate at which workers finish trials of half a second.

    The time of a worker is that from its first claim to its last result, because start-up takes
    seconds however long a sweep is.
    """
    plan = _grid(36, f"{runs.name}-workers{workers}")
    Study(plan.experiment, runs, storage, create=plan.objectives).plan(plan)
    run_workers(
        run_idle_worker,
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
        (f"a trial, {made.planned} planned", f"{made.milliseconds_per_trial:.0f} ms", "50 ms"),
        ("share of training iaan_small", f"{100 * made.share_of_training:.1f} %", "2 %"),
        ("two workers against one", f"{made.speedup:.2f} ×", "1.85 ×"),
    ]
    columns: Columns[tuple[str, str, str]] = [
        text_column("measure", lambda row: row[0]),
        number_column("measured", lambda row: Cell(row[1])),
        number_column("target", lambda row: Cell(row[2])),
    ]
    training = [
        ("trials per hour and core", f"{made.trained_per_hour:.0f}", ""),
        ("a training step", f"{made.milliseconds_per_step:.1f} ms", ""),
        ("share of it in the kernel", f"{100 * made.kernel_share:.0f} %", ""),
    ]
    tables = (
        make_table(f"Training, CPU time: {' '.join(TRIAL)}", columns[:2], training),
        make_table("Sweep overhead, with trials that train nothing", columns, rows),
    )
    data = made.to_json()
    return View(tables, data, [data])
