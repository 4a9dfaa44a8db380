"""What comparing runs needs of a record: counts per speaker, and who was right on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sercli.errors import SercliError, one_line
from sercli.results.counts import Counts, count, is_right
from sercli.results.run_record import Record

_NAMES = ["utterance", "label", "predicted", "fold", "part", "selection"]


@dataclass(frozen=True)
class Scored:
    """The test predictions of a run, over all seeds that did not diverge.

    Attributes:
        counts: Right ones by speaker and class.
        utterances: A hash of every utterance and its label, sorted.
        right: Whether the first seed is right on each, in that order.
    """

    counts: Counts
    utterances: npt.NDArray[np.uint64]
    right: npt.NDArray[np.bool_]


class ScoreReader:
    """Reads test predictions: those of every record once, and once who speaks in every corpus.

    Args:
        selection: What chose the step: ``dev``, or ``oracle`` for the best one on test.
    """

    def __init__(self, selection: str = "dev") -> None:
        self._selection = selection
        self._scored: dict[str, Scored] = {}
        self._speakers: dict[Any, Mapping[Any, str]] = {}

    def read(self, record: Record) -> Scored:
        """Read what a record has of test.

        Raises:
            SercliError: Its files cannot be read, or do not fit each other.
        """
        if record.key not in self._scored:
            try:
                test = _read_test(record, self._selection)
                self._scored[record.key] = _count(test, self._speakers_of(record))
            except (OSError, ValueError, KeyError) as error:
                reason = one_line(error)
                raise SercliError(
                    f"the predictions of {record.path} cannot be read: {reason}"
                ) from error
        return self._scored[record.key]

    def _speakers_of(self, record: Record) -> Mapping[Any, str]:
        data = record.summary.get("fingerprint", record.key)
        if data not in self._speakers:
            table = pd.read_parquet(
                record.path / "utterances.parquet", columns=["utterance", "speaker"]
            )
            self._speakers[data] = dict(zip(table["utterance"], table["speaker"], strict=True))
        return self._speakers[data]


def _read_test(record: Record, selection: str) -> pd.DataFrame:
    """Read the needed rows and columns only; names as codes, which is four times as fast."""
    import pyarrow.parquet as pq

    table: pd.DataFrame = pq.read_table(
        record.path / "predictions.parquet",
        columns=["seed", *_NAMES],
        read_dictionary=_NAMES,
        filters=[("part", "==", "test"), ("selection", "==", selection)],
    ).to_pandas()
    diverged = {where["seed"] for where in record.summary.get("diverged", [])}
    return table[~table["seed"].isin(diverged)] if diverged else table


def _count(test: pd.DataFrame, speakers: Mapping[Any, str]) -> Scored:
    if test.empty:
        raise ValueError("no predictions of test")
    seed, seeds = pd.factorize(test["seed"])
    hashes = pd.util.hash_pandas_object(test[["utterance", "label"]], index=False)
    names = np.asarray(hashes, dtype=np.uint64)
    order = np.lexsort((names, seed))
    first = order[: len(test) // len(seeds)]
    if not np.array_equal(np.tile(names[first], len(seeds)), names[order]):
        raise ValueError("its seeds have different utterances or labels")
    return Scored(count(test, speakers), names[first], is_right(test)[first])
