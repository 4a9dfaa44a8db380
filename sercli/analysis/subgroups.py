"""UA by what is known of utterances: speech, session, speaker, gender, length, context."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sercli.analysis.predictions import Predicted
from sercli.results.bootstrap import interval
from sercli.results.counts import count

SPEAKERS = 5
"""Fewest speakers of a group with an interval (our choice: of fewer, resamples say little)."""


def group_rows(run: Predicted) -> list[dict[str, Any]]:
    """Compute the UA of every group of test utterances of a run.

    Columns that the corpus does not state, or that have one value, make no groups.

    Args:
        run: What a run predicted of test.

    Returns:
        For each group: ``by``, what groups; ``group``; ``n`` utterances; ``speakers``; ``classes``
        of the truth that occur; ``ua``, the mean recall over these, averaged over seeds; and
        ``ua_ci``, resampled by speaker, of `SPEAKERS` or more, else None.
    """
    rows = []
    for by, groups in _groupings(run.utterances).items():
        known = groups.dropna()
        if known.nunique() > 1:
            of = run.predictions["utterance"].map(known)
            rows += [_row(by, name, run, of == name) for name in _in_order(known)]
    return rows


def _groupings(table: pd.DataFrame) -> dict[str, pd.Series]:
    """What groups → the group of each utterance, or NaN."""
    kinds = table["improvised"].map({True: "improvised", False: "scripted"})
    return {
        "speech": kinds,
        "session": table["session"],
        "gender": table["gender"],
        "speaker": table["speaker"],
        "length": _terciles(table["seconds"]),
        "context": _context(table),
    }


def _terciles(seconds: pd.Series) -> pd.Series:
    """Short, middle and long utterances, as many of each as can be."""
    known = seconds.dropna()
    if known.nunique() < _TERCILES:
        return pd.Series(np.nan, index=seconds.index)
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    names = [f"up to {low:.1f} s", f"{low:.1f} to {high:.1f} s", f"over {high:.1f} s"]
    bins = [-np.inf, low, high, np.inf]
    if low == high:
        return pd.Series(np.nan, index=seconds.index)
    return pd.cut(seconds, bins, labels=names)


_TERCILES = 3


def _context(table: pd.DataFrame) -> pd.Series:
    own, other = table["own"].to_numpy(bool), table["interlocutor"].to_numpy(bool)
    names = np.select([own & other, own, other], _WITH_CONTEXT, "neither turn")
    return pd.Series(names, index=table.index)


_WITH_CONTEXT = ["both turns", "the own turn alone", "the interlocutor's turn alone"]


def _in_order(groups: pd.Series) -> list[str]:
    """Terciles as they are, all else by name."""
    if isinstance(groups.dtype, pd.CategoricalDtype):
        return list(groups.cat.categories)
    return sorted(groups.unique())


def _row(by: str, group: str, run: Predicted, chosen: pd.Series) -> dict[str, Any]:
    counts = count(run.predictions[chosen], run.speakers)
    around = interval(counts) if len(counts.speakers) >= SPEAKERS else None
    return {
        "by": by,
        "group": group,
        "n": int(counts.total.sum()),
        "speakers": len(counts.speakers),
        "classes": len(counts.classes),
        "ua": float(counts.ua.mean()),
        "ua_ci": None if around is None else [around.low, around.high],
    }
