"""Test predictions of a run as counts per speaker, and right or wrong per utterance."""

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
        counts: Right predictions by speaker and class.
        utterances: Hashes of utterance and label, sorted.
        right: True where the first seed is right, in that order.
    """

    counts: Counts
    utterances: npt.NDArray[np.uint64]
    right: npt.NDArray[np.bool_]


class ScoreReader:
    """Reads test predictions, each record and the speakers of each corpus once.

    Args:
        selection: The training step: ``dev`` (selected on dev) or ``oracle`` (on test).
    """

    def __init__(self, selection: str = "dev") -> None:
        self._selection = selection
        self._scored: dict[str, Scored] = {}
        self._speakers: dict[Any, Mapping[Any, str]] = {}

    def read(self, record: Record) -> Scored:
        """Read the test predictions of a record.

        Raises:
            SercliError: Its files cannot be read, or disagree.
        """
        if record.key not in self._scored:
            try:
                test = _read_test(record, self._selection)
                self._scored[record.key] = score(test, self._speakers_of(record))
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
    """Read only the needed rows and columns, names as codes (four times as fast)."""
    import pyarrow.parquet as pq

    table: pd.DataFrame = pq.read_table(
        record.path / "predictions.parquet",
        columns=["seed", *_NAMES],
        read_dictionary=_NAMES,
        filters=[("part", "==", "test"), ("selection", "==", selection)],
    ).to_pandas()
    diverged = {where["seed"] for where in record.summary.get("diverged", [])}
    return table[~table["seed"].isin(diverged)] if diverged else table


def score(test: pd.DataFrame, speakers: Mapping[Any, str]) -> Scored:
    """Count the test predictions of a system.

    Args:
        test: Test predictions of every seed: seed, fold, utterance, label, predicted.
        speakers: Utterance id → speaker.

    Raises:
        ValueError: There are none, seeds differ in utterances or labels, or one has no speaker.
    """
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
