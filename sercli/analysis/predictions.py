"""What runs predicted of their test utterances, beside what is known of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sercli.errors import SercliError, one_line
from sercli.results.run_record import Record

_KNOWN = (
    *("speaker", "gender", "session", "improvised", "seconds", "own", "interlocutor"),
    "transcript",
)
"""What is asked of every utterance."""


@dataclass(frozen=True)
class Predicted:
    """The test predictions of a run, under the dev selection, of seeds that did not diverge.

    Attributes:
        record: The run.
        system: Its name in tables.
        predictions: A row for each seed and utterance: ``seed``, ``fold``, ``utterance``,
            ``label``, ``predicted``, and the probability of each class in ``p_<class>``.
        utterances: Indexed by utterance (`sercli.training.utterances`).
    """

    record: Record
    system: str
    predictions: pd.DataFrame
    utterances: pd.DataFrame

    @cached_property
    def speakers(self) -> Mapping[str, str]:
        """Utterance id → speaker."""
        return dict(self.utterances["speaker"])

    @property
    def task(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Corpus and classes: only within one task utterances are the same."""
        card = self.record.summary["card"]
        return card["dataset"], tuple(sorted(card["mapping"].items()))


def read_predicted(record: Record, system: str) -> Predicted | None:
    """Read what a run predicted of test.

    Args:
        record: The run.
        system: Its name in tables.

    Returns:
        None, where every seed diverged.

    Raises:
        SercliError: Files of the record are missing or damaged, or do not fit together.
    """
    try:
        table = record.predictions()
        utterances = record.utterances().set_index("utterance")[list(_KNOWN)]
        diverged = [where["seed"] for where in record.summary["diverged"]]
        table = table[~table["seed"].isin(diverged)]
        if table.empty:
            return None
        table = table[(table["part"] == "test") & (table["selection"] == "dev")]
    except (OSError, KeyError, ValueError) as error:
        reason = one_line(error)
        raise SercliError(f"{record.path}: {reason}; `sercli verify` says more") from error
    unknown = set(table["utterance"]) - set(utterances.index)
    if unknown:
        raise SercliError(
            f"{record.path}: {len(unknown)} predicted utterances are not in utterances.parquet "
            f"({min(unknown)}); restore the record"
        )
    return Predicted(record, system, table, utterances)
