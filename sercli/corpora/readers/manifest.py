"""A manifest written by the user: a CSV or Parquet table that describes any corpus."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.readers import READERS, dataset_manifest, reader_options
from sercli.corpora.tables import Table, read_delimited, read_parquet
from sercli.errors import RequestError
from sercli.progress import Progress
from sercli.validation import StrictModel

_REQUIRED = ("utterance", "audio", "speaker", "emotion")
_FORMATS: dict[str, Callable[[Path], Table]] = {".csv": read_delimited, ".parquet": read_parquet}
_GENDERS = {
    **dict.fromkeys(("female", "f", "woman", "w"), "female"),
    **dict.fromkeys(("male", "m", "man"), "male"),
}
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class ManifestOptions(StrictModel):
    """Options of a manifest.

    Attributes:
        segments: True: ``start`` and ``end`` cut the utterance out of its audio file. False: they
            are times in the dialogue.
    """

    segments: bool = False


@READERS.register("manifest")
def read_manifest(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the table ``root``.

    Required columns are ``utterance``, ``audio`` (absolute, or relative to the table's folder),
    ``speaker`` and ``emotion``; it may have ``start`` and ``end`` (seconds), ``gender``,
    ``session``, ``dialogue``, ``turn``, ``split``, ``improvised`` and ``transcript``. Without
    ``turn``, the turns of a dialogue are in the order of the table.

    Raises:
        RequestError: The table cannot be read or lacks a column, or no utterance is left.
    """
    options = reader_options(dataset, ManifestOptions)
    if root.suffix.lower() not in _FORMATS:
        raise RequestError(f"{root}: a manifest is a file that ends in {' or '.join(_FORMATS)}")
    table = _FORMATS[root.suffix.lower()](root)
    _mention_unused(table, progress)
    rows, refused = table.rows(_REQUIRED, partial(_row, root.parent, options))
    if "turn" not in table.columns:
        _number_turns(rows)
    try:
        return dataset_manifest(dataset, rows, refused)
    except RequestError as error:
        raise RequestError(f"{root}: {error}") from error


def _mention_unused(table: Table, progress: Progress) -> None:
    unused = [column for column in table.columns if column not in _COLUMNS]
    if unused:
        progress.note(f"{table.path}: columns not used: {', '.join(unused)}")


def _number_turns(rows: list[Row]) -> None:
    spoken: Counter[str] = Counter()
    for row in rows:
        dialogue = row.get("dialogue")
        if dialogue is not None:
            row["turn"] = spoken[dialogue]
            spoken[dialogue] += 1


def _row(folder: Path, options: ManifestOptions, cells: Mapping[str, str]) -> Row:
    row = {
        column: _value(column, parse, cells[column])
        for column, parse in _COLUMNS.items()
        if column in cells
    }
    audio = folder / row["audio"]
    if not audio.is_file():
        raise ValueError(f"{row['audio']} is missing")
    row["audio"] = str(audio)
    start, end = row.get("start"), row.get("end")
    if start is not None and end is not None and end <= start:
        raise ValueError(f"end {end:g} is not after start {start:g}")
    if options.segments:
        row |= {"audio_start": start, "audio_end": end}
    return row


def _value(column: str, parse: Callable[[str], Any], text: str) -> Any:
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{column} '{text}' is not {error}") from error


def _seconds(text: str) -> float:
    """Return a time; the ValueErrors of this and the next two name the expected value."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError("a time in seconds")
    return seconds


def _position(text: str) -> int:
    # Parquet and pandas write whole numbers as "3.0" where the column has gaps.
    whole = text.removesuffix(".0")
    if not whole.isdecimal():
        raise ValueError("a whole number")
    return int(whole)


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise ValueError("true or false")
    return _TRUTHS[text.lower()]


def _gender(text: str) -> str | None:
    return _GENDERS.get(text.lower())


_COLUMNS: dict[str, Callable[[str], Any]] = {
    "utterance": str,
    "audio": str,
    "start": _seconds,
    "end": _seconds,
    "speaker": str,
    "gender": _gender,
    "session": str,
    "dialogue": str,
    "turn": _position,
    "emotion": str,
    "split": str,
    "improvised": _truth,
    "transcript": str,
}
"""The columns that are read, and how."""
