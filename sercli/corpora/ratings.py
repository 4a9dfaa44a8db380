"""Labels of single raters: tables of them, and one label per rater and utterance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.tables import Table, read_delimited
from sercli.errors import RequestError

Ratings = Mapping[str, Sequence[tuple[str, str]]]
"""Utterance → pairs of rater and emotion."""

ToRating = Callable[[Mapping[str, str]], tuple[str, str, str] | None]
"""Function from cells of a row to utterance, rater and emotion; None: no rating of the audio."""

Form = tuple[Mapping[str, Sequence[str]], ToRating]
"""Form of a table: column → its synonyms, and the function that reads a row."""


@dataclass(frozen=True)
class UnreadRatings(Refusal):
    """A table of ratings that was left out as a whole, and the reason."""


def read_ratings(path: Path | None, *forms: Form) -> tuple[Ratings, list[Refusal]]:
    """Read a table with a row per rating.

    Args:
        path: The table; None: there is none.
        forms: The forms of different releases. The first one whose columns the table has is used,
            else the last one; a ValueError of its function is a refusal.

    Returns:
        The ratings, and the refusals. A table that lacks a column is refused as a whole: a corpus
        can be used without it.
    """
    if path is None:
        return {}, []
    try:
        return ratings_in(read_delimited(path), *forms)
    except RequestError as error:
        return {}, [UnreadRatings(path.name, f"labels of single raters are not read: {error}")]


def ratings_in(table: Table, *forms: Form) -> tuple[Ratings, list[Refusal]]:
    """Return the ratings of a table, and the refusals of its rows; see `read_ratings`.

    Raises:
        RequestError: The table lacks a column.
    """
    found, (columns, to_rating) = _in_form(table, forms)
    rows, refused = found.rows(tuple(columns), lambda cells: {"rating": to_rating(cells)})
    ratings: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        if row["rating"] is not None:
            utterance, rater, emotion = row["rating"]
            ratings[utterance].append((rater, emotion))
    return ratings, refused


def _in_form(table: Table, forms: Sequence[Form]) -> tuple[Table, Form]:
    for form in forms:
        columns, _ = form
        found = table.renamed(columns)
        if set(columns) <= set(found.columns):
            break
    return found, form


def rater_labels(manifest: Manifest) -> pd.DataFrame:
    """Return one label for each target utterance and rater, among the classes of the task.

    If a rater named several, it is the most frequent one among all raters of the utterance; of
    equally frequent ones, the first (Ando et al. 2021). A rater who named no class of the task is
    left out.

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
