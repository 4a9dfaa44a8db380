"""Agreement of a run with its rerun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sercli.config.keys import Difference, differences
from sercli.errors import SercliError, one_line
from sercli.results.dimensions import SCORE, dimension_scores
from sercli.results.metrics import ua, wa
from sercli.results.run_record import Record, dimensional_labels

TOLERANCE = 0.01
"""Largest difference of UA and WA, or of CCC, of the whole run where rounding differs (our choice:
`iaan_small` for 300 steps on the synthetic corpus, kernel against eager, differs by 0.2 points)."""

DECISIVE = (
    "code",
    "packages.torch",
    "packages.numpy",
    "packages.scikit-learn",
    "processor",
    "device",
    "recurrence",
)
"""Parts of an environment that can change the last digits of a result; where all of them are
the same, so are the digits."""

_NOT_COMPARED = ("time", "command", "seconds", "origin", "cores")
"""Parts of an environment that differ between any two runs, or change nothing."""

_SETTINGS = "configuration"

_OF_TEST = ("ua", "wa", "ccc", "ua_again", "wa_again", "ccc_again")


@dataclass(frozen=True)
class Rerun:
    """A run and its rerun.

    Attributes:
        record: The record.
        again: The new record.
        changed: Differences of their environments and settings, without time and command.
        fold_runs: A row for each seed and fold of either: ``seed``, ``fold``; ``selected_step``,
            ``dev_ua``, ``ua`` and ``wa`` of the record and, suffixed ``_again``, of the rerun (NaN
            where it lacks the fold), or ``dev_ccc`` and ``ccc``; ``same``, the share of test
            utterances that are predicted equal, and ``max_difference``, the largest difference
            between two probabilities or predictions. All under the dev selection.
        repeatable: True if the rerun ran on a CPU, where the same program gives the same digits. A
            GPU may sum in another order each time.
        off: Absolute difference of UA and WA of the whole run, on dev and test: ``dev_ua``,
            ``dev_wa``, ``ua``, ``wa``, as fractions, or ``dev_ccc`` and ``ccc``; NaN where either
            has none.
    """

    record: Record
    again: Record
    changed: tuple[Difference, ...]
    fold_runs: pd.DataFrame
    repeatable: bool
    off: Mapping[str, float]

    @property
    def exact(self) -> bool:
        """True if every digit should be the same: nothing that could change one has changed."""
        return self.repeatable and not any(
            each.key in DECISIVE or each.key.startswith(_SETTINGS) for each in self.changed
        )

    @property
    def reasons(self) -> list[str]:
        """The disagreements, one line each."""
        settings = [each.key for each in self.changed if _is_setting(each)]
        if settings:
            return [f"{key} differs from the record" for key in settings]
        if self.record.divergences != self.again.divergences:
            return ["the two do not diverge at the same seeds, folds and steps"]
        if self.exact:
            return list(_unlike(self.fold_runs))
        return [
            f"{name} differs by {100 * value:.2f} points, more than {100 * TOLERANCE:g}"
            for name, value in self.off.items()
            if not value <= TOLERANCE and self.record.metrics
        ]

    @property
    def agrees(self) -> bool:
        """True if the numbers are the same, as exactly as can be expected."""
        return not self.reasons

    def to_json(self, *, shows_test: bool = True) -> dict[str, Any]:
        """Return a JSON object.

        Args:
            shows_test: Include test metrics; False for a sealed search.
        """
        hidden = [] if shows_test else [name for name in self.fold_runs if name in _OF_TEST]
        fold_runs = self.fold_runs.drop(columns=hidden).astype(object)
        return {
            "record": str(self.record.path),
            "rerun": str(self.again.path),
            "agrees": self.agrees,
            "exact": self.exact,
            "tolerance": 0.0 if self.exact else TOLERANCE,
            "reasons": self.reasons,
            "changed": [each.to_json() for each in self.changed],
            "fold_runs": fold_runs.where(fold_runs.notna(), None).to_dict("records"),
        }


def compare_runs(record: Record, again: Record) -> Rerun:
    """Compare a run with its rerun.

    Raises:
        SercliError: Files of the record are missing or damaged.
    """
    try:
        fold_runs = _tabulate(record).merge(
            _tabulate(again), how="outer", on=["seed", "fold"], suffixes=("", "_again")
        )
        found = _predictions_compared(record, again)
        changed = differences(_made_by(record), _made_by(again))
    except (OSError, KeyError, ValueError, TypeError) as error:
        what = one_line(error)
        raise SercliError(f"{record.path}: {what}; `sercli verify` says more") from error
    of_dimensions = dimensional_labels(record.summary)
    names = ("dev_ccc", "ccc") if of_dimensions else ("dev_ua", "dev_wa", "ua", "wa")
    off = {
        name: abs(record.metrics.get(name, np.nan) - again.metrics.get(name, np.nan))
        for name in names
    }
    fold_runs = fold_runs.merge(found, how="left", on=["seed", "fold"])
    repeatable = again.environment().get("device") == "cpu"
    return Rerun(record, again, tuple(changed), fold_runs, repeatable, off)


def _made_by(record: Record) -> dict[str, Any]:
    """The settings and environment, which could make one run differ from another."""
    environment = record.environment()
    lasting = {name: x for name, x in environment.items() if name not in _NOT_COMPARED}
    return {**lasting, _SETTINGS: record.summary["configuration"]}


def _is_setting(changed: Difference) -> bool:
    """Return True if a setting of the record has another value."""
    return changed.key.startswith(f"{_SETTINGS}.") and changed.in_left


def _tabulate(record: Record) -> pd.DataFrame:
    """A row per fold run: its metrics under the dev selection."""
    steps = {
        (row["seed"], row["fold"]): row["selected_step"]
        for row in record.metrics.get("by_fold", ())
    }
    dimensions = dimensional_labels(record.summary)
    names = ("dev_ccc", "ccc") if dimensions else ("dev_ua", "ua", "wa")
    rows = []
    for (seed, fold), row in _selected(record).groupby(["seed", "fold"]):
        dev, test = (row[row["part"] == part] for part in ("dev", "test"))
        step = steps.get((seed, fold), np.nan)
        found = _scores(dev, test, dimensions)
        rows.append({"seed": seed, "fold": fold, "selected_step": step, **found})
    return pd.DataFrame(rows, columns=["seed", "fold", "selected_step", *names])


def _scores(dev: pd.DataFrame, test: pd.DataFrame, dimensions: Sequence[str]) -> dict[str, float]:
    if dimensions:
        dev_ccc, ccc = (dimension_scores(part, dimensions)[SCORE] for part in (dev, test))
        return {"dev_ccc": dev_ccc, "ccc": ccc}
    truth, predicted = test["label"].tolist(), test["predicted"].tolist()
    return {
        "dev_ua": ua(dev["label"].tolist(), dev["predicted"].tolist()),
        "ua": ua(truth, predicted),
        "wa": wa(truth, predicted),
    }


def _predictions_compared(record: Record, again: Record) -> pd.DataFrame:
    """Tabulate the agreement of the test predictions of every fold run."""
    one, other = (_selected(run).query("part == 'test'") for run in (record, again))
    both = one.merge(other, on=["seed", "fold", "utterance"], suffixes=("", "_again"))
    names = [name for name in map(str, one) if name.startswith(("p_", "predicted_"))]
    apart = both[names].to_numpy() - both[[f"{name}_again" for name in names]].to_numpy()
    both["max_difference"] = abs(apart).max(axis=1, initial=0)
    if dimensional_labels(record.summary):
        both["same"] = both["max_difference"] == 0
    else:
        both["same"] = both["predicted"] == both["predicted_again"]
    return both.groupby(["seed", "fold"], as_index=False).agg(
        same=("same", "mean"), max_difference=("max_difference", "max")
    )


def _selected(record: Record) -> pd.DataFrame:
    """The predictions under the dev selection; empty if the run diverged at once."""
    table = record.predictions()
    if table.empty:
        names = ["label", "predicted"]
        for name in dimensional_labels(record.summary):
            names += [name, f"predicted_{name}"]
        return table.reindex(columns=["seed", "fold", "part", "utterance", *names])
    return table[table["selection"] == "dev"]


def _unlike(fold_runs: pd.DataFrame) -> Iterator[str]:
    """Yield the fold runs that are not the same to the last digit."""
    for row in fold_runs.fillna({"selected_step": -1, "selected_step_again": -1}).to_dict(
        "records"
    ):
        where = f"seed {row['seed']}, fold {row['fold']}"
        before, after = row["selected_step"], row["selected_step_again"]
        if np.isnan(row["max_difference"]):
            yield f"{where} is in only one of the two"
        elif before != after:
            yield f"{where}: step {before:g} was selected, now {after:g}"
        elif row["max_difference"] != 0:
            what = "predictions" if "ccc" in fold_runs else "probabilities"
            yield f"{where}: {what} differ by up to {row['max_difference']:.2g}"
