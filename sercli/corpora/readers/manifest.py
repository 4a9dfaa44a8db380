"""A manifest written by the user: a CSV or Parquet table that describes any corpus."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import locate
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.ratings import Ratings, ratings_in
from sercli.corpora.readers import READERS, dataset_manifest, reader_options
from sercli.corpora.tables import Table, read_delimited, read_parquet
from sercli.corpora.validate import DIMENSIONS
from sercli.errors import RequestError
from sercli.progress import Progress
from sercli.validation import StrictModel

_REQUIRED = ("utterance", "audio", "speaker", "emotion")
_FORMATS: dict[str, Callable[[Path], Table]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), read_delimited),
    ".parquet": read_parquet,
}
_DURATION = re.compile(r"(?:(\d+) days? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)
_GENDERS = {
    **dict.fromkeys(("female", "f", "woman", "w"), "female"),
    **dict.fromkeys(("male", "m", "man"), "male"),
}
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class ManifestOptions(StrictModel):
    """Options of a manifest.

    Attributes:
        segments: True: ``start`` and ``end`` cut the utterance out of its audio file. False: they
            are times in the dialogue. None: the same, but utterances with such times must not
            share a file.
        confined: True: files outside of the table's folder are refused, as for a table of somebody
            else.
        ratings: A table of the labels of single raters, absolute or relative to the folder of the
            manifest; None: there is none.
    """

    segments: bool | None = None
    confined: bool = False
    ratings: str | None = None


@READERS.register("manifest")
def read_manifest(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the table ``root``: delimited text (comma, semicolon, tab or ``|``), or Parquet.

    Required columns are ``utterance``, ``audio`` (absolute, or relative to the table's folder),
    ``speaker`` and ``emotion``; it may have ``start`` and ``end`` (seconds), ``gender``,
    ``session``, ``dialogue``, ``turn``, ``split``, ``improvised``, ``transcript`` and
    ``asr_transcript``. With ``dataset.dimensions`` it needs columns of these, and no ``emotion``.
    Usual other names, such as ``path`` and ``label``, are taken for them, which a note says.
    Without ``turn``, the turns of a dialogue are in the order of the table.

    The table ``dataset.options.ratings`` has a row per label of a single rater: ``utterance``,
    ``rater`` and ``emotion``. A note gives the number of rows of other utterances.

    Raises:
        RequestError: A table cannot be read or lacks a column, no utterance is left, or it is
            not clear whether ``start`` and ``end`` cut the audio.
    """
    options = reader_options(dataset, ManifestOptions)
    _check_format(root)
    table = _read_table(root, progress)
    dimensions = tuple(dataset.dimensions)
    required: tuple[str, ...] = _REQUIRED
    if dimensions:  # their columns are required, but may have empty cells
        absent = (name for name in dimensions if name not in table.columns)
        required = (*_REQUIRED[:-1], *absent)
    rows, refused = _rows(root, table, required, options, dimensions)
    _check_segments(root, options, table, rows)
    if options.ratings is not None:
        refused += _add_ratings(root, options, rows, progress)
    try:
        return dataset_manifest(dataset, rows, refused)
    except RequestError as error:
        raise RequestError(f"{root}: {error}") from error


def is_table(path: Path) -> bool:
    """Return True if the name of a file is that of a manifest."""
    return path.suffix.lower() in _FORMATS


def read_unlabelled(root: Path, progress: Progress) -> tuple[list[Row], list[Refusal]]:
    """Read a table of recordings as `read_manifest` does, of which only ``audio`` is required.

    Where several utterances share an audio file, ``start`` and ``end`` cut them out.

    Returns:
        The rows, with ``utterance`` only where the table has it, and the refusals.

    Raises:
        RequestError: The table cannot be read or has no column ``audio``.
    """
    table = _read_table(root, progress)
    rows, refused = _rows(root, table, ("audio",), ManifestOptions())
    if _sharing(rows):
        rows, refused = _rows(root, table, ("audio",), ManifestOptions(segments=True))
    elif any(map(_has_times, rows)):
        progress.note(f"{root}: start and end are not used: each file is one utterance")
    return rows, refused


def _read_table(root: Path, progress: Progress) -> Table:
    written = _FORMATS[root.suffix.lower()](root)
    table = written.renamed(_SYNONYMS)
    _mention_names(written, table, progress)
    return table


def _add_ratings(
    root: Path, options: ManifestOptions, rows: Sequence[Row], progress: Progress
) -> list[Refusal]:
    """Add the labels of single raters to the rows of their utterances.

    Returns:
        The refused rows of the table of ratings.

    Raises:
        RequestError: The table is missing, cannot be read or lacks a column.
    """
    setting = f"dataset.options.ratings={options.ratings}"
    try:
        path = locate(root.parent, str(options.ratings), confined=options.confined)
    except (ValueError, OSError) as error:
        raise RequestError(f"{setting}: {error}") from error
    if not is_table(path):
        raise RequestError(f"{setting}: must be a file that ends in {', '.join(_FORMATS)}")
    table = _FORMATS[path.suffix.lower()](path)
    ratings, refused = ratings_in(table, (_SYNONYMS_OF_RATINGS, _rating))
    others = dict(ratings)
    for row in rows:
        row["ratings"] = others.pop(row["utterance"], [])
    if others:
        progress.note(
            f"{path}: {_total(others)} of {_total(ratings)} ratings are of utterances that "
            f"{root.name} does not have, such as '{next(iter(others))}'"
        )
    return refused


def _total(ratings: Ratings) -> int:
    return sum(map(len, ratings.values()))


def _rating(cells: Mapping[str, str]) -> tuple[str, str, str]:
    return cells["utterance"], cells["rater"], cells["emotion"]


def _rows(
    root: Path,
    table: Table,
    required: Sequence[str],
    options: ManifestOptions,
    dimensions: Sequence[str] = (),
) -> tuple[list[Row], list[Refusal]]:
    decimal = "." if table.delimiter == "," else ","
    read = partial(_row, root.parent, decimal, options, dimensions)
    rows, refused = table.rows(required, read)
    if "turn" not in table.columns:
        _number_turns(rows)
    return rows, refused


def _check_format(root: Path) -> None:
    if root.suffix.lower() in _FORMATS and root.is_file():
        return
    *most, last = _FORMATS
    expected = f"a manifest is a file that ends in {', '.join(most)} or {last}"
    tables = [file for file in sorted(root.glob("*")) if file.suffix.lower() in _FORMATS]
    hint = f", such as dataset.root={tables[0]}" if tables else ""
    raise RequestError(f"{root}: {expected}{hint}")


def _mention_names(written: Table, table: Table, progress: Progress) -> None:
    taken = [
        f"{name or 'the first column'} as {column}"
        for name, column in zip(written.columns, table.columns, strict=True)
        if name != column
    ]
    if taken:
        progress.note(f"{table.path}: reads {', '.join(taken)}")
    unused = [column for column in table.columns if column not in _COLUMNS]
    if unused:
        progress.note(f"{table.path}: columns not used: {', '.join(unused)}")


def _check_segments(root: Path, options: ManifestOptions, table: Table, rows: list[Row]) -> None:
    """Refuse to guess the meaning of start and end, and segments without them."""
    if options.segments and not {"start", "end"} & set(table.columns):
        raise RequestError(
            f"{root}: dataset.options.segments=true, but there is no column 'start' or 'end'"
        )
    if options.segments is None and (sharing := _sharing(rows)):
        raise RequestError(
            f"{root}: {len(sharing)} utterances, such as {sharing[0]['utterance']}, share "
            "audio files and state start and end. Cut them out with dataset.options."
            "segments=true, or say =false where these are only times in the dialogue"
        )


def _sharing(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with times whose audio file other rows have too."""
    uses = Counter(row["audio"] for row in rows)
    return [row for row in rows if uses[row["audio"]] > 1 and _has_times(row)]


def _has_times(row: Row) -> bool:
    return row.get("start") is not None or row.get("end") is not None


def _number_turns(rows: list[Row]) -> None:
    spoken: Counter[str] = Counter()
    for row in rows:
        dialogue = row.get("dialogue")
        if dialogue is not None:
            row["turn"] = spoken[dialogue]
            spoken[dialogue] += 1


def _row(
    folder: Path,
    decimal: str,
    options: ManifestOptions,
    dimensions: Sequence[str],
    cells: Mapping[str, str],
) -> Row:
    row = {
        column: _value(column, parse, _number_text(cells[column], decimal, parse))
        for column, parse in _COLUMNS.items()
        if column in cells and (column in dimensions or column not in DIMENSIONS)
    }
    if dimensions:
        row["emotion"] = row.get("emotion") or "none"
    row["audio"] = str(locate(folder, row["audio"], confined=options.confined))
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


def _number_text(text: str, decimal: str, parse: Callable[[str], Any]) -> str:
    """Replace the decimal comma in a number."""
    return text.replace(decimal, ".") if parse in (_seconds, _position, _number) else text


def _seconds(text: str) -> float:
    """Return a time or duration in seconds; the ValueErrors here name the expected value."""
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        days, hours, minutes, seconds = (float(part or 0) for part in duration.groups())
        return 86400 * days + 3600 * hours + 60 * minutes + seconds
    seconds = _float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError("a time in seconds")
    return seconds


def _number(text: str) -> float:
    number = _float(text)
    if not math.isfinite(number):
        raise ValueError("a number")
    return number


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


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
    "asr_transcript": str,
    **dict.fromkeys(DIMENSIONS, _number),
}
"""The columns that are read, and how."""

_SYNONYMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_COLUMNS, ()),
    "utterance": ("utterance_id", "utt", "utt_id", "id", "segment_id", "index", "Unnamed: 0", ""),
    "audio": ("path", "file", "filename", "filepath", "wav", "audio_path", "wav_path", "wav_file"),
    "start": ("start_time", "begin", "begin_time", "onset"),
    "end": ("end_time", "stop", "stop_time"),
    "speaker": ("speaker_id", "spk", "spkr", "spk_id", "actor", "actor_id", "subject"),
    "gender": ("sex", "speaker_gender"),
    "session": ("session_id",),
    "dialogue": ("dialog", "dialogue_id", "dialog_id", "conversation", "conversation_id"),
    "turn": ("turn_id", "turn_index"),
    "emotion": ("label", "emotion_label", "class", "emo", "category"),
    "split": ("partition", "subset"),
    "transcript": ("transcription", "text", "sentence"),
}
"""Column → other names that it is read by."""

_SYNONYMS_OF_RATINGS: dict[str, tuple[str, ...]] = {
    "utterance": (*_SYNONYMS["utterance"], "file", "filename"),
    "rater": ("rater_id", "annotator", "annotator_id", "worker", "worker_id", "listener"),
    "emotion": _SYNONYMS["emotion"],
}
"""Column of the ratings → other names that it is read by."""
