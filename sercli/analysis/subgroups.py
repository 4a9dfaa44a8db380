"""UA by subgroup: kind of speech, corpus, session, speaker, gender, duration, context."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sercli.analysis.predictions import RunPredictions
from sercli.results.bootstrap import interval
from sercli.results.counts import count

FEWEST_SPEAKERS = 5
"""Speakers that a confidence interval needs (our choice: resamples of fewer say little)."""

_CONTEXTS = ["both turns", "own turn only", "interlocutor's turn only"]


def subgroups(run: RunPredictions) -> list[dict[str, Any]]:
    """Compute the UA of every subgroup of the test utterances of a run.

    Metadata that the corpus does not have, or that has one value, make no subgroups.

    Args:
        run: The predictions of a run.

    Returns:
        For each subgroup: ``by``, its kind; ``group``, its name; ``n`` utterances; ``speakers``;
        ``classes`` that occur; ``ua``, the mean recall of these, averaged over seeds; ``ua_ci``,
        the 95 % confidence interval over `FEWEST_SPEAKERS` or more speakers, else None.
    """
    rows = []
    for by, groups in _groupings(run.utterances).items():
        known = groups.dropna()
        if known.nunique() > 1:
            of = run.predictions["utterance"].map(known)
            rows += [_subgroup(by, name, run, of == name) for name in _in_order(known)]
    return rows


def _groupings(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return kind → the subgroup of each utterance, or NaN."""
    kinds = table["improvised"].map({True: "improvised", False: "scripted"})
    return {
        "speech": kinds,
        "corpus": table["corpus"] if "corpus" in table else pd.Series(np.nan, index=table.index),
        "session": table["session"],
        "gender": table["gender"],
        "speaker": table["speaker"],
        "length": _terciles(table["seconds"]),
        "context": _context(table),
    }


def _terciles(seconds: pd.Series) -> pd.Series:
    """Split utterances into short, middle and long ones, as equal in number as possible."""
    known = seconds.dropna()
    if known.nunique() < 3:
        return pd.Series(np.nan, index=seconds.index)
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    names = [f"up to {low:.1f} s", f"{low:.1f} to {high:.1f} s", f"over {high:.1f} s"]
    bins = [-np.inf, low, high, np.inf]
    if low == high:
        return pd.Series(np.nan, index=seconds.index)
    return pd.cut(seconds, bins, labels=names)


def _context(table: pd.DataFrame) -> pd.Series:
    own, other = table["own"].to_numpy(bool), table["interlocutor"].to_numpy(bool)
    names = np.select([own & other, own, other], _CONTEXTS, "no turn")
    return pd.Series(names, index=table.index)


def _in_order(groups: pd.Series) -> list[str]:
    """Sort subgroups by name, terciles by duration."""
    if isinstance(groups.dtype, pd.CategoricalDtype):
        return list(groups.cat.categories)
    return sorted(groups.unique())


def _subgroup(by: str, group: str, run: RunPredictions, chosen: pd.Series) -> dict[str, Any]:
    counts = count(run.predictions[chosen], run.speakers)
    around = interval(counts) if len(counts.speakers) >= FEWEST_SPEAKERS else None
    return {
        "by": by,
        "group": group,
        "n": int(counts.total.sum()),
        "speakers": len(counts.speakers),
        "classes": len(counts.classes),
        "ua": float(counts.ua.mean()),
        "ua_ci": None if around is None else [around.low, around.high],
    }
