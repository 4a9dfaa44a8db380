"""The benchmark of sweeps: what it measures, and how it lays it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from sercli.bench.sweep import SweepBenchmark, _grid, bench_sweep, sweep_view
from sercli.cli import app
from sercli.config.schema import Config
from sercli.reporting.formats import to_text
from sercli.search.plan.plan import Plan
from sercli.search.worker.options import WorkerOptions
from sercli.training.data import Data

BENCH = ("bench", "sweep")


@pytest.fixture(name="few", autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch, toy: Data, toy_config: Callable[..., Config]) -> None:
    """A small grid, four trials of half a second each, one worker and a toy are enough here."""

    def bench(trials: int, *arguments: Any) -> SweepBenchmark:
        return bench_sweep({400: 64}[trials], *arguments)

    def grid(trials: int, experiment: str) -> Plan:
        return _grid(4 if trials == 36 else trials, experiment)

    def run_here(target: Callable[[WorkerOptions], int], workers: Sequence[WorkerOptions]) -> None:
        target(workers[0])

    short = toy_config("trainer.steps=6", "trainer.eval_every=3")
    monkeypatch.setattr("sercli.bench.sweep.compose", lambda overrides: short)
    monkeypatch.setattr("sercli.bench.sweep.read_data", lambda config, progress: toy)
    monkeypatch.setattr("sercli.bench.sweep.bench_sweep", bench)
    monkeypatch.setattr("sercli.bench.sweep._grid", grid)
    monkeypatch.setattr("sercli.bench.sweep.run_workers", run_here)


def test_the_command_prints_one_json_document() -> None:
    done = CliRunner().invoke(app, [*BENCH, "--trials", "400", "--format", "json", "--quiet"])

    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert (made["planned"], made["claimed"]) == (64, 64)
    assert made["planning_seconds"] > 0
    share = made["milliseconds_per_trial"] / 1000 * made["trained_per_hour"] / 3600
    assert made["share_of_training"] == pytest.approx(share)
    assert made["milliseconds_per_step"] > 0
    assert 0 <= made["kernel_share"] < 1
    assert made["speedup"] == pytest.approx(made["two_workers"] / made["one_worker"])


def test_measures_stand_beside_their_targets() -> None:
    made = SweepBenchmark(
        450.0, 12.34, 0.44, 10_000, 12.3, 200, 31.0, 0.00775, 6000.0, 11000.0, 1.8333
    )

    lines = [" ".join(line.split()) for line in to_text(sweep_view(made)).splitlines()]

    assert "trials per hour and core 450" in lines
    assert "a training step 12.3 ms" in lines
    assert "share of it in the kernel 44 %" in lines
    assert "planning 10000 trials 12.3 s 20 s" in lines
    assert "a trial, 10000 planned 31 ms 50 ms" in lines
    assert "share of training iaan_small 0.8 % 2 %" in lines
    assert "two workers against one 1.83 × 1.85 ×" in lines


def test_too_few_trials_are_refused() -> None:
    done = CliRunner().invoke(app, [*BENCH, "--trials", "10"])

    assert done.exit_code == 2
    assert "400" in done.stderr
