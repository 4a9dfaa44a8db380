"""The metrics of a run, from the predictions of its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sercli.results.unit import UnitResult
from sercli.training.metrics import ua, wa

BOOTSTRAPS = 1000
"""Resamples for an interval (default of the confidence-intervals package)."""


def summarise(units: Sequence[UnitResult], speakers: Mapping[str, str]) -> dict[str, Any]:
    """Compute the metrics of a complete run.

    Predictions are pooled over folds, once per seed; the figures of a run are means over
    seeds. 95 % intervals resample speakers, because utterances of one speaker are not
    independent.

    Args:
        units: All seeds × folds.
        speakers: Utterance id → speaker.

    Returns:
        Fractions: ``ua``, ``wa`` (dev-selected), ``ua_oracle``, ``wa_oracle``, ``dev_ua``,
        ``dev_wa``, ``ua_ci``, ``wa_ci``, ``recall`` per class, ``n`` utterances tested, and
        the same figures ``by_seed`` and ``by_fold``.
    """
    predictions = pd.concat([unit.predictions for unit in units], ignore_index=True)
    by_seed = [{"seed": seed, **_figures(part)} for seed, part in predictions.groupby("seed")]
    means = {
        name: float(np.mean([row[name] for row in by_seed]))
        for name in by_seed[0]
        if name != "seed"
    }
    test = _part(predictions, "test", "dev")
    return {
        **means,
        **_intervals(test, test["utterance"].map(dict(speakers))),
        "recall": {
            str(label): float((part["predicted"] == label).mean())
            for label, part in test.groupby("label")
        },
        "n": int(test["utterance"].nunique()),
        "by_seed": by_seed,
        "by_fold": [
            {
                "seed": unit.seed,
                "fold": unit.fold,
                "selected_step": unit.selected_step,
                "oracle_step": unit.oracle_step,
                **_figures(unit.predictions),
            }
            for unit in units
        ],
    }


def _figures(predictions: pd.DataFrame) -> dict[str, float]:
    selected = _part(predictions, "test", "dev")
    oracle = _part(predictions, "test", "oracle")
    dev = _part(predictions, "dev", "dev")
    return {
        f"{before}{metric.__name__}{after}": metric(
            part["label"].tolist(), part["predicted"].tolist()
        )
        for before, part, after in (("", selected, ""), ("", oracle, "_oracle"), ("dev_", dev, ""))
        for metric in (ua, wa)
    }


def _part(predictions: pd.DataFrame, part: str, selection: str) -> pd.DataFrame:
    return predictions[(predictions["part"] == part) & (predictions["selection"] == selection)]


def _intervals(test: pd.DataFrame, speakers: pd.Series[str]) -> dict[str, list[float]]:
    from confidence_intervals import evaluate_with_conf_int

    clusters = speakers.astype("category").cat.codes.to_numpy()
    labels, truth = np.unique(test["label"].to_numpy(dtype=str), return_inverse=True)
    known = {name: i for i, name in enumerate(labels)}
    predicted = test["predicted"].map(known).fillna(-1).to_numpy(dtype=int)
    intervals = {}
    for name, metric in (("ua_ci", _fast_ua), ("wa_ci", _fast_wa)):
        _, bounds = evaluate_with_conf_int(
            predicted, metric, truth, clusters, num_bootstraps=BOOTSTRAPS, alpha=5
        )
        intervals[name] = [float(bound) for bound in bounds]
    return intervals


def _fast_ua(truth: np.ndarray, predicted: np.ndarray) -> float:
    """`sercli.training.metrics.ua` for class indices: a thousand resamples need it fast."""
    total = np.bincount(truth)
    right = np.bincount(truth[truth == predicted], minlength=len(total))
    return float((right[total > 0] / total[total > 0]).mean())


def _fast_wa(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float((truth == predicted).mean())
