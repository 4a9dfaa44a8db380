"""Runs compared with a reference: how large the differences are, and whether they are real."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sercli.analysis.statistics.aso import almost_stochastic_order
from sercli.analysis.statistics.permutation import permutation_p, smallest_p
from sercli.analysis.statistics.references import other_task, pairs
from sercli.analysis.statistics.scores import Scored, ScoreReader
from sercli.analysis.statistics.tests import detectable, holm, mcnemar_p
from sercli.errors import SercliError
from sercli.results.bootstrap import Interval, difference_interval
from sercli.results.counts import Counts
from sercli.results.run_record import Record
from sercli.results.variance import resampling_units

ALPHA = 0.05

COLUMNS = (
    "a",
    "b",
    *("delta_ua", "delta_ua_low", "delta_ua_high", "p_ua", "p_ua_holm"),
    *("delta_wa", "delta_wa_low", "delta_wa_high", "p_wa", "p_wa_holm"),
    *("p_mcnemar", "aso", "detectable", "significant", "reason", "note"),
)
"""Columns of what `compare` returns."""


def compare(records: Sequence[Record], against: str | None = None) -> pd.DataFrame:
    """Compare every run with its reference.

    Args:
        records: The runs. Those without figures, because all of their seeds diverged, are left
            out; of those with the same key the first one counts.
        against: What the runs are compared with (`sercli.analysis.statistics.references.pairs`).

    Returns:
        One row per run that is not its own reference (`COLUMNS`):

        - ``a``, ``b``: keys of the run and of its reference;
        - ``delta_ua``, ``delta_wa``: a − b, in fractions, with the 95 % interval
          (`sercli.results.bootstrap`);
        - ``p_ua``, ``p_wa``: by swapped speakers (`sercli.analysis.statistics.permutation`);
          ``_holm``: corrected for the number of comparisons in this table;
        - ``p_mcnemar``: of WA, by the first seed of each (our choice); it takes utterances for
          independent;
        - ``aso``: ε_min of a being stochastically larger than b in UA, over seeds;
        - ``detectable``: the true difference of UA that would probably have been found;
        - ``significant``: whether ``p_ua_holm`` is below 0.05;
        - ``reason``: why the two cannot be compared, and all figures are NaN; else empty;
        - ``note``: what limits the comparison; else empty.

    Raises:
        RequestError: ``against`` is none of the runs.
    """
    runs: dict[str, Record] = {}
    for record in records:
        if record.metrics:
            runs.setdefault(record.key, record)
    reader = ScoreReader()
    rows = [_row(reader, runs[a], runs[b]) for a, b in pairs(runs, against)]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "units", "smallest_p"])
    for name in ("p_ua", "p_wa"):
        frame[f"{name}_holm"] = holm(frame[name].to_numpy(np.float64))
    frame["significant"] = frame["p_ua_holm"] < ALPHA
    comparisons = int(frame["p_ua"].notna().sum())
    frame["note"] = [_note(row, comparisons) for row in frame.to_dict("records")]
    return frame[list(COLUMNS)]


def best_is_real(frame: pd.DataFrame) -> bool:
    """Say whether a run is significantly better than every other.

    Args:
        frame: What `compare` returns against that run.
    """
    return len(frame) > 0 and bool((frame["significant"] & (frame["delta_ua"] < 0)).all())


def _row(reader: ScoreReader, a: Record, b: Record) -> dict[str, Any]:
    row: dict[str, Any] = {"a": a.key, "b": b.key, "reason": "", "note": ""}
    reason = other_task(a, b)
    if reason is None:
        try:
            return row | _figures(reader.read(a), reader.read(b))
        except SercliError as error:
            reason = str(error)
    return row | {"reason": reason}


def _figures(a: Scored, b: Scored) -> dict[str, Any]:
    _require_same(a, b)
    ua = difference_interval(a.counts, b.counts)
    a_wa, b_wa = a.counts.of_one_class(), b.counts.of_one_class()
    return {
        **_difference("ua", a.counts, b.counts, ua),
        **_difference("wa", a_wa, b_wa, difference_interval(a_wa, b_wa)),
        "p_mcnemar": mcnemar_p(a.right, b.right),
        "aso": almost_stochastic_order(a.counts.ua, b.counts.ua),
        "detectable": detectable(ua),
        **_limits(a.counts, b.counts),
    }


def _require_same(a: Scored, b: Scored) -> None:
    if not np.array_equal(a.utterances, b.utterances):
        sizes = f"{len(a.utterances)} and {len(b.utterances)}"
        raise SercliError(f"other utterances or labels were tested ({sizes})")
    if not np.array_equal(a.counts.total, b.counts.total):
        raise SercliError("the same utterances are said by other speakers")


def _difference(metric: str, a: Counts, b: Counts, found: Interval) -> dict[str, float]:
    return {
        f"delta_{metric}": float(a.ua.mean() - b.ua.mean()),
        f"delta_{metric}_low": found.low,
        f"delta_{metric}_high": found.high,
        f"p_{metric}": permutation_p(a, b),
    }


def _limits(a: Counts, b: Counts) -> dict[str, Any]:
    """What is swapped, the smallest p-value that it allows, and what has to be said of it."""
    units = len(resampling_units(a, b)[0].speakers)
    if units == len(a.speakers):
        return {"units": f"{units} speakers", "smallest_p": smallest_p(units)}
    return {
        "units": f"{units} fold{'s' * (units > 1)}",
        "smallest_p": smallest_p(units),
        "note": "one seed does not tell the speakers of a fold from the model that they share: "
        "folds are compared instead",
    }


def _note(row: Mapping[Hashable, Any], comparisons: int) -> str:
    notes = [row["note"]] if row["note"] else []
    if row["smallest_p"] * comparisons >= ALPHA:
        notes.append(
            f"{row['units']}: p is at least {row['smallest_p']:.2g}, so that no difference can "
            f"be significant (comparisons: {comparisons})"
        )
    return "; ".join(notes)
