"""Columns of the manifest, and validation of its rows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

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
}
"""Column names and their pandas types, in order."""

_REQUIRED = {
    "utterance": "an id of its own",
    "audio": "the path of an audio file",
    "speaker": "the name of the speaker",
    "emotion": "a label, whether the task uses it or not",
}
"""Column that must be filled → expected value."""

_MOST = 1e9
"""Upper limit of seconds and turns, to catch values in other units (our choice)."""

_REMEDIES = {
    "float64": "a time in seconds, 0 or more",
    "Int64": "a whole number, 0 or more",
    "boolean": "true, false or nothing",
    "gender": "female, male or nothing",
}


def valid_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, str]]:
    """Drop the rows that do not fit, and convert the columns to their types.

    Args:
        table: The columns of `COLUMNS`, in order, of any type; the index numbers the rows.

    Returns:
        The rows that fit, with the types of `COLUMNS`; and number of each other row → reason,
        for the first column that does not fit.
    """
    from pandera.errors import SchemaErrors  # slow import (0.1 s)

    reasons: dict[int, str] = {}
    try:
        _schema().validate(table, lazy=True)
    except SchemaErrors as errors:
        reasons = _first_failures(errors.failure_cases)
        if not reasons:  # not of rows: the columns themselves are wrong
            raise
    return table.drop(index=list(reasons)).astype(COLUMNS), reasons


@cache
def _schema() -> DataFrameSchema:
    from pandera.pandas import Check, Column, DataFrameSchema

    kinds = {
        "float64": Check(_is_time, element_wise=True),
        "Int64": Check(_is_position, element_wise=True),
        "boolean": Check.isin([True, False]),
        "str": None,
    }
    rules = {name: kinds[kind] for name, kind in COLUMNS.items()}
    rules |= dict.fromkeys(_REQUIRED, Check.ne(""))
    rules["gender"] = Check.isin(["female", "male"])
    columns = {
        name: Column(checks=rule, nullable=name not in _REQUIRED) for name, rule in rules.items()
    }
    return DataFrameSchema(columns, strict=True, ordered=True)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(0 <= value <= _MOST)


def _is_position(value: Any) -> bool:
    return _is_time(value) and value % 1 == 0


def _first_failures(cases: pd.DataFrame) -> dict[int, str]:
    """Return number of the row → reason, for the first column in which the row fails."""
    reasons: dict[int, str] = {}
    for column in COLUMNS:
        failed = cases[(cases["column"] == column) & cases["index"].notna()]
        for row, value in zip(failed["index"], failed["failure_case"], strict=True):
            reasons.setdefault(int(row), _reason(column, value))
    return reasons


def _reason(column: str, value: Any) -> str:
    if column in _REQUIRED:
        return f"has no {column}; the column needs {_REQUIRED[column]}"
    shown = f"{value:g}" if isinstance(value, float) else value
    return f"{column} '{shown}' is not {_REMEDIES.get(column) or _REMEDIES[COLUMNS[column]]}"
