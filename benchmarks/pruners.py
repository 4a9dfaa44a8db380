"""Measure how often each pruner stops trials of equal, lower and higher quality.

    .venv/bin/python benchmarks/pruners.py

Twenty trials are simulated, of equal quality but for the last one. Folds differ by 4 points of UA
(standard deviation), the fold runs of a trial by 1.5. samplers.md has the results. Takes a minute.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np
import optuna
from optuna.trial import TrialState

from sercli.search.samplers.pruners import PRUNERS, intermediate, make_pruner

TRIALS = 20
REPEATS = 40
FOLD_SD = 4.0
RUN_SD = 1.5


def sweep(
    pruner: str, folds: int, seeds: int, gain: float, random: np.random.Generator
) -> tuple[float, bool, float]:
    """Sweep once.

    Returns:
        The share of equal trials that were pruned; True if the last one was, whose UA is ``gain``
        higher; and the share of all fold runs that were saved.
    """
    study = optuna.create_study(direction="maximize", pruner=make_pruner(pruner))
    base = 60 + np.tile(random.normal(scale=FOLD_SD, size=folds), seeds)
    stopped, trained = [], 0
    for number in range(TRIALS):
        better = gain if number == TRIALS - 1 else 0.0
        dev_uas = (base + better + random.normal(scale=RUN_SD, size=len(base))).tolist()
        trial = study.ask()
        stopped.append(False)
        for step in range(len(dev_uas)):
            trial.report(intermediate(pruner, dev_uas[: step + 1]), step)
            trained += 1
            if step < len(dev_uas) - 1 and trial.should_prune():
                stopped[-1] = True
                break
        if stopped[-1]:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, float(np.mean(dev_uas)))
    return float(np.mean(stopped[:-1])), stopped[-1], 1 - trained / (TRIALS * len(base))


def main(write: Callable[[str], object]) -> None:
    """Print a table, in per cent."""
    random = np.random.default_rng(0)
    write("| pruner | folds × seeds | stopped: equal | 2 points worse | 5 points worse ")
    write("| 2 points better | 5 points better | fold runs saved |\n" + "|---" * 8 + "|\n")
    for pruner in PRUNERS:
        for folds, seeds in ((5, 1), (5, 3), (10, 1), (10, 3)):
            results = np.array(
                [
                    [sweep(pruner, folds, seeds, gain, random) for _ in range(REPEATS)]
                    for gain in (-2.0, -5.0, 2.0, 5.0)
                ]
            )
            equal, _, saved = results.mean(axis=(0, 1))
            figures = [equal, *results[:, :, 1].mean(axis=1), saved]
            cells = " | ".join(f"{100 * figure:.0f}" for figure in figures)
            write(f"| `{pruner}` | {folds} × {seeds} | {cells} |\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    main(sys.stdout.write)
