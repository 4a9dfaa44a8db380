"""How many targets find no context turn, and how many hear one that is not over yet."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sercli.config.schema import ContextConfig
from sercli.corpora.manifest import Manifest


@dataclass(frozen=True)
class ContextCounts:
    """How many targets lack a context turn.

    Attributes:
        choose: How turns are chosen.
        order: Order of the turns.
        window: Preceding turns that were searched.
        past_only: Whether only turns that were over could be chosen.
        no_same_speaker: Targets without a turn of their speaker.
        no_interlocutor: Targets without a turn of another speaker.
        neither: Targets without both.
        not_over: Targets whose interlocutor's turn ends after they start, so that a model that
            listens live could not have heard it whole; None where times are unknown.
    """

    choose: str
    order: str
    window: int
    past_only: bool
    no_same_speaker: int
    no_interlocutor: int
    neither: int
    not_over: int | None


def count_context(manifest: Manifest, context: ContextConfig, found: pd.DataFrame) -> ContextCounts:
    """Count what is missing in ``found``, the result of `find_context`."""
    return ContextCounts(
        choose=context.choose,
        order=context.order,
        window=context.window,
        past_only=context.past_only,
        **missing_counts(found),
        not_over=_not_over(manifest, found),
    )


def missing_counts(found: pd.DataFrame) -> dict[str, int]:
    """Count the rows of a context without turns, under the names of `ContextCounts`."""
    missing = found.isna()
    return {
        "no_same_speaker": int(missing["own"].sum()),
        "no_interlocutor": int(missing["interlocutor"].sum()),
        "neither": int(missing.all(axis="columns").sum()),
    }


def _not_over(manifest: Manifest, found: pd.DataFrame) -> int | None:
    times = manifest.table.set_index("utterance")[["start", "end"]]
    heard = found["interlocutor"].dropna()
    starts = times["start"].reindex(heard.index).to_numpy()
    ends = times["end"].reindex(heard).to_numpy()
    if pd.isna(starts).any() or pd.isna(ends).any():
        return None
    return int((ends > starts).sum())
