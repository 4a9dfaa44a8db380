"""The metrics of a run, from the predictions of its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from sercli.results.bootstrap import interval
from sercli.results.counts import Counts, count
from sercli.results.fold_result import FoldResult
from sercli.results.metrics import maf, map, ua, wa  # noqa: A004 - MAP is its name


def summarise(results: Sequence[FoldResult], speakers: Mapping[str, str]) -> dict[str, Any]:
    """Compute the metrics of a complete run.

    Predictions are pooled over folds, once per seed; the figures of a run are means over
    seeds, with 95 % confidence intervals over speakers and, with several seeds, models
    (`sercli.results.bootstrap`).

    Args:
        results: All seeds × folds.
        speakers: Utterance id → speaker.

    Returns:
        Fractions: ``ua``, ``wa``, ``maf`` and ``map`` (dev-selected), the same suffixed ``_oracle``
        and prefixed ``dev_``, ``ua_ci``, ``wa_ci``, ``ua_oracle_ci`` and
        ``wa_oracle_ci`` (None with one speaker), ``recall`` per class, ``n`` utterances tested,
        and the metrics ``by_seed`` and ``by_fold``.
    """
    predictions = pd.concat([result.predictions for result in results], ignore_index=True)
    by_seed = [{"seed": seed, **_figures(part)} for seed, part in predictions.groupby("seed")]
    means = {
        name: float(np.mean([row[name] for row in by_seed]))
        for name in by_seed[0]
        if name != "seed"
    }
    test = _part(predictions, "test", "dev")
    oracle = _part(predictions, "test", "oracle")
    return {
        **means,
        **_intervals(count(test, speakers)),
        **_intervals(count(oracle, speakers), "_oracle"),
        "recall": {
            str(label): float((part["predicted"] == label).mean())
            for label, part in test.groupby("label")
        },
        "n": int(test["utterance"].nunique()),
        "by_seed": by_seed,
        "by_fold": [
            {
                "seed": result.seed,
                "fold": result.fold,
                "selected_step": result.selected_step,
                "oracle_step": result.oracle_step,
                **_figures(result.predictions),
            }
            for result in results
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


def _intervals(counts: Counts, after: str = "") -> dict[str, list[float] | None]:
    return {f"ua{after}_ci": _ends(counts), f"wa{after}_ci": _ends(counts.of_one_class())}


def _ends(counts: Counts) -> list[float] | None:
    found = interval(counts)
    return None if isnan(found.low) else [found.low, found.high]
