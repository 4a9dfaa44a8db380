"""Runs compared with a reference: differences, confidence intervals and tests."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sercli.analysis.statistics.aso import almost_stochastic_order
from sercli.analysis.statistics.permutation import permutation_p, smallest_p
from sercli.analysis.statistics.references import other_task, reference_pairs
from sercli.analysis.statistics.scores import Scored, ScoreReader
from sercli.analysis.statistics.tests import detectable, holm, mcnemar_p
from sercli.errors import SercliError, counted
from sercli.results.bootstrap import Interval, difference_interval
from sercli.results.counts import Counts
from sercli.results.run_record import Record
from sercli.results.variance import resampling_units

ALPHA = 0.05
"""Significance level, after Holm's correction."""

COLUMNS = (
    "a",
    "b",
    *("delta_ua", "delta_ua_low", "delta_ua_high", "p_ua", "p_ua_holm"),
    *("delta_wa", "delta_wa_low", "delta_wa_high", "p_wa", "p_wa_holm"),
    *("p_mcnemar", "aso", "detectable", "significant", "reason", "note"),
)
"""Columns of the table that `compare` returns."""


def compare(records: Sequence[Record], against: str | None = None) -> pd.DataFrame:
    """Compare every run with its reference.

    Args:
        records: The runs. Those that diverged with every seed are left out; of several with the
            same key the first counts.
        against: The reference (`sercli.analysis.statistics.references.reference_pairs`).

    Returns:
        One row per run that is not its own reference (`COLUMNS`):

        - ``a``, ``b``: keys of the run and of its reference;
        - ``delta_ua``, ``delta_wa``: a − b, in fractions, with the 95 % interval
          (`sercli.results.bootstrap`);
        - ``p_ua``, ``p_wa``: by the permutation test over speakers
          (`sercli.analysis.statistics.permutation`); ``_holm``: after Holm's correction;
        - ``p_mcnemar``: of WA, by the first seed of each (our choice), which takes utterances to
          be independent;
        - ``aso``: ε_min of a being stochastically larger than b in UA, over seeds;
        - ``detectable``: the minimum detectable difference of UA;
        - ``significant``: True if ``p_ua_holm`` is below 0.05;
        - ``reason``: why the two cannot be compared, with NaN as numbers; else empty;
        - ``note``: a limit of the comparison; else empty.

    Raises:
        RequestError: ``against`` is none of the runs.
    """
    runs: dict[str, Record] = {}
    for record in records:
        if record.metrics:
            runs.setdefault(record.key, record)
    reader = ScoreReader()
    return _table(_compared(reader, runs[a], runs[b]) for a, b in reference_pairs(runs, against))


def compare_fusion(name: str, fused: Scored, run: Record) -> pd.DataFrame:
    """Compare a fusion of runs with one of them, whose trained models are among its own.

    Args:
        name: Name of the fusion, in place of a key.
        fused: Its test predictions.
        run: The run.

    Returns:
        The one row of `compare` of the fusion and that run.

    Raises:
        SercliError: The test utterances, their labels or speakers differ, or files of the run
            cannot be read.
    """
    tested = _tested(fused, ScoreReader().read(run), matched=True)
    return _table([{"a": name, "b": run.key, "reason": "", "note": ""} | tested])


def _table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Tabulate comparisons, corrected for their number."""
    frame = pd.DataFrame(list(rows), columns=[*COLUMNS, "units", "smallest_p"])
    for name in ("p_ua", "p_wa"):
        frame[f"{name}_holm"] = holm(frame[name].to_numpy(np.float64))
    frame["significant"] = frame["p_ua_holm"] < ALPHA
    comparisons = int(frame["p_ua"].notna().sum())
    frame["note"] = [_limit_note(row, comparisons) for row in frame.to_dict("records")]
    return frame[list(COLUMNS)]


def best_is_real(frame: pd.DataFrame) -> bool:
    """Return True if a run is significantly better than every other.

    Args:
        frame: The result of `compare` against that run.
    """
    return len(frame) > 0 and bool((frame["significant"] & (frame["delta_ua"] < 0)).all())


def _compared(reader: ScoreReader, a: Record, b: Record) -> dict[str, Any]:
    row: dict[str, Any] = {"a": a.key, "b": b.key, "reason": "", "note": ""}
    reason = other_task(a, b)
    if reason is None:
        try:
            return row | _tested(reader.read(a), reader.read(b))
        except SercliError as error:
            reason = str(error)
    return row | {"reason": reason}


def _tested(a: Scored, b: Scored, *, matched: bool = False) -> dict[str, Any]:
    _require_same(a, b)
    ua = difference_interval(a.counts, b.counts, matched=matched)
    a_wa, b_wa = a.counts.of_one_class(), b.counts.of_one_class()
    wa = difference_interval(a_wa, b_wa, matched=matched)
    p_values = {
        "p_ua": permutation_p(a.counts, b.counts, matched=matched),
        "p_wa": permutation_p(a_wa, b_wa, matched=matched),
    }
    return {
        **_difference("ua", a.counts, b.counts, ua),
        **_difference("wa", a_wa, b_wa, wa),
        **p_values,
        "p_mcnemar": mcnemar_p(a.right, b.right),
        "aso": almost_stochastic_order(a.counts.ua, b.counts.ua),
        "detectable": detectable(ua),
        **_limits(a.counts, b.counts),
    }


def _require_same(a: Scored, b: Scored) -> None:
    if not np.array_equal(a.utterances, b.utterances):
        sizes = f"{len(a.utterances)} and {len(b.utterances)}"
        raise SercliError(f"the test utterances or labels differ ({sizes})")
    if not np.array_equal(a.counts.total, b.counts.total):
        raise SercliError("the same utterances have other speakers")


def _difference(metric: str, a: Counts, b: Counts, found: Interval) -> dict[str, float]:
    return {
        f"delta_{metric}": float(a.ua.mean() - b.ua.mean()),
        f"delta_{metric}_low": found.low,
        f"delta_{metric}_high": found.high,
    }


def _limits(a: Counts, b: Counts) -> dict[str, Any]:
    """Return what is swapped, the smallest p-value that it allows, and a note."""
    units = len(resampling_units(a, b)[0].speakers)
    if units == len(a.speakers):
        return {"units": counted(units, "speaker"), "smallest_p": smallest_p(units)}
    return {
        "units": counted(units, "fold"),
        "smallest_p": smallest_p(units),
        "note": "one seed: the effects of speakers and of their common model cannot be told apart, "
        "so folds are permuted",
    }


def _limit_note(row: Mapping[Hashable, Any], comparisons: int) -> str:
    notes = [row["note"]] if row["note"] else []
    if row["smallest_p"] * comparisons >= ALPHA:
        notes.append(
            f"{row['units']}: p is at least {row['smallest_p']:.2g}; no difference can be "
            f"significant (comparisons: {comparisons})"
        )
    return "; ".join(notes)
