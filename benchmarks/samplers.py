"""Compare the samplers with random search on a known surface of α and β.

    .venv/bin/python benchmarks/samplers.py [SEEDS]

One worker searches with each sampler, with 20 seeds by default; samplers.md has the results. 20
seeds take two minutes on one core.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
import optuna
import torch
from scipy.stats import wilcoxon

from sercli.analysis.statistics.tests import holm
from sercli.search.samplers import SAMPLERS, make_sampler

BUDGETS = (30, 60)
NOISE = 0.5


def surface(alpha: float, beta: float) -> float:
    """Return the true UA in points: a ridge along which β falls with α, and a narrow optimum."""
    ridge = math.exp(-(((beta - 1.5 + 3 * alpha) / 1.2) ** 2) / 2)
    peak = math.exp(-(((alpha - 0.15) / 0.08) ** 2 + ((beta - 1.05) / 0.5) ** 2) / 2)
    return 60 + 3 * ridge + 3 * peak


BEST = surface(0.15, 1.05)


def search(sampler: str, seed: int) -> list[float]:
    """Return the simple regret after each budget: the optimum less the best trial's true UA.

    The best trial is that of the highest noisy UA.
    """
    study = optuna.create_study(direction="maximize")
    noise = np.random.default_rng(seed).normal(scale=NOISE, size=max(BUDGETS))
    true: list[float] = []
    for number in range(max(BUDGETS)):
        study.sampler = make_sampler(sampler, seed, number)
        trial = study.ask()
        true.append(surface(trial.suggest_float("α", 0, 0.99), trial.suggest_float("β", -4, 4)))
        study.tell(trial, true[-1] + float(noise[number]))
    return [BEST - true[int(np.argmax(true[:n] + noise[:n]))] for n in BUDGETS]


def main(seeds: int, write: Callable[[str], object]) -> None:
    """Print a table: regrets in points of UA, and p against random search."""
    regrets = {name: np.array([search(name, seed) for seed in range(seeds)]) for name in SAMPLERS}
    others = [(name, column) for name in SAMPLERS if name != "random" for column in range(2)]
    tests = [
        float(wilcoxon(regrets[name][:, n], regrets["random"][:, n], alternative="less").pvalue)
        for name, n in others
    ]
    adjusted = dict(zip(others, holm(tests), strict=True))
    write("| sampler | trials | mean regret | median | worst | p (Holm) |\n")
    write("|---|---|---|---|---|---|\n")
    for column, budget in enumerate(BUDGETS):
        for name, values in regrets.items():
            regret = values[:, column]
            p = f"{adjusted[name, column]:.2g}" if name != "random" else "–"
            figures = " | ".join(
                f"{x:.2f}" for x in (regret.mean(), np.median(regret), regret.max())
            )
            write(f"| `{name}` | {budget} | {figures} | {p} |\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.stdout.write)
