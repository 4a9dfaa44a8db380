"""Whether a record agrees with itself: what it says follows from what it holds.

key          is that of its settings and its data (`sercli.config.run_key`)
settings     of ``config.yaml`` and of the card are those of ``run.json``
units        every fold with every seed, unless it diverged, has history, predictions, weights
predictions  every utterance of dev and test once per seed and selection; true labels;
             probabilities that sum to one, the most probable class predicted
folds        no utterance and no speaker on two sides, unless the protocol allows it
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
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import fold_run_name
from sercli.results.summary import summarise
from sercli.results.verify.files import Contents, Fault, Finding, read_whole
from sercli.results.verify.predictions import labels, predicted_once, probabilities, sides

TOLERANCE = 1e-9
"""How far a metric may lie from what its predictions give (our choice: rounding in another order
moves the last of 16 digits)."""

_LINES = 3
"""Findings of a check that are named (our choice: one damage may show in every unit)."""


def verify_record(path: Path) -> list[Fault]:
    """Hold a record to its own figures.

    Findings name no figure of test: the record may be that of a sealed search.

    Args:
        path: Its folder.

    Returns:
        What is missing or cannot be read; where that is nothing, what does not agree.
    """
    contents, faults = read_whole(path)
    if contents is None:
        return faults
    for check in _CHECKS:
        faults += [Fault(contents.name, *finding) for finding in _findings(check, contents)]
    return faults


def _findings(check: Callable[[Contents], Iterator[Finding]], record: Contents) -> list[Finding]:
    """The first findings of a check; one if it cannot be made."""
    found = check(record)
    try:
        first = list(islice(found, _LINES))
        more = sum(1 for _ in found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = check.__name__.strip("_").replace("_", " ")
        return [("run.json", f"or a table lacks what tells of {what} ({error!r})")]
    return first + ([("run.json", f"and {more} more like the last one")] if more else [])


def _key(record: Contents) -> Iterator[Finding]:
    summary = record.summary
    key = key_of(summary["configuration"], summary["fingerprint"])
    folder = record.name.rpartition("/")[2]
    if not key == summary["key"] == folder:
        yield (
            "run.json",
            f"its settings and data have the key {key}, not {summary['key']} ({folder})",
        )


def _settings(record: Contents) -> Iterator[Finding]:
    settings = record.summary["configuration"]
    for each in differences(settings, record.config):
        if each.in_left:
            yield "config.yaml", f"{each.key} is {each.right}, in run.json {each.left}"
    card, classes = record.summary["card"], settings["dataset"]["classes"]
    there = {
        "seeds": settings["seeds"],
        "classes": sorted(set(classes.values())),
        "folds": len(record.folds),
        "utterances": len(record.utterances),
    }
    for each in differences(there, {name: card[name] for name in there}):
        yield "run.json", f"card: {each.key} is {each.right}, in the record {each.left}"


def _units(record: Contents) -> Iterator[Finding]:
    diverged = {where["seed"] for where in record.summary["diverged"]}
    seeds = [seed for seed in record.summary["configuration"]["seeds"] if seed not in diverged]
    wanted = {(seed, fold) for seed in seeds for fold in record.folds}
    trained = _units_of(record.history)
    for file, there in (
        ("history.parquet", trained),
        ("predictions.parquet", _units_of(record.predictions)),
    ):
        for seed, fold in sorted(wanted - there):
            yield file, f"has nothing of seed {seed}, fold {fold}"
    order = list(record.folds)
    files = {f"{fold_run_name(seed, order.index(fold))}.safetensors" for seed, fold in trained}
    for file in sorted(files ^ set(record.weights)):
        yield f"weights/{file}", "is missing" if file in files else "is of no unit of the history"
    if record.summary["status"] != ("diverged" if diverged else "complete"):
        yield "run.json", f"status '{record.summary['status']}', {len(diverged)} seeds diverged"


def _units_of(table: pd.DataFrame) -> set[tuple[int, str]]:
    units = table[["seed", "fold"]].drop_duplicates()
    return {(int(seed), str(fold)) for seed, fold in units.itertuples(index=False)}


_RULES = (("selected_step", "dev_ua", "dev_ua"), ("oracle_step", "test_ua", "ua_oracle"))
"""The step, the column of the history that it has the most of, the metric that says how much."""


def _selection(record: Contents) -> Iterator[Finding]:
    history = dict(iter(record.history.groupby(["seed", "fold"])))
    for unit in record.summary["metrics"].get("by_fold", ()):
        looks = history[unit["seed"], unit["fold"]].set_index("step")
        for rule, column, metric in _RULES:
            best = looks[column].idxmax()
            where = f"seed {unit['seed']}, fold {unit['fold']}"
            if unit[rule] != best:
                yield "run.json", f"{where}: {rule} {unit[rule]}, the history is best at {best}"
            elif not _agree(unit[metric], looks[column].max()):
                yield "history.parquet", f"{where}: {column} at step {best} is not {metric}"


def _metrics(record: Contents) -> Iterator[Finding]:
    recorded = record.summary["metrics"]
    if recorded or not record.summary["diverged"]:
        table = record.utterances
        speakers = dict(zip(table["utterance"], table["speaker"], strict=True))
        computed = summarise(_results(record), speakers)
        for name in _unequal(recorded, computed):
            yield "run.json", f"metrics: {name} is not what the predictions give"


def _results(record: Contents) -> list[FoldResult]:
    """The units that the metrics are made of, as far as these need them."""
    predictions = dict(iter(record.predictions.groupby(["seed", "fold"])))
    return [
        FoldResult(
            seed=unit["seed"],
            fold=unit["fold"],
            diverged_at=None,
            selected_step=unit["selected_step"],
            oracle_step=unit["oracle_step"],
            history=pd.DataFrame(),
            predictions=predictions[unit["seed"], unit["fold"]],
            weights={},
        )
        for unit in record.summary["metrics"]["by_fold"]
    ]


def _unequal(recorded: Any, computed: Any, where: str = "") -> Iterator[str]:
    """Name the leaves that differ."""
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        for name in {**recorded, **computed}:
            yield from _unequal(recorded.get(name), computed.get(name), f"{where}.{name}")
    elif _is_list(recorded) and _is_list(computed) and len(recorded) == len(computed):
        for position, pair in enumerate(zip(recorded, computed, strict=True)):
            yield from _unequal(*pair, f"{where}[{position}]")
    elif not _agree(recorded, computed):
        yield where.removeprefix(".")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        both_none = math.isnan(one) and math.isnan(other)
        return both_none or math.isclose(one, other, rel_tol=0, abs_tol=TOLERANCE)
    return bool(one == other)


_CHECKS: Collection[Callable[[Contents], Iterator[Finding]]] = (
    _key,
    _settings,
    _units,
    predicted_once,
    labels,
    probabilities,
    sides,
    _selection,
    _metrics,
)
