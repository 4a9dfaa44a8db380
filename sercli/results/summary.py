"""The metrics of a run, from the predictions of its folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isnan
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from sercli.results.bootstrap import interval
from sercli.results.counts import Counts, count
from sercli.results.dimensions import dimension_intervals, dimension_scores
from sercli.results.fold_result import FoldResult, selection_score
from sercli.results.metrics import maf, map, ua, wa  # noqa: A004 - MAP is its name


def summarise(
    results: Sequence[FoldResult], speakers: Mapping[str, str], dimensions: Sequence[str] = ()
) -> dict[str, Any]:
    """Compute the metrics of a complete run.

    Predictions are pooled over folds, once per seed; the figures of a run are means over
    seeds, with 95 % confidence intervals over speakers and, with several seeds, models
    (`sercli.results.bootstrap`).

    Args:
        results: All seeds × folds.
        speakers: Utterance id → speaker.
        dimensions: Dimensional labels that are the task; empty: classes.

    Returns:
        Fractions: ``ua``, ``wa``, ``maf`` and ``map`` (dev-selected), the same suffixed ``_oracle``
        and prefixed ``dev_``, ``ua_ci``, ``wa_ci``, ``ua_oracle_ci`` and
        ``wa_oracle_ci`` (None with one speaker), ``recall`` per class, ``n`` utterances tested,
        and the metrics ``by_seed`` and ``by_fold``. For dimensional labels, ``ccc``, the mean over
        dimensions, and ``ccc_<dimension>``, each with its interval, in place of the four metrics
        and ``recall``.
    """
    predictions = pd.concat([result.predictions for result in results], ignore_index=True)
    scores = partial(dimension_scores, dimensions=dimensions) if dimensions else _class_scores
    by_seed = [
        {"seed": seed, **_figures(part, scores)} for seed, part in predictions.groupby("seed")
    ]
    test = _part(predictions, "test", "dev")
    oracle = _part(predictions, "test", "oracle")
    of_task: dict[str, Any]
    if dimensions:
        of_task = {
            **dimension_intervals(test, dimensions, speakers),
            **dimension_intervals(oracle, dimensions, speakers, "_oracle"),
        }
    else:
        of_task = {
            **metric_intervals(count(test, speakers)),
            **metric_intervals(count(oracle, speakers), "_oracle"),
            "recall": _recalls(test),
        }
    return {
        **_means(by_seed),
        **of_task,
        "n": int(test["utterance"].nunique()),
        "by_seed": by_seed,
        "by_fold": [
            {
                "seed": result.seed,
                "fold": result.fold,
                "selected_step": result.selected_step,
                "oracle_step": result.oracle_step,
                **_figures(result.predictions, scores),
            }
            for result in results
        ],
    }


def figures_by_seed(test: pd.DataFrame) -> dict[str, Any]:
    """Compute the metrics of the test predictions of several seeds, without intervals.

    Args:
        test: seed, utterance, label, predicted.

    Returns:
        ``ua``, ``wa``, ``maf`` and ``map``, the means over seeds; ``recall`` per class; ``n``
        utterances; and the metrics ``by_seed``.
    """
    by_seed = [{"seed": seed, **_class_scores(part)} for seed, part in test.groupby("seed")]
    n = int(test["utterance"].nunique())
    return {**_means(by_seed), "recall": _recalls(test), "n": n, "by_seed": by_seed}


def metric_intervals(counts: Counts, after: str = "") -> dict[str, list[float] | None]:
    """Return the 95 % confidence intervals of UA and WA; None with one speaker.

    Args:
        counts: Recognised utterances by speaker and class.
        after: Suffix of the names.
    """
    return {f"ua{after}_ci": _ends(counts), f"wa{after}_ci": _ends(counts.of_one_class())}


def best_evaluation(history: pd.DataFrame) -> dict[str, Any]:
    """Return the best evaluation of a fold run, by both selections; empty if there was none.

    Shown for fold runs that diverged later. Published results may be of such a step: code that
    continues after a divergence reports the best step before it.

    Args:
        history: That of one fold run (`sercli.results.fold_result.FoldResult`).

    Returns:
        ``selected_step`` with its ``dev_ua``, ``ua`` and ``wa`` on test; ``oracle_step`` with its
        ``ua_oracle`` and ``wa_oracle``. Fractions. Of dimensional labels ``dev_ccc``, ``ccc`` and
        ``ccc_oracle``.
    """
    score = selection_score(history)
    names = ("ua", "wa") if score == "ua" else (score,)
    rows = history.to_dict("records")
    trained = [row for row in rows if row["step"] > 0 and not isnan(row[f"dev_{score}"])]
    if not trained:
        return {}
    dev, oracle = (max(trained, key=itemgetter(name)) for name in (f"dev_{score}", f"test_{score}"))
    return {
        "selected_step": int(dev["step"]),
        f"dev_{score}": dev[f"dev_{score}"],
        **{name: dev[f"test_{name}"] for name in names},
        "oracle_step": int(oracle["step"]),
        **{f"{name}_oracle": oracle[f"test_{name}"] for name in names},
    }


def _figures(
    predictions: pd.DataFrame, scores: Callable[[pd.DataFrame], dict[str, float]]
) -> dict[str, float]:
    selected = _part(predictions, "test", "dev")
    oracle = _part(predictions, "test", "oracle")
    dev = _part(predictions, "dev", "dev")
    return {
        f"{before}{name}{after}": value
        for before, part, after in (("", selected, ""), ("", oracle, "_oracle"), ("dev_", dev, ""))
        for name, value in scores(part).items()
    }


def _class_scores(part: pd.DataFrame) -> dict[str, float]:
    labels, predicted = part["label"].tolist(), part["predicted"].tolist()
    return {metric.__name__: metric(labels, predicted) for metric in (ua, wa, maf, map)}


def _means(by_seed: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    names = [name for name in by_seed[0] if name != "seed"]
    return {name: float(np.mean([row[name] for row in by_seed])) for name in names}


def _recalls(test: pd.DataFrame) -> dict[str, float]:
    return {
        str(label): float((part["predicted"] == label).mean())
        for label, part in test.groupby("label")
    }


def _part(predictions: pd.DataFrame, part: str, selection: str) -> pd.DataFrame:
    return predictions[(predictions["part"] == part) & (predictions["selection"] == selection)]


def _ends(counts: Counts) -> list[float] | None:
    found = interval(counts)
    return None if isnan(found.low) else [found.low, found.high]
