"""Predictions of a run on test, with the metadata of the utterances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sercli.errors import SercliError
from sercli.results.run_record import Record

_METADATA = [
    *("speaker", "gender", "session", "improvised", "seconds", "own", "interlocutor"),
    "transcript",
]


@dataclass(frozen=True)
class RunPredictions:
    """The predictions of a run on test, at the step selected on dev, of seeds that did not diverge.

    Attributes:
        record: The run.
        system: Name of the run in tables.
        predictions: A row for each seed and utterance: ``seed``, ``fold``, ``utterance``,
            ``label``, ``predicted``, and the probability of each class in ``p_<class>``.
        utterances: Metadata, indexed by utterance (`sercli.training.data`).
    """

    record: Record
    system: str
    predictions: pd.DataFrame
    utterances: pd.DataFrame

    @cached_property
    def speakers(self) -> Mapping[str, str]:
        """Utterance → speaker."""
        return dict(self.utterances["speaker"])

    @property
    def dataset(self) -> str:
        """Name of the corpus."""
        return str(self.record.summary["card"]["dataset"])

    @property
    def task(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Corpus and classes: only runs of one task have the same utterances."""
        return self.dataset, tuple(sorted(self.record.summary["card"]["mapping"].items()))


def read_run_predictions(record: Record, system: str) -> RunPredictions | None:
    """Read the predictions of a run on test.

    Args:
        record: The run.
        system: Name of the run in tables.

    Returns:
        None if every seed diverged.

    Raises:
        SercliError: Files of the record are missing or damaged, or disagree.
    """
    try:
        table = record.predictions()
        utterances = record.utterances().set_index("utterance")[_METADATA]
        diverged = [where["seed"] for where in record.summary["diverged"]]
        table = table[~table["seed"].isin(diverged)]
        if table.empty:
            return None
        table = table[(table["part"] == "test") & (table["selection"] == "dev")]
    except (OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SercliError(f"{record.path}: {reason}; see `sercli verify`") from error
    unknown = set(table["utterance"]) - set(utterances.index)
    if unknown:
        raise SercliError(
            f"{record.path}: {len(unknown)} predicted utterances are not in utterances.parquet "
            f"({min(unknown)}); restore the record"
        )
    return RunPredictions(record, system, table, utterances)
