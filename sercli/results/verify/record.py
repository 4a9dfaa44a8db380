"""Internal consistency of a record: its summary follows from its tables.

key          is that of its settings and its data (`sercli.config.run_key`)
settings     of ``config.yaml`` and of the card are those of ``run.json``
fold_runs    every fold with every seed, unless it diverged, has history, predictions, weights
predictions  every utterance of dev and test once per seed and selection; true labels;
             probabilities that sum to one, the most probable class predicted
sides        no utterance and no speaker in two parts, unless the protocol allows it
unseen       no test utterance, and no test speaker, seen by the initial weights
selection    the first step with the best UA of the history
metrics      those of the predictions (`sercli.results.summary`)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from sercli.config.keys import differences
from sercli.config.run_key import key_of
from sercli.errors import counted
from sercli.results.fold_result import FoldResult, selection_score
from sercli.results.run_record import dimensional_labels, fold_run_name
from sercli.results.summary import best_evaluation, summarise
from sercli.results.verify.files import Contents, Fault, Finding, read_whole
from sercli.results.verify.predictions import labels, predicted_once, probabilities, sides, unseen
from sercli.results.weights import NOT_KEPT

TOLERANCE = 1e-9
"""Tolerance of a metric recomputed from predictions (our choice: rounding in another order moves
the last of 16 digits)."""

INTERVAL_TOLERANCE = 0.01
"""Tolerance of the ends of an interval (our choice: older versions drew 10 000 resamples where all
are enumerated now, which moves an end by less than a point)."""

_LINES = 3
"""Findings of a check that are listed (our choice: one damage may show in every fold run)."""


def verify_record(path: Path) -> list[Fault]:
    """Recompute a record's metrics and check its consistency.

    Findings state no test metric: the record may belong to a sealed search.

    Args:
        path: Its folder.

    Returns:
        Missing or unreadable files; if there are none, inconsistencies.
    """
    contents, faults = read_whole(path)
    if contents is None:
        return faults
    for check in _CHECKS:
        faults += [Fault(contents.name, *finding) for finding in _findings(check, contents)]
    return faults


def _findings(check: Callable[[Contents], Iterator[Finding]], record: Contents) -> list[Finding]:
    """Return the first findings of a check; one if it cannot be made."""
    found = check(record)
    try:
        first = list(islice(found, _LINES))
        more = sum(1 for _ in found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = check.__name__.strip("_").replace("_", " ")
        return [("run.json", f"or a table lacks data for the check of {what} ({error!r})")]
    return first + ([("run.json", f"and {more} more like the last")] if more else [])


def _key(record: Contents) -> Iterator[Finding]:
    summary = record.summary
    key = key_of(summary["configuration"], summary["fingerprint"])
    folder = record.name.rpartition("/")[2]
    if not key == summary["key"] == folder:
        yield (
            "run.json",
            f"the key of its settings and data is {key}, not {summary['key']} ({folder})",
        )


def _settings(record: Contents) -> Iterator[Finding]:
    settings = record.summary["configuration"]
    for each in differences(settings, record.config):
        if each.in_left:
            yield "config.yaml", f"{each.key} is {each.right}, in run.json {each.left}"
    card, classes = record.summary["card"], settings["dataset"]["classes"]
    there = {
        "seeds": settings["seeds"],
        "classes": [] if dimensional_labels(record.summary) else sorted(set(classes.values())),
        "folds": len(record.folds),
        "utterances": len(record.utterances),
    }
    for each in differences(there, {name: card[name] for name in there}):
        yield "run.json", f"card: {each.key} is {each.right}, in the record {each.left}"


def _fold_runs(record: Contents) -> Iterator[Finding]:
    diverged = {where["seed"] for where in record.summary["diverged"]}
    seeds = [seed for seed in record.summary["configuration"]["seeds"] if seed not in diverged]
    wanted = {(seed, fold) for seed in seeds for fold in record.folds}
    trained = _fold_runs_of(record.history)
    for file, there in (
        ("history.parquet", trained),
        ("predictions.parquet", _fold_runs_of(record.predictions)),
    ):
        for seed, fold in sorted(wanted - there):
            yield file, f"has nothing of seed {seed}, fold {fold}"
    order = list(record.folds)
    files = {f"{fold_run_name(seed, order.index(fold))}.safetensors" for seed, fold in trained}
    kept = NOT_KEPT not in record.weights
    for file in sorted(files ^ set(record.weights)) if kept else ():
        yield (
            f"weights/{file}",
            "is missing" if file in files else "belongs to no fold run",
        )
    if record.summary["status"] != ("diverged" if diverged else "complete"):
        number = counted(len(diverged), "seed")
        yield "run.json", f"status '{record.summary['status']}', {number} diverged"


def _fold_runs_of(table: pd.DataFrame) -> set[tuple[int, str]]:
    fold_runs = table[["seed", "fold"]].drop_duplicates()
    return {(int(seed), str(fold)) for seed, fold in fold_runs.itertuples(index=False)}


def _selection(record: Contents) -> Iterator[Finding]:
    history = dict(iter(record.history.groupby(["seed", "fold"])))
    score = selection_score(record.history)
    # step, column of the history that is largest at it, and the metric with that value
    rules = (
        ("selected_step", f"dev_{score}", f"dev_{score}"),
        ("oracle_step", f"test_{score}", f"{score}_oracle"),
    )
    for fold_run in record.summary["metrics"].get("by_fold", ()):
        steps = history[fold_run["seed"], fold_run["fold"]].set_index("step")
        evaluations = steps.drop(index=0, errors="ignore")  # the untrained model is not selected
        for rule, column, metric in rules:
            best = evaluations[column].idxmax()
            where = f"seed {fold_run['seed']}, fold {fold_run['fold']}"
            if fold_run[rule] != best:
                yield "run.json", f"{where}: {rule} {fold_run[rule]}, the history is best at {best}"
            elif not _agree(fold_run[metric], evaluations[column].max()):
                yield "history.parquet", f"{where}: {column} at step {best} is not {metric}"
    for lost in record.summary["diverged"]:
        computed = best_evaluation(history[lost["seed"], lost["fold"]])
        recorded = {name: lost[name] for name in computed if name in lost}
        if recorded and list(_unequal(recorded, computed)):
            where = f"seed {lost['seed']}, fold {lost['fold']}"
            yield "run.json", f"{where}: the best evaluation is not that of the history"


def _metrics(record: Contents) -> Iterator[Finding]:
    recorded = record.summary["metrics"]
    if recorded or not record.summary["diverged"]:
        table = record.utterances
        speakers = dict(zip(table["utterance"], table["speaker"], strict=True))
        computed = summarise(_results(record), speakers, dimensional_labels(record.summary))
        for name in _unequal(recorded, computed):
            yield "run.json", f"metrics: {name} does not follow from the predictions"


def _results(record: Contents) -> list[FoldResult]:
    """The fold results that the metrics are computed from, without the rest."""
    predictions = dict(iter(record.predictions.groupby(["seed", "fold"])))
    return [
        FoldResult(
            seed=fold_run["seed"],
            fold=fold_run["fold"],
            diverged_at=None,
            selected_step=fold_run["selected_step"],
            oracle_step=fold_run["oracle_step"],
            history=pd.DataFrame(),
            predictions=predictions[fold_run["seed"], fold_run["fold"]],
            weights={},
        )
        for fold_run in record.summary["metrics"]["by_fold"]
    ]


def _unequal(recorded: Any, computed: Any, where: str = "") -> Iterator[str]:
    """Yield the names of the leaves that differ."""
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        for name in {**recorded, **computed}:
            yield from _unequal(recorded.get(name), computed.get(name), f"{where}.{name}")
    elif _is_list(recorded) and _is_list(computed) and len(recorded) == len(computed):
        for position, pair in enumerate(zip(recorded, computed, strict=True)):
            yield from _unequal(*pair, f"{where}[{position}]")
    elif not _agree(recorded, computed, INTERVAL_TOLERANCE if "_ci" in where else TOLERANCE):
        yield where.removeprefix(".")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _agree(one: Any, other: Any, tolerance: float = TOLERANCE) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        both_none = math.isnan(one) and math.isnan(other)
        return both_none or math.isclose(one, other, rel_tol=0, abs_tol=tolerance)
    return bool(one == other)


_CHECKS: Collection[Callable[[Contents], Iterator[Finding]]] = (
    _key,
    _settings,
    _fold_runs,
    predicted_once,
    labels,
    probabilities,
    sides,
    unseen,
    _selection,
    _metrics,
)
