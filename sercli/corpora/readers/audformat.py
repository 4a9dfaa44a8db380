"""Databases in audformat, the format of audb.

On disk: a header ``db.yaml``, tables ``db.<table>.csv`` or ``.parquet``, and the audio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import filter as matching
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import find_audio, find_place, locate, wrong_root
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.readers import READERS, dataset_manifest, reader_options
from sercli.corpora.readers.audformat_labels import (
    Labels,
    Segment,
    label_names,
    one_label,
    read_labels,
    read_splits,
)
from sercli.corpora.tables import read_delimited, read_parquet
from sercli.errors import RequestError, nearest
from sercli.progress import Progress
from sercli.untrusted import read_yaml
from sercli.validation import StrictModel

if TYPE_CHECKING:
    from audformat import Database

_LAYOUT = "db.yaml, db.<table>.csv or .parquet, and the audio of an audformat database"
_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_GENDERS = frozenset({"female", "male"})


class AudformatOptions(StrictModel):
    """Options of an audformat database: its names for the columns of the manifest.

    Each is the name of a column or scheme, or of a property of a scheme's labels. Only emotion
    and speaker are required.

    Attributes:
        emotion: Emotions. Every file or segment that such a column lists is an utterance.
        speaker: Speakers.
        gender: Genders of the speakers.
        session: Sessions.
        transcript: Transcripts.
        tables: Tables with the emotions, as a pattern ("*.gold_standard").
        confined: True: audio outside of the database's folder is refused.
    """

    emotion: str = "emotion"
    speaker: str = "speaker"
    gender: str = "gender"
    session: str = "session"
    transcript: str = "transcription"
    tables: str = "*"
    confined: bool = False


@READERS.register("audformat")
def read_audformat(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the emotions of all tables, and speaker, gender, session and transcript of each.

    An utterance is a file, or a segment of one. Its split is the type of the table that lists
    its emotion. Values that the header does not declare become missing ones in the package
    audformat. Dialogues are not read, as the format has no term for a turn.

    Raises:
        RequestError: ``root`` holds no such database, a table cannot be read, emotions or
            speakers are missing, or no utterance is left.
    """
    options = reader_options(dataset, AudformatOptions)
    header = find_place(root, "db.yaml")
    if header is None:
        raise wrong_root(root, "has no db.yaml", _LAYOUT)
    root = header.parent
    database = _load(root)
    tables = _tables(database, options.tables)
    emotions = read_labels(database, options.emotion, tables)
    speakers = read_labels(database, options.speaker)
    _check_there("emotion", options.emotion, emotions, database, root)
    _check_there("speaker", options.speaker, speakers, database, root)
    columns = {
        "emotion": emotions,
        "speaker": speakers,
        "gender": read_labels(database, options.gender),
        "session": read_labels(database, options.session),
        "transcript": read_labels(database, options.transcript),
        "split": read_splits(database, options.emotion, tables),
    }
    rows, refused = _rows(root, columns, confined=options.confined)
    refused += _unlisted(root, database)
    return dataset_manifest(dataset, rows, refused)


def _load(root: Path) -> Database:
    """Load header and tables without running code that they may hold.

    The package itself would load the header with a YAML loader that builds any Python object, and
    a table from its ``.pkl`` if there is one.
    """
    import audformat

    path = root / "db.yaml"
    try:
        header = read_yaml(path)
        database = audformat.Database.load_header_from_yaml(header)
    except Exception as error:  # the package raises errors of many types
        raise RequestError(
            f"{path}: is not the header of a database ({_first_line(error)})"
        ) from error
    with _without_pickles(root) as folder:
        for table in (*database.misc_tables, *database.tables):
            _check_table(root, table)
            try:
                database[table].load(str(folder / f"db.{table}"))
            except Exception as error:
                reason = f"cannot be read ({_first_line(error)}); expected {_LAYOUT}"
                raise RequestError(f"{root}: the table db.{table} {reason}") from error
    return database


def _check_table(root: Path, table: str) -> None:
    """Check that a table is there in a form that is read, and that its times are durations."""
    if Path(table).name != table:  # it would lead out of the folder, or to a pickle in another
        raise RequestError(f"{root}: '{table}' in db.yaml is no name of a table")
    files = [root / f"db.{table}{suffix}" for suffix in (".parquet", ".csv", ".pkl")]
    *readable, pickled = files
    there = next((file for file in readable if file.is_file()), None)
    if there is not None:
        _check_times(there)
    elif pickled.is_file():
        raise RequestError(
            f"{pickled.name}: is a pickle, which can run code and is not read; save the database "
            "with audformat.Database.save(root, storage_format='csv')"
        )
    else:
        raise RequestError(f"{root}: has no db.{table}.csv or db.{table}.parquet")


def _check_times(file: Path) -> None:
    """Refuse start and end that are bare numbers: they would be read as nanoseconds."""
    read = read_parquet if file.suffix == ".parquet" else read_delimited
    for record in read(file).records:
        for column in ("start", "end"):
            if _NUMBER.fullmatch(record.cells.get(column, "")):
                raise RequestError(
                    f"{file.parent / record.place}: {column} '{record.cells[column]}' is a number; "
                    "audformat writes times as durations, such as 0 days 00:00:01.5. Convert "
                    f"seconds with pandas.to_timedelta(table['{column}'], unit='s')"
                )


@contextmanager
def _without_pickles(root: Path) -> Iterator[Path]:
    """Yield a folder of links to the tables that are not pickled."""
    with TemporaryDirectory() as folder:
        for table in root.glob("db.*"):
            if table.suffix in {".csv", ".parquet"} and table.is_file():
                (Path(folder) / table.name).symlink_to(table)
        yield Path(folder)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _tables(database: Database, pattern: str) -> list[str]:
    tables = matching(database.tables, pattern)
    if not tables:
        known = nearest(pattern, database.tables)
        raise RequestError(
            f"dataset.options.tables={pattern} matches no table of the database.{known}"
        )
    return tables


def _check_there(what: str, name: str, labels: Labels, database: Database, root: Path) -> None:
    if not labels:
        raise RequestError(
            f"{root}: the database has no '{name}'.{nearest(name, label_names(database))} "
            f"Set its name of the {what}s with dataset.options.{what}=NAME"
        )


def _rows(
    root: Path, columns: dict[str, Labels], *, confined: bool
) -> tuple[list[Row], list[Refusal]]:
    rows: list[Row] = []
    refused: list[Refusal] = []
    for segment in columns["emotion"]:
        try:
            rows.append(_row(root, segment, columns, confined=confined))
        except ValueError as error:
            refused.append(Refusal(segment.name, str(error)))
    return rows, refused


def _row(root: Path, segment: Segment, columns: dict[str, Labels], *, confined: bool) -> Row:
    audio = locate(root, segment.file, confined=confined)
    if segment.end is not None and segment.end <= segment.start:
        raise ValueError(f"its end, {segment.end:g} s, is not after its start")
    row: Row = {name: one_label(labels, segment) for name, labels in columns.items()}
    for name in ("emotion", "speaker"):
        if row[name] is None:
            raise ValueError(f"has no {name}")
    if row["gender"] not in _GENDERS:
        row["gender"] = None
    if not segment.is_file:
        row |= {"audio_start": segment.start, "audio_end": segment.end}
    return row | {"utterance": segment.name, "audio": str(audio)}


def _unlisted(root: Path, database: Database) -> list[Refusal]:
    """Return a refusal for every audio file that no table of the database lists."""
    refused: list[Refusal] = []
    listed = {root / file.replace("\\", "/") for file in database.files}
    for file in find_audio(root, refused):
        if file not in listed:
            reason = "has no label: no table of the database lists it"
            refused.append(Refusal(file.relative_to(root).as_posix(), reason))
    return refused
