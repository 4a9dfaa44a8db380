"""Labels of single raters: tables of them, and one label per rater and utterance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.tables import read_delimited
from sercli.errors import RequestError

Ratings = Mapping[str, Sequence[tuple[str, str]]]
"""Utterance → pairs of rater and emotion."""

ToRating = Callable[[Mapping[str, str]], tuple[str, str, str] | None]
"""From the cells of a row to utterance, rater and emotion; None: no rating of the audio."""


def read_ratings(
    path: Path | None,
    columns: Mapping[str, Sequence[str]],
    to_rating: ToRating,
) -> tuple[Ratings, list[Refusal]]:
    """Read a table with a row per rating.

    Args:
        path: The table; None: there is none.
        columns: Column → its synonyms.
        to_rating: Reads a row; a ValueError that it raises is a refusal.

    Returns:
        The ratings, and the refusals. A table that lacks a column is refused as a whole: a corpus
        can be used without it.
    """
    ratings: dict[str, list[tuple[str, str]]] = defaultdict(list)
    if path is None:
        return ratings, []
    try:
        table = read_delimited(path).renamed(columns)
        rows, refused = table.rows(tuple(columns), lambda cells: {"rating": to_rating(cells)})
    except RequestError as error:
        return ratings, [Refusal(path.name, f"labels of single raters are not read: {error}")]
    for row in rows:
        if row["rating"] is not None:
            utterance, rater, emotion = row["rating"]
            ratings[utterance].append((rater, emotion))
    return ratings, refused


def rater_labels(manifest: Manifest) -> pd.DataFrame:
    """Return one label for each target utterance and rater, among the classes of the task.

    Of several labels of a rater it is the one that the raters of the utterance named most often,
    of equals the first that this rater named (Ando et al. 2021). A rater who named no class of the
    task is left out.

    >>> from sercli.corpora.manifest import build_manifest
    >>> row = {"utterance": "a1", "audio": "a1.wav", "speaker": "F01", "emotion": "W"}
    >>> row["ratings"] = [("r1", "T"), ("r1", "W"), ("r2", "W"), ("r3", "L")]
    >>> rater_labels(build_manifest("mine", [row], {"W": "anger", "T": "sadness"}))
      utterance rater  label
    0        a1    r1  anger
    1        a1    r2  anger

    Args:
        manifest: The corpus.

    Returns:
        Columns ``utterance``, ``rater`` and ``label``, in corpus order.
    """
    ratings = manifest.ratings.dropna(subset="label")
    ratings = ratings[ratings["utterance"].isin(manifest.targets["utterance"])]
    votes = ratings.groupby(["utterance", "label"], sort=False)["rater"].transform("size")
    order = ratings.assign(votes=votes).sort_values("votes", ascending=False, kind="stable")
    chosen = order.drop_duplicates(["utterance", "rater"]).sort_index()
    return chosen[["utterance", "rater", "label"]].reset_index(drop=True)
