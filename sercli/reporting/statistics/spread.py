"""How much of the spread of a run's figures comes from its seeds, and how much from its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sercli.results.counts import Floats


@dataclass(frozen=True)
class Spread:
    """Standard deviations, as fractions; NaN where they cannot be told.

    Attributes:
        seeds: Of seeds, in all folds alike; with one fold, of its trainings.
        folds: Of folds, for all seeds alike: some test sets are harder. With one seed, of them
            as they are.
        rest: Of the trainings one by one, beyond both.
    """

    seeds: float
    folds: float
    rest: float


def run_spread(by_fold: Sequence[Mapping[str, Any]], figure: str = "ua") -> Spread:
    """Take the variances of seeds and folds apart in ``metrics["by_fold"]`` of a run.

    Args:
        by_fold: A row for every seed and fold: ``seed``, ``fold`` and figures.
        figure: Name of the figure.
    """
    table = pd.DataFrame(list(by_fold)).pivot(index="seed", columns="fold", values=figure)
    return spread(table.to_numpy(np.float64))


def spread(figures: Floats) -> Spread:
    """Take the variances of seeds and folds apart.

    The method of moments for two crossed random factors (Searle, Casella & McCulloch 1992,
    chapter 4); a variance that comes out negative is 0.

    Args:
        figures: One figure of each seed and fold (seeds, folds).
    """
    seeds, folds = figures.shape
    by_seed, by_fold = figures.mean(axis=1), figures.mean(axis=0)
    if min(seeds, folds) < 2:
        return Spread(_deviation(by_seed), _deviation(by_fold), float("nan"))
    rest = figures - by_seed[:, None] - by_fold + figures.mean()
    within = float(np.square(rest).sum() / ((seeds - 1) * (folds - 1)))
    of_seeds = float(by_seed.var(ddof=1)) - within / folds
    of_folds = float(by_fold.var(ddof=1)) - within / seeds
    return Spread(*(float(np.sqrt(max(each, 0.0))) for each in (of_seeds, of_folds, within)))


def _deviation(figures: Floats) -> float:
    return float(figures.std(ddof=1)) if len(figures) > 1 else float("nan")
