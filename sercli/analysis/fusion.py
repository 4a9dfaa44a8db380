"""Late fusion: the class probabilities of finished runs, combined by weights fitted on dev.

The fusion of runs r is their log-linear pool (Genest & Zidek 1986, Statistical Science 1(1)),

    p_c ∝ Π_r p_rc^{w_r},   w_r ≥ 0.

One weight per run and no bias per class (our choice): dev sets are small, and runs that agree keep
their decision. The weights of a fold run, one fold with one seed, minimise on its dev utterances

    Σ_n s_n (−log p_{n, y_n}) + λ/2 Σ_r (w_r − 1/R)²,

where s_n gives every class the same share, as UA does, and the second term makes the solution
unique, e.g. for runs with the same predictions (our choices). The weights are applied to the test
utterances of that fold run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sercli.analysis.comparison import compare_fusion
from sercli.analysis.statistics.references import other_task
from sercli.analysis.statistics.scores import score
from sercli.errors import RequestError, SercliError, one_line
from sercli.results.run_record import Record
from sercli.results.summary import figures_by_seed, metric_intervals

Floats = npt.NDArray[np.float64]

NAME = "fusion"
"""Name of the fusion in tables, in place of a key."""

FLOOR = 1e-6
"""Lower limit of a probability (our choice), so that no run alone can exclude a class."""

RIDGE = 1e-3
"""λ (our choice)."""

LEAST = 1e-6
"""Lower limit of a weight (our choice); with all weights 0, classes would be equally probable."""

_KEYS = ["seed", "fold", "part", "utterance"]


@dataclass(frozen=True)
class Fusion:
    """A fusion of runs and its test results.

    Attributes:
        best: The run with the best dev UA.
        weights: A row per fold run: ``seed``, ``fold``, and the weight of each run by its key.
        predictions: A row per seed and test utterance: ``seed``, ``fold``, ``utterance``,
            ``label``, ``predicted`` and the probability of each class in ``p_<class>``.
        metrics: UA, WA, MAF and MAP as in the summary of a run
            (`sercli.results.summary.summarise`).
        difference: The fusion minus ``best``, one row (`sercli.analysis.comparison.compare`).
    """

    best: Record
    weights: pd.DataFrame
    predictions: pd.DataFrame
    metrics: Mapping[str, Any]
    difference: pd.DataFrame


def fuse_runs(records: Sequence[Record]) -> Fusion:
    """Fuse runs of the same utterances, folds and seeds.

    Args:
        records: At least two runs.

    Raises:
        RequestError: A run diverged with every seed, or corpora, classes, protocols, seeds, folds,
            utterances or labels differ.
        SercliError: Files of a record cannot be read.
    """
    tables = [_read(record) for record in records]
    for record, table in zip(records[1:], tables[1:], strict=True):
        reason = other_task(record, records[0]) or _difference(table, tables[0])
        if reason is not None:
            raise RequestError(f"cannot fuse {record.key} with {records[0].key}: {reason}")
    weights, predictions = fuse_tables(tables)
    weights.columns = pd.Index(["seed", "fold", *(record.key for record in records)])
    best = max(records, key=lambda record: float(record.metrics.get("dev_ua", 0.0)))
    spoken = records[0].utterances()
    speakers = dict(zip(spoken["utterance"], spoken["speaker"], strict=True))
    scored = score(predictions, speakers)
    metrics = figures_by_seed(predictions) | metric_intervals(scored.counts)
    return Fusion(best, weights, predictions, metrics, compare_fusion(NAME, scored, best))


def fuse_tables(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit weights on the dev utterances of every fold run and fuse its test utterances.

    Args:
        tables: The predictions of each run, with the same rows in the same order: ``seed``,
            ``fold``, ``part``, ``utterance``, ``label`` and ``p_<class>``. Labels of test are
            copied and have no effect.

    Returns:
        The weights, a row per fold run: ``seed``, ``fold``, and a column for each run by its
        position; and the fused predictions of test.
    """
    first = tables[0]
    columns = [name for name in first if str(name).startswith("p_")]
    classes = np.array([str(name).removeprefix("p_") for name in columns], dtype=object)
    log_p = np.log(np.maximum([table[columns].to_numpy(np.float64) for table in tables], FLOOR))
    labels = pd.Index(classes).get_indexer(pd.Index(first["label"]))
    weights, fused = [], []
    for rows in first.groupby(["seed", "fold"]).indices.values():
        is_dev = first["part"].to_numpy()[rows] == "dev"
        dev, test = rows[is_dev], rows[~is_dev]
        fitted = fit_weights(log_p[:, dev], labels[dev])
        fold_run = first.iloc[rows[0]][["seed", "fold"]].to_dict()
        weights.append(fold_run | dict(enumerate(fitted.tolist())))
        p = pool(log_p[:, test], fitted)
        facts = first.iloc[test][["seed", "fold", "utterance", "label"]].reset_index(drop=True)
        shares = pd.DataFrame(p, columns=columns)
        fused.append(facts.assign(predicted=classes[p.argmax(axis=1)]).join(shares))
    return pd.DataFrame(weights), pd.concat(fused, ignore_index=True)


def pool(log_p: Floats, weights: Floats) -> Floats:
    """Return the log-linear pool of the class probabilities of several runs.

    >>> pool(np.log([[[0.8, 0.2]], [[0.8, 0.2]]]), np.array([0.5, 0.5])).round(3).tolist()
    [[0.8, 0.2]]

    Args:
        log_p: Log-probabilities (runs, utterances, classes).
        weights: Exponents (runs,).

    Returns:
        Probabilities (utterances, classes).
    """
    from scipy.special import softmax

    return np.asarray(softmax(np.tensordot(weights, log_p, 1), axis=-1))


def fit_weights(log_p: Floats, labels: npt.NDArray[np.intp]) -> Floats:
    """Fit the weights of runs on labelled utterances; a convex problem with one solution.

    >>> sure, random = np.log([[0.9, 0.1], [0.1, 0.9]]), np.log([[0.5, 0.5], [0.5, 0.5]])
    >>> weights = fit_weights(np.stack([sure, random]), np.array([0, 1]))
    >>> bool(weights[0] > weights[1])
    True

    Args:
        log_p: Log-probabilities (runs, utterances, classes).
        labels: Class indices (utterances,).

    Returns:
        (runs,), each `LEAST` or more.
    """
    from scipy.optimize import minimize

    runs = len(log_p)
    counts = np.bincount(labels, minlength=log_p.shape[2])
    shares = 1 / (np.count_nonzero(counts) * counts[labels])
    onehot = np.eye(log_p.shape[2])[labels]

    def loss(weights: Floats) -> tuple[float, Floats]:
        p, apart = pool(log_p, weights), weights - 1 / runs
        right = np.maximum((p * onehot).sum(axis=1), np.finfo(np.float64).tiny)
        gradient = np.einsum("n,rnc,nc->r", shares, log_p, p - onehot)
        value = -shares @ np.log(right) + RIDGE / 2 * apart @ apart
        return float(value), gradient + RIDGE * apart

    start, bounds = np.full(runs, 1 / runs), [(LEAST, None)] * runs
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)


def _read(record: Record) -> pd.DataFrame:
    """Read dev and test at the step selected on dev, of the seeds that did not diverge, sorted."""
    diverged = [where["seed"] for where in record.summary["diverged"]]
    try:
        table = record.predictions()
        if table.empty or table["seed"].isin(diverged).all():
            raise RequestError(f"{record.key} diverged with every seed: leave it out")
        chosen = table[(table["selection"] == "dev") & ~table["seed"].isin(diverged)]
        return chosen.sort_values(_KEYS, ignore_index=True)
    except (OSError, KeyError, ValueError) as error:
        reason = one_line(error)
        raise SercliError(f"the predictions of {record.path} cannot be read: {reason}") from error


def _difference(a: pd.DataFrame, b: pd.DataFrame) -> str | None:
    """Return the first fact in which the predictions of two runs differ; None if none does."""
    return next(_differences(a, b), None)


def _differences(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[str]:
    for name in ("seed", "fold"):
        ours, theirs = (", ".join(map(str, sorted(set(table[name])))) for table in (a, b))
        if ours != theirs:
            yield f"{name}s {ours}, not {theirs} (seeds that diverged are left out)"
    keys, others = (pd.MultiIndex.from_frame(table[_KEYS]) for table in (a, b))
    apart = keys.symmetric_difference(others)
    if len(apart):
        _, fold, part, utterance = apart[0]
        yield f"the {part} utterances of fold {fold} differ: {utterance} is in one run only"
    elif (other := (a["label"] != b["label"]).to_numpy()).any():
        yield f"the labels differ, e.g. of {a['utterance'][other.argmax()]}"
