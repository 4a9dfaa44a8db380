"""Read text files and tables; a bad line is refused by itself.

Every table cell is text without surrounding spaces: " F01" and "F01" must not become two speakers.
Separators, encodings and the case of column names are those that spreadsheets and pandas write.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercli.corpora.manifest import Refusal, Row
from sercli.errors import RequestError, counted, nearest
from sercli.untrusted import read_parquet as read_frame

ToRow = Callable[[Mapping[str, str]], Row]
Parse = Callable[[Iterable[str]], Any]  # csv.reader with its dialect; the csv module hides its type

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark → codec."""

_DELIMITERS = (",", ";", "\t", "|")
"""Separators of cells that are told by the header; of equally good ones the first."""

_INDEX = frozenset({"", "index", "unnamed:0"})
"""Plain names of an index in tables that pandas wrote: synonyms only where there is no other."""

_EXCEL_HINT = re.compile(r"sep=(.)\s*", re.DOTALL)
"""First line of some tables of Excel: the separator."""

_TOLD = 16
"""First bytes by which UTF-16 without a byte order mark is told (our choice)."""

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
    """Columns and rows of a table, and the lines that are refused.

    Attributes:
        path: The file.
        columns: Names of the columns, as in the file.
        records: The rows.
        refused: Lines that are no rows.
        delimiter: Separator of two cells; of Parquet, which has none, a comma.
    """

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    refused: tuple[Refusal, ...] = ()
    delimiter: str = ","

    def renamed(self, wanted: Mapping[str, Sequence[str]]) -> Table:
        """Return the table with the column names that a reader uses.

        A column that has exactly the wanted name comes first, then one that differs in case,
        blanks, hyphens or underscores, then a synonym.

        Args:
            wanted: Name of a column → its synonyms.

        Raises:
            RequestError: A wanted column is in the table twice, or several columns may be it.
        """
        names: dict[str, str] = {}
        for column, synonyms in wanted.items():
            found = self._find(column, synonyms)
            if found is not None:
                names.setdefault(found, column)
        if all(found == column for found, column in names.items()):
            return self
        records = tuple(
            replace(record, cells={names.get(name, name): c for name, c in record.cells.items()})
            for record in self.records
        )
        columns = tuple(names.get(name, name) for name in self.columns)
        return replace(self, columns=columns, records=records)

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
        table = self.renamed(dict.fromkeys(required, ()))
        for column in required:
            if column not in table.columns:
                raise RequestError(
                    f"{self.path}: has no column '{column}'.{nearest(column, self.columns)}"
                )
        rows: list[Row] = []
        places: dict[str, str] = {}
        refused = list(self.refused)
        for record in table.records:
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

    def _find(self, column: str, synonyms: Sequence[str]) -> str | None:
        """Return the name in the file of a wanted column; None if it is missing."""
        alike = [name for name in self.columns if _plain(name) == _plain(column)]
        exact = [name for name in alike if name == column]
        plain = {_plain(synonym) for synonym in synonyms}
        named = [name for name in self.columns if _plain(name) in plain - _INDEX]
        index = [name for name in self.columns if _plain(name) in plain & _INDEX]
        found = exact or alike or named or index
        if len(found) > 1:
            shown = " and ".join(f"'{name}'" for name in found)
            raise RequestError(
                f"{self.path}: {shown} may each be the column '{column}'; "
                f"give that name to one of them only"
            )
        return found[0] if found else None


def read_text(path: Path, legacy: str = "cp1252") -> str:
    r"""Read text in UTF-8, UTF-16 or a legacy encoding.

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


def read_delimited(path: Path, delimiter: str | None = None, *, quoted: bool = True) -> Table:
    """Read a table of delimited text in any encoding of `read_text`.

    Args:
        path: The file.
        delimiter: Separator of two cells; default: the one of comma, semicolon, tab and ``|``
            that gives the header the most columns.
        quoted: True if quotation marks enclose a cell; False if they are part of the text.

    Returns:
        The table. A line with another number of cells than the header is refused.

    Raises:
        RequestError: The file cannot be read, or has no header.
    """
    lines = io.StringIO(_read(path), newline="").readlines()
    top = _blank_lines(lines)
    hint = _EXCEL_HINT.fullmatch(lines[top]) if top < len(lines) else None
    if hint is not None:
        delimiter, top = delimiter or hint[1], top + 1
    chosen, columns, height = _read_header(lines, top, delimiter, quoted)
    if not any(columns):
        raise RequestError(f"{path}: has no header line")

    records, refused = [], []
    parse = _parser(chosen, quoted)
    for line, cells in _records(lines, top + height, parse, len(columns)):
        place = f"{path.name}:{line}"
        if len(cells) == len(columns):
            records.append(Record(place, dict(zip(columns, cells, strict=True))))
        else:
            reason = f"the line has {counted(len(cells), 'value')}, the header {len(columns)}"
            refused.append(Refusal(place, reason))
    return Table(path, columns, tuple(records), tuple(refused), chosen)


def read_parquet(path: Path) -> Table:
    """Read a Parquet table, every cell as text; the index of a data frame is a column too.

    Raises:
        RequestError: The file cannot be read as Parquet, or holds bytes such as audio.
    """
    try:
        frame = read_frame(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        reason = str(error).splitlines()[0]
        raise RequestError(f"{path}: cannot be read as Parquet ({reason})") from error
    frame = _with_index(frame)
    texts = pd.DataFrame({str(name): _texts(path, frame[name]) for name in frame.columns})
    columns = tuple(texts.columns)
    rows = texts.itertuples(index=False, name=None)
    records = tuple(
        Record(f"{path.name}:{row}", dict(zip(columns, map(str.strip, cells), strict=True)))
        for row, cells in enumerate(rows, start=1)
    )
    return Table(path, columns, records)


def _plain(name: str) -> str:
    """Return the name of a column without case, blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name.casefold())


def _blank_lines(lines: Sequence[str]) -> int:
    """Count the blank lines at the top."""
    return next((i for i, line in enumerate(lines) if line.strip()), len(lines))


def _parser(delimiter: str, quoted: bool) -> Parse:
    return partial(
        csv.reader,
        delimiter=delimiter,
        skipinitialspace=True,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )


def _read_header(
    lines: Sequence[str], top: int, delimiter: str | None, quoted: bool
) -> tuple[str, tuple[str, ...], int]:
    """Return the separator, the names of the columns, and the number of lines of the header."""
    read = []
    for each in (delimiter,) if delimiter else _DELIMITERS:
        cells, height = _first_record(lines, top, _parser(each, quoted)) if lines[top:] else ([], 0)
        read.append((each, tuple(cells), height))
    return max(read, key=lambda header: sum(map(bool, header[1])))


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the index of a data frame columns, unless it only counts the rows."""
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        return frame
    names = ["index" if name is None else name for name in frame.index.names]
    return frame.reset_index(
        drop=bool(set(names) & set(frame.columns)) or len(set(names)) < len(names), names=names
    )


def _texts(path: Path, values: pd.Series[Any]) -> pd.Series[Any]:
    """Return the cells of a Parquet column as text, empty where there is no value."""
    some = next(iter(values.dropna()), None)
    if isinstance(some, dict) and not some.get("bytes") and "path" in some:
        values = values.map(lambda cell: cell["path"], na_action="ignore")
    elif isinstance(some, bytes | dict | list | np.ndarray):
        raise RequestError(
            f"{path}: the column '{values.name}' holds audio or other data inside the table, not "
            "text; save each clip as a file and give its path, or drop the column"
        )
    if pd.api.types.is_float_dtype(values.dtype):
        # A column of whole numbers with gaps is one of floats in pandas.
        known = values.dropna()
        if bool((known % 1 == 0).all()) and bool((known.abs() < 2**53).all()):
            values = values.astype("Int64")
    return values.astype("str").fillna("")


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
    for first, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):
        # Without a mark, UTF-16 is known by the zero in every letter of Latin.
        if len(content) >= _TOLD and not any(content[first:_TOLD:2]):
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
