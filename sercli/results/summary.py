"""The metrics of a run, from the predictions of its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from operator import itemgetter
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


def best_evaluation(history: pd.DataFrame) -> dict[str, Any]:
    """Return the best evaluation of a fold run, by both selections; empty if there was none.

    Shown for fold runs that diverged later. Published results may be of such a step: code that
    continues after a divergence reports the best step before it.

    Args:
        history: That of one fold run (`sercli.results.fold_result.FoldResult`).

    Returns:
        ``selected_step`` with its ``dev_ua``, ``ua`` and ``wa`` on test; ``oracle_step`` with its
        ``ua_oracle`` and ``wa_oracle``. Fractions.
    """
    rows = history.to_dict("records")
    trained = [row for row in rows if row["step"] > 0 and not isnan(row["dev_ua"])]
    if not trained:
        return {}
    dev, oracle = (max(trained, key=itemgetter(name)) for name in ("dev_ua", "test_ua"))
    return {
        "selected_step": int(dev["step"]),
        "dev_ua": dev["dev_ua"],
        "ua": dev["test_ua"],
        "wa": dev["test_wa"],
        "oracle_step": int(oracle["step"]),
        "ua_oracle": oracle["test_ua"],
        "wa_oracle": oracle["test_wa"],
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
