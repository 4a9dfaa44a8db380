"""Whether a run and its repetition agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sercli.config.keys import Difference, differences
from sercli.errors import SercliError, one_line
from sercli.results.metrics import ua, wa
from sercli.results.run_record import Record

TOLERANCE = 0.01
"""How far UA and WA of the whole run may lie from the record where rounding differs (our choice:
`iaan_small` for 300 steps on the synthetic corpus, kernel against eager, lies 0.2 points apart)."""

DECISIVE = (
    "code",
    "packages.torch",
    "packages.numpy",
    "packages.scikit-learn",
    "processor",
    "device",
    "recurrence",
)
"""What of an environment can change the last digits of a result; where all of it is the same,
they are the same."""


@dataclass(frozen=True)
class Rerun:
    """A run and its repetition.

    Attributes:
        record: The record.
        again: The new record.
        changed: What differs between their environments and settings; time and command aside.
        fold_runs: A row for each seed and fold of either: ``seed``, ``fold``; ``selected_step``,
            ``dev_ua``, ``ua`` and ``wa`` of the record and, with ``_again`` behind, of the
            repetition (NaN where it has no such unit); ``same``, the share of test utterances that
            are predicted alike, and ``farthest``, the largest difference between two
            probabilities. All under the dev selection.
        repeatable: Whether the repetition ran where the same program gives the same digits: on a
            CPU. A GPU may sum in another order each time.
        off: How far UA and WA of the whole run lie apart, on dev and test: ``dev_ua``,
            ``dev_wa``, ``ua``, ``wa``, as fractions; NaN where either has none.
    """

    record: Record
    again: Record
    changed: tuple[Difference, ...]
    fold_runs: pd.DataFrame
    repeatable: bool
    off: Mapping[str, float]

    @property
    def exact(self) -> bool:
        """Whether every digit should be the same: nothing that could change one has changed."""
        return self.repeatable and not any(
            each.key in DECISIVE or each.key.startswith(_SETTINGS) for each in self.changed
        )

    @property
    def reasons(self) -> list[str]:
        """What does not agree, a line each; nothing where all does."""
        settings = [each.key for each in self.changed if _is_setting(each)]
        if settings:
            return [f"{key} is not what the record says" for key in settings]
        if self.record.summary["diverged"] != self.again.summary["diverged"]:
            return ["the two do not diverge at the same seeds, folds and steps"]
        if self.exact:
            return list(_unlike(self.fold_runs))
        return [
            f"{name} lies {100 * value:.2f} points apart, more than {100 * TOLERANCE:g}"
            for name, value in self.off.items()
            if not value <= TOLERANCE and self.record.metrics
        ]

    @property
    def agrees(self) -> bool:
        """Whether the numbers are the same, as exactly as can be expected."""
        return not self.reasons

    def to_json(self, *, shows_test: bool = True) -> dict[str, Any]:
        """Return it as what ``json`` can write.

        Args:
            shows_test: Whether figures of test may be in it; a sealed search keeps them.
        """
        hidden = [] if shows_test else [name for name in self.fold_runs if name in _OF_TEST]
        units = self.fold_runs.drop(columns=hidden).astype(object)
        return {
            "record": str(self.record.path),
            "rerun": str(self.again.path),
            "agrees": self.agrees,
            "exact": self.exact,
            "tolerance": 0.0 if self.exact else TOLERANCE,
            "reasons": self.reasons,
            "changed": [each.to_json() for each in self.changed],
            "fold_runs": units.where(units.notna(), None).to_dict("records"),
        }


_OF_TEST = ("ua", "wa", "ua_again", "wa_again")


def compare_runs(record: Record, again: Record) -> Rerun:
    """Lay a run beside its repetition.

    Raises:
        SercliError: Files of the record are missing or damaged.
    """
    try:
        units = _tabulate(record).merge(
            _tabulate(again), how="outer", on=["seed", "fold"], suffixes=("", "_again")
        )
        found = _predictions_compared(record, again)
        changed = differences(_made_by(record), _made_by(again))
    except (OSError, KeyError, ValueError, TypeError) as error:
        what = one_line(error)
        raise SercliError(f"{record.path}: {what}; `sercli verify` says more") from error
    off = {
        name: abs(record.metrics.get(name, np.nan) - again.metrics.get(name, np.nan))
        for name in ("dev_ua", "dev_wa", "ua", "wa")
    }
    units = units.merge(found, how="left", on=["seed", "fold"])
    repeatable = again.environment().get("device") == "cpu"
    return Rerun(record, again, tuple(changed), units, repeatable, off)


def _made_by(record: Record) -> dict[str, Any]:
    """What could make one run differ from another: settings and environment."""
    environment = record.environment()
    lasting = {name: x for name, x in environment.items() if name not in _PASSING}
    return {**lasting, _SETTINGS: record.summary["configuration"]}


def _is_setting(changed: Difference) -> bool:
    """Whether a setting of the record has another value; one that it did not know has none."""
    return changed.key.startswith(f"{_SETTINGS}.") and changed.in_left


_PASSING = ("time", "command", "seconds", "origin", "cores")
"""What differs between any two runs, or changes nothing."""

_SETTINGS = "configuration"


def _tabulate(record: Record) -> pd.DataFrame:
    """A row for each unit: its figures under the dev selection."""
    steps = {
        (unit["seed"], unit["fold"]): unit["selected_step"]
        for unit in record.metrics.get("by_fold", ())
    }
    rows = []
    for (seed, fold), unit in _selected(record).groupby(["seed", "fold"]):
        dev, test = (unit[unit["part"] == part] for part in ("dev", "test"))
        truth, predicted = test["label"].tolist(), test["predicted"].tolist()
        rows.append(
            {
                "seed": seed,
                "fold": fold,
                "selected_step": steps.get((seed, fold), np.nan),
                "dev_ua": ua(dev["label"].tolist(), dev["predicted"].tolist()),
                "ua": ua(truth, predicted),
                "wa": wa(truth, predicted),
            }
        )
    return pd.DataFrame(rows, columns=["seed", "fold", "selected_step", "dev_ua", "ua", "wa"])


def _predictions_compared(record: Record, again: Record) -> pd.DataFrame:
    """How alike the test predictions of every unit are."""
    one, other = (_selected(run).query("part == 'test'") for run in (record, again))
    both = one.merge(other, on=["seed", "fold", "utterance"], suffixes=("", "_again"))
    names = [name for name in map(str, one) if name.startswith("p_")]
    apart = both[names].to_numpy() - both[[f"{name}_again" for name in names]].to_numpy()
    both["same"] = both["predicted"] == both["predicted_again"]
    both["farthest"] = abs(apart).max(axis=1, initial=0)
    return both.groupby(["seed", "fold"], as_index=False).agg(
        same=("same", "mean"), farthest=("farthest", "max")
    )


def _selected(record: Record) -> pd.DataFrame:
    """The predictions under the dev selection; of a run that diverged at once there are none."""
    table = record.predictions()
    if table.empty:
        return table.reindex(columns=["seed", "fold", "part", "utterance", "label", "predicted"])
    return table[table["selection"] == "dev"]


def _unlike(units: pd.DataFrame) -> Iterator[str]:
    """Name the units that are not the same to the last digit."""
    for unit in units.fillna({"selected_step": -1, "selected_step_again": -1}).to_dict("records"):
        where = f"seed {unit['seed']}, fold {unit['fold']}"
        before, after = unit["selected_step"], unit["selected_step_again"]
        if np.isnan(unit["farthest"]):
            yield f"{where} is in one of the two alone"
        elif before != after:
            yield f"{where}: step {before:g} was selected, now {after:g}"
        elif unit["farthest"] != 0:
            yield f"{where}: probabilities differ by up to {unit['farthest']:.2g}"
