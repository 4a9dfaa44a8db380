"""The metrics of a run, from the predictions of its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sercli.results.unit import UnitResult
from sercli.training.metrics import maf, map, ua, wa  # noqa: A004 - MAP is its name

BOOTSTRAPS = 10_000
"""Resamples for an interval (our choice: its ends then move by about 0.1 points)."""


def summarise(units: Sequence[UnitResult], speakers: Mapping[str, str]) -> dict[str, Any]:
    """Compute the metrics of a complete run.

    Predictions are pooled over folds, once per seed; the figures of a run are means over
    seeds. 95 % intervals resample speakers, because utterances of one speaker are not
    independent.

    Args:
        units: All seeds × folds.
        speakers: Utterance id → speaker.

    Returns:
        Fractions: ``ua``, ``wa``, ``maf`` and ``map`` (dev-selected), the same with ``_oracle``
        behind and ``dev_`` before their names, ``ua_ci``, ``wa_ci``, ``recall`` per class, ``n``
        utterances tested, and the figures ``by_seed`` and ``by_fold``.
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
        for metric in (ua, wa, maf, map)
    }


def _part(predictions: pd.DataFrame, part: str, selection: str) -> pd.DataFrame:
    return predictions[(predictions["part"] == part) & (predictions["selection"] == selection)]


def _intervals(test: pd.DataFrame, speakers: pd.Series[str]) -> dict[str, list[float]]:
    """Percentiles of the cluster bootstrap (Field & Welsh 2007): whole speakers are drawn."""
    right = (test["label"] == test["predicted"]).groupby([speakers, test["label"]])
    counts = right.agg(["size", "sum"]).unstack(fill_value=0)

    number = len(counts)  # of speakers
    drawn = np.random.default_rng(0).multinomial(number, [1 / number] * number, size=BOOTSTRAPS)
    total = drawn @ counts["size"].to_numpy()  # (resamples, classes)
    correct = drawn @ counts["sum"].to_numpy()
    recalls = np.divide(correct, total, out=np.full(total.shape, np.nan), where=total > 0)
    figures = {
        "ua_ci": np.nanmean(recalls, axis=1),
        "wa_ci": correct.sum(axis=1) / total.sum(axis=1),
    }
    return {name: np.percentile(values, [2.5, 97.5]).tolist() for name, values in figures.items()}
