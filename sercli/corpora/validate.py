"""Columns of the manifest, and validation of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

COLUMNS: dict[str, str] = {
    "utterance": "str",  # unique id
    "audio": "str",  # path of the audio file
    "audio_start": "float64",  # seconds into the file; NaN: from its beginning
    "audio_end": "float64",  # seconds into the file; NaN: to its end
    "start": "float64",  # seconds on the clock of the dialogue; NaN: unknown
    "end": "float64",
    "speaker": "str",
    "gender": "str",  # "female", "male" or missing
    "session": "str",
    "dialogue": "str",
    "turn": "Int64",  # position in the transcript of the dialogue, from 0
    "emotion": "str",  # the corpus' own code
    "label": "str",  # the class of the task, missing where the task leaves the utterance out
    "split": "str",  # official partition, where the corpus has one
    "improvised": "boolean",
    "transcript": "str",
    "asr_transcript": "str",  # the transcript of a speech recogniser, where there is one
    "corpus": "str",  # of several corpora in one manifest; else missing
    "valence": "float64",  # on the scale of the corpus; NaN: not stated
    "arousal": "float64",
    "dominance": "float64",
}
"""Column names and their pandas types, in order."""

DIMENSIONS = ("valence", "arousal", "dominance")
"""Columns of dimensional labels."""

_REQUIRED = {
    "utterance": "an id of its own",
    "audio": "the path of an audio file",
    "speaker": "the name of the speaker",
    "emotion": "a label, whether the task uses it or not",
}
"""Column that must be filled → expected value."""

_EXPECTED = {
    "float64": "a time in seconds, 0 or more",
    "Int64": "a whole number, 0 or more",
    "boolean": "true, false or nothing",
    "gender": "female, male or nothing",
    **dict.fromkeys(DIMENSIONS, "a number or nothing"),
}
"""Type, or name of a column with a rule of its own → expected value."""

_MOST = 1e9
"""Upper limit of seconds and turns, to catch values in other units (our choice)."""


def valid_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, str]]:
    """Drop the rows that do not fit, and convert the columns to their types.

    Args:
        table: The columns of `COLUMNS`, of any type; the index numbers the rows.

    Returns:
        The rows that fit, with the types of `COLUMNS`; and number of each other row → reason,
        for the first column that does not fit.
    """
    reasons: dict[int, str] = {}
    for column in COLUMNS:
        for row, reason in _misfits(table[column]):
            reasons.setdefault(row, reason)
    return table.drop(index=list(reasons)).astype(COLUMNS), reasons


def _misfits(values: pd.Series[Any]) -> Iterator[tuple[int, str]]:
    """Yield row and reason of each value that does not fit its column."""
    column = str(values.name)
    if column in _REQUIRED:
        for row in values.index[values.isna() | (values == "")]:
            yield row, f"has no {column}; the column needs {_REQUIRED[column]}"
    kind = column if column in _EXPECTED else COLUMNS[column]
    if kind in _EXPECTED:
        for row, value in zip(values.index, values, strict=True):
            if not (pd.isna(value) or _FITS[kind](value)):
                shown = f"{value:g}" if isinstance(value, float) else value
                yield row, f"{column} '{shown}' is not {_EXPECTED[kind]}"


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(0 <= value <= _MOST)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(-_MOST <= value <= _MOST)


def _is_position(value: Any) -> bool:
    return _is_time(value) and value % 1 == 0


_FITS: dict[str, Callable[[Any], bool]] = {
    "float64": _is_time,
    "Int64": _is_position,
    "boolean": lambda value: value in (True, False),
    "gender": lambda value: value in ("female", "male"),
    **dict.fromkeys(DIMENSIONS, _is_number),
}
