"""Studies of a small grid, whose trials are claimed and finished without training."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sercli.search.plan.plan import Plan, make_plan
from sercli.search.study.liveness import Worker
from sercli.search.study.study import Study
from sercli.search.study.trial_queue import ClaimedTrial

ME = Worker("me", "here", "1")
OTHER = Worker("other", "elsewhere", "2")


@cache
def grid_plan(trials: int, name: str = "grid") -> Plan:
    """Plan a grid of so many trials, of 1, 2, … training steps."""
    values = ",".join(str(1 + n) for n in range(trials))
    return make_plan([f"trainer.steps=choice({values})", f"experiment={name}"])


def grid_study(runs: Path, trials: int, name: str = "grid", url: str | None = None) -> Study:
    """Return the study of such a grid."""
    study = Study(name, runs, url, create=("dev_ua",))
    study.plan(grid_plan(trials, name))
    return study


def states(study: Study) -> dict[str, int]:
    """Return state → number of trials, where there are any."""
    return {state: n for state, n in study.summarize()[0].states.items() if n}


def claim(study: Study, worker: Worker = ME) -> ClaimedTrial:
    """Claim the next trial."""
    trial = study.claim(worker)
    assert trial is not None
    return trial


def complete(study: Study, trial: ClaimedTrial, dev_ua: float = 0.5) -> bool:
    """Complete a trial, with something that looks like a record."""
    run = f"run{trial.number}"
    (study.folder / run).mkdir(parents=True, exist_ok=True)
    (study.folder / run / "run.json").touch()
    return study.complete(trial, {"run": run, "seconds": 1.0, "diverged": False}, [dev_ua])
