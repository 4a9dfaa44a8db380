"""Selection of the training step: on dev, which is the result, and on test, the oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from sercli.results.fold_result import FoldResult
from sercli.training.evaluation import Predictions
from sercli.training.weights import kept_weights


@dataclass
class _Best:
    """The best step so far under one rule; of equals, the first."""

    score: float = -math.inf
    step: int | None = None
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)


class Selection:
    """Keeps the predictions of the best steps.

    Test is only recorded. The dev rule decides when training stops and which weights are kept;
    the oracle, the best step on test, is what much of the literature reports.

    Args:
        patience: Evaluations without a better score on dev before early stopping; None: never.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience = patience
        self._waited = 0
        self._best = {"dev": _Best(), "oracle": _Best()}

    def update(
        self, step: int, dev: Predictions, test: Predictions, model: nn.Module
    ) -> dict[str, float]:
        """Keep predictions and weights that are better than before.

        Args:
            step: The training step.
            dev: Predictions of the dev utterances.
            test: Predictions of the test utterances.
            model: The present model.

        Returns:
            The scores of dev and test.
        """
        for rule, part in (("dev", dev), ("oracle", test)):
            score = next(iter(part.scores.values()))
            if score > self._best[rule].score:
                weights = _copied(model) if rule == "dev" else {}
                self._best[rule] = _Best(score, step, {"dev": dev, "test": test}, weights)
        self._waited = 0 if self.selected_step == step else self._waited + 1
        return scores("dev", dev) | scores("test", test)

    def refitted(self, test: Predictions, model: nn.Module) -> None:
        """Replace the selected model by one that was trained on train and dev.

        Its test predictions and weights are kept. It has seen dev, so the dev predictions stay
        those of the selected model.

        Args:
            test: Its predictions of the test utterances.
            model: The model.
        """
        before = self._best["dev"]
        parts = {**before.predictions, "test": test}
        self._best["dev"] = replace(before, predictions=parts, weights=_copied(model))

    @property
    def out_of_patience(self) -> bool:
        """True if early stopping is due: no better score on dev for ``patience`` evaluations."""
        return self._patience is not None and self._waited >= self._patience

    @property
    def selected_step(self) -> int | None:
        """The step with the best score on dev, which is UA or CCC."""
        return self._best["dev"].step

    @property
    def oracle_step(self) -> int | None:
        """The step with the best score on test."""
        return self._best["oracle"].step

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """State dict at the selected step."""
        return self._best["dev"].weights

    def predictions(self) -> pd.DataFrame:
        """One row per utterance of dev and test under each rule (column ``selection``)."""
        parts = [
            predictions.table(part=part, selection=rule)
            for rule, best in self._best.items()
            for part, predictions in best.predictions.items()
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def result(
        self,
        seed: int,
        fold: str,
        history: Sequence[Mapping[str, Any]],
        diverged_at: int | None = None,
    ) -> FoldResult:
        """Return the result of the fold.

        Args:
            seed: The seed.
            fold: Name of the fold.
            history: The rows of the history.
            diverged_at: Step of the divergence, if any.
        """
        return FoldResult(
            seed=seed,
            fold=fold,
            diverged_at=diverged_at,
            selected_step=self.selected_step,
            oracle_step=self.oracle_step,
            history=pd.DataFrame(history).assign(seed=seed, fold=fold),
            predictions=self.predictions().assign(seed=seed, fold=fold),
            weights=self.weights,
        )


def unselected(
    seed: int, fold: str, steps: int, model: nn.Module, diverged_at: int | None = None
) -> FoldResult:
    """Return the result of a fold that was trained without selection: weights alone.

    Args:
        seed: The seed.
        fold: Name of the fold.
        steps: Number of steps.
        model: The trained model.
        diverged_at: Step of the divergence, if any.
    """
    return FoldResult(
        seed=seed,
        fold=fold,
        diverged_at=diverged_at,
        selected_step=steps,
        oracle_step=None,
        history=pd.DataFrame({"step": []}),
        predictions=pd.DataFrame(),
        weights=_copied(model),
    )


def scores(part: str, predictions: Predictions) -> dict[str, float]:
    """Return the scores of the predictions of a part as ``<part>_<name>``."""
    return {f"{part}_{name}": score for name, score in predictions.scores.items()}


def _copied(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy().copy() for name, value in kept_weights(model).items()}
