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
from sercli.results.metrics import ua, wa


@dataclass
class _Best:
    """The best step so far under one rule; of equals, the first."""

    score: float = -math.inf
    step: int | None = None
    predictions: tuple[pd.DataFrame, ...] = ()
    weights: dict[str, np.ndarray] = field(default_factory=dict)


class Selection:
    """Keeps the predictions of the best steps.

    Test is only recorded. The dev rule decides when training stops and which weights are kept;
    the oracle, the best step on test, is what much of the literature reports.

    Args:
        patience: Evaluations without a better dev UA before early stopping; None: never.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience = patience
        self._waited = 0
        self._best = {"dev": _Best(), "oracle": _Best()}

    def update(
        self, step: int, dev: pd.DataFrame, test: pd.DataFrame, model: nn.Module
    ) -> dict[str, float]:
        """Keep predictions and weights that are better than before.

        Args:
            step: The training step.
            dev: Predictions of the dev utterances, with ``label`` and ``predicted``.
            test: Predictions of the test utterances.
            model: The present model.

        Returns:
            UA and WA of dev and test.
        """
        found = scores("dev", dev) | scores("test", test)
        for rule, score in (("dev", found["dev_ua"]), ("oracle", found["test_ua"])):
            if score > self._best[rule].score:
                parts = (dev.assign(part="dev"), test.assign(part="test"))
                weights = _copied(model) if rule == "dev" else {}
                self._best[rule] = _Best(score, step, parts, weights)
        self._waited = 0 if self.selected_step == step else self._waited + 1
        return found

    def refitted(self, test: pd.DataFrame, model: nn.Module) -> None:
        """Replace the selected model by one that was trained on train and dev.

        Its test predictions and weights are kept. It has seen dev, so the dev predictions stay
        those of the selected model.

        Args:
            test: Its predictions of the test utterances.
            model: The model.
        """
        before = self._best["dev"]
        dev, _ = before.predictions
        parts = (dev, test.assign(part="test"))
        self._best["dev"] = replace(before, predictions=parts, weights=_copied(model))

    @property
    def out_of_patience(self) -> bool:
        """True if early stopping is due: no better dev UA for ``patience`` evaluations."""
        return self._patience is not None and self._waited >= self._patience

    @property
    def selected_step(self) -> int | None:
        """The step with the best dev UA."""
        return self._best["dev"].step

    @property
    def oracle_step(self) -> int | None:
        """The step with the best test UA."""
        return self._best["oracle"].step

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """State dict at the selected step."""
        return self._best["dev"].weights

    def predictions(self) -> pd.DataFrame:
        """One row per utterance of dev and test under each rule (column ``selection``)."""
        parts = [
            part.assign(selection=rule)
            for rule, best in self._best.items()
            for part in best.predictions
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


def scores(part: str, predictions: pd.DataFrame) -> dict[str, float]:
    """Return UA and WA of the predictions of a part as ``<part>_ua`` and ``<part>_wa``."""
    truth, predicted = predictions["label"].tolist(), predictions["predicted"].tolist()
    return {f"{part}_ua": ua(truth, predicted), f"{part}_wa": wa(truth, predicted)}


def _copied(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy().copy() for name, value in model.state_dict().items()}
