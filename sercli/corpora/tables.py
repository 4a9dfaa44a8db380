"""Read text files and tables; a bad line is refused by itself.

Every table cell is text without surrounding spaces: " F01" and "F01" must not become two speakers.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sercli.corpora.manifest import Refusal, Row
from sercli.errors import RequestError, nearest

ToRow = Callable[[Mapping[str, str]], Row]
Parse = Callable[[Iterable[str]], Any]  # csv.reader with its dialect; the csv module hides its type

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark → codec."""

_WINDOWS = {code: bytes([code]).decode("cp1252", errors="replace") for code in range(0x80, 0xA0)}
"""Control code of Latin-1, which no text holds → letter of cp1252: “, ”, ’, – …"""


@dataclass(frozen=True)
class Record:
    """One row of a table.

    Attributes:
        place: File and line: "name.csv:12", counted from 1 (Parquet: the row).
        cells: Column → text, empty where there is no value.
    """

    place: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """Columns and rows of a table, and the lines that are refused."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    refused: tuple[Refusal, ...] = ()

    def rows(self, required: Sequence[str], to_row: ToRow) -> tuple[list[Row], list[Refusal]]:
        """Turn the records into rows of a manifest.

        Args:
            required: Columns that the table must have, without empty table cells.
            to_row: Function from the texts of a record to its row. A ValueError or an OSError
                that it raises is a refusal.

        Returns:
            The rows, and the refusals of this table. Of two records of the same utterance the
            first one counts.

        Raises:
            RequestError: A column is missing; the message names the nearest one.
        """
        for column in required:
            if column not in self.columns:
                raise RequestError(
                    f"{self.path}: has no column '{column}'.{nearest(column, self.columns)}"
                )
        rows: list[Row] = []
        places: dict[str, str] = {}
        refused = list(self.refused)
        for record in self.records:
            try:
                _check_filled(record.cells, required)
                row = to_row(record.cells)
                first = places.setdefault(row.get("utterance", record.place), record.place)
                if first != record.place:
                    raise ValueError(f"{row['utterance']} is already listed in {first}")
                rows.append(row)
            except (ValueError, OSError) as error:
                refused.append(Refusal(record.place, str(error)))
        return rows, refused


def read_text(path: Path, legacy: str = "cp1252") -> str:
    r"""Read text in UTF-8, in UTF-16 with a byte order mark, or in a legacy encoding.

    Without a mark, each line that is not UTF-8 is decoded by itself in the legacy encoding, as
    several editors may have written one file. Every line ends in "\n".

    Args:
        path: The file.
        legacy: An encoding in which no letter has a byte 0x0A; the default also reads Latin-1.

    Raises:
        OSError: The file cannot be read.
    """
    text = _decode(path.read_bytes(), legacy)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def restore_windows_letters(text: str) -> str:
    r"""Restore letters of cp1252 that were decoded as Latin-1.

    >>> restore_windows_letters("That\x92s all")
    'That’s all'
    """
    return text.translate(_WINDOWS)


def read_delimited(path: Path, delimiter: str = ",", *, quoted: bool = True) -> Table:
    """Read a table of delimited text in any encoding of `read_text`.

    Args:
        path: The file.
        delimiter: Separator of two cells.
        quoted: True if quotation marks enclose a cell; False if they are part of the text.

    Returns:
        The table. A line with another number of cells than the header is refused.

    Raises:
        RequestError: The file cannot be read, or has no header.
    """
    parse = partial(
        csv.reader,
        delimiter=delimiter,
        skipinitialspace=True,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    lines = io.StringIO(_read(path), newline="").readlines()
    header, height = _first_record(lines, 0, parse) if lines else ([], 0)
    columns = tuple(cell.strip() for cell in header)
    if not any(columns):
        raise RequestError(f"{path}: has no header line")

    records, refused = [], []
    for line, cells in _records(lines, height, parse, len(columns)):
        place = f"{path.name}:{line}"
        if len(cells) == len(columns):
            records.append(Record(place, dict(zip(columns, cells, strict=True))))
        else:
            reason = f"the line has {len(cells)} values, the header {len(columns)}"
            refused.append(Refusal(place, reason))
    return Table(path, columns, tuple(records), tuple(refused))


def read_parquet(path: Path) -> Table:
    """Read a Parquet table, every cell as text.

    Raises:
        RequestError: The file cannot be read as Parquet.
    """
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        reason = str(error).splitlines()[0]
        raise RequestError(f"{path}: cannot be read as Parquet ({reason})") from error
    texts = frame.astype("str").fillna("")
    columns = tuple(str(column) for column in texts.columns)
    rows = texts.itertuples(index=False, name=None)
    records = tuple(
        Record(f"{path.name}:{row}", dict(zip(columns, map(str.strip, cells), strict=True)))
        for row, cells in enumerate(rows, start=1)
    )
    return Table(path, columns, records)


def _check_filled(cells: Mapping[str, str], required: Iterable[str]) -> None:
    for column in required:
        if not cells[column]:
            raise ValueError(f"has no {column}")


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror})") from error


def _records(
    lines: Sequence[str], at: int, parse: Parse, width: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each record that is not blank.

    A quotation mark that is never closed joins many lines into one record of the wrong width.
    Only the first of these lines is skipped.
    """
    while at < len(lines):
        cells, height = _first_record(lines, at, parse)
        if any(cells):
            yield at + 1, cells
        at += height if len(cells) == width else 1


def _first_record(lines: Sequence[str], at: int, parse: Parse) -> tuple[list[str], int]:
    """Return the cells of the record that begins at line ``at``, and its number of lines."""
    reader = parse(lines[i] for i in range(at, len(lines)))
    try:
        return [cell.strip() for cell in next(reader)], reader.line_num
    except csv.Error:  # a cell beyond the limit of the csv module: an open quotation mark
        return [lines[at].strip()], 1


def _decode(content: bytes, legacy: str) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(_decode_line(line, legacy) for line in content.split(b"\n"))


def _decode_line(line: bytes, legacy: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(legacy, errors="replace")
