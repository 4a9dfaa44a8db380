"""Read corpora whose labels are in the names of the audio files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import find_audio, wrong_root
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.readers import NoOptions, dataset_manifest, reader_options
from sercli.corpora.validate import COLUMNS
from sercli.errors import counted

ToRow = Callable[[Path], Row]


@dataclass(frozen=True)
class NamePattern:
    r"""Pattern of file names that state speaker, emotion and more.

    >>> names = NamePattern(
    ...     r"(?P<speaker>(?P<gender>[FM])\d\d)(?P<emotion>[AFHNSW])\d+",
    ...     parts="speaker, emotion, number, such as M01A01",
    ...     layout="male/M01A01.wav and so on",
    ...     values={"gender": {"F": "female", "M": "male"}.get},
    ... )
    >>> names.row(Path("male/M01A01.wav"))
    {'utterance': 'M01A01', 'speaker': 'M01', 'gender': 'male', 'emotion': 'A'}

    Attributes:
        regex: Regular expression (ASCII) of a whole name without suffix. A group that is named
            after a column of the manifest gives the value of that column.
        parts: Parts of a name and an example, for messages.
        layout: Paths of the files, for messages.
        values: Column → conversion of the group's text into the value; None: unknown.
        emotion_folders: Folders named after emotions. A file in the folder of another emotion than
            its own is refused; other folders are ignored, as some copies of a corpus are flat.
    """

    regex: str
    parts: str
    layout: str
    values: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    emotion_folders: Collection[str] = ()

    def read(
        self,
        dataset: DatasetConfig,
        root: Path,
        to_row: ToRow | None = None,
        refused: Iterable[Refusal] = (),
    ) -> Manifest:
        """Read a corpus whose reader has no options.

        Args:
            dataset: Configuration of the corpus.
            root: Folder of the audio.
            to_row: As in `read_names`; `row` by default.
            refused: Refusals of other files of the corpus.

        Raises:
            RequestError: An option is set, or no file can be used.
        """
        reader_options(dataset, NoOptions)
        rows, unnamed = read_names(root, to_row or self.row, self.layout)
        return dataset_manifest(dataset, rows, (*refused, *unnamed))

    def row(self, file: Path) -> Row:
        """Return the row of a file, with its name as the utterance.

        Raises:
            ValueError: The name does not match, or the file lies in the folder of another emotion.
        """
        row: Row = {"utterance": file.stem}
        for column, text in self.match(file).groupdict().items():
            if column in COLUMNS:
                row[column] = None if text is None else self.values.get(column, str)(text)
        self._check_folder(file.parent.name, row)
        return row

    def match(self, file: Path) -> re.Match[str]:
        """Match the name of a file.

        Raises:
            ValueError: The name does not match.
        """
        name = re.fullmatch(self.regex, file.stem, re.ASCII)
        if name is None:
            raise ValueError(f"the name does not match {self.parts}")
        return name

    def _check_folder(self, folder: str, row: Row) -> None:
        emotions = {each.casefold() for each in self.emotion_folders}
        if folder.casefold() in emotions - {str(row.get("emotion")).casefold()}:
            raise ValueError(f"is in the folder {folder}, but its name says {row['emotion']}")


def read_names(root: Path, to_row: ToRow, layout: str) -> tuple[list[Row], list[Refusal]]:
    """Make a row of a manifest from the name of every audio file below ``root``.

    Of two files of the same utterance, as in a corpus unpacked twice, the first one counts.

    Args:
        root: Folder of the corpus.
        to_row: Function from the path, relative to ``root``, to the row without its audio. It
            raises a ValueError that names the mistake; an OSError is a refusal too.
        layout: Paths of the files ("wav/03a01Fa.wav and so on"), for the message.

    Returns:
        The rows in the order of the paths, and the refusals.

    Raises:
        RequestError: No file can be used: ``root`` does not hold this corpus.
    """
    refused: list[Refusal] = []
    rows: dict[str, Row] = {}
    for file in find_audio(root, refused):
        place = file.relative_to(root)
        try:
            row = to_row(place)
            first = rows.setdefault(row["utterance"], row | {"audio": str(file)})
            if first["audio"] != str(file):
                seen = Path(first["audio"]).relative_to(root).as_posix()
                raise ValueError(f"{row['utterance']} is already read from {seen}")
        except ValueError as error:
            refused.append(Refusal(place.as_posix(), str(error)))
        except OSError as error:
            refused.append(Refusal(place.as_posix(), f"cannot be read ({error.strerror})"))
    if not rows:
        raise wrong_root(root, _no_match(refused), layout)
    return list(rows.values()), refused


def _no_match(refused: list[Refusal]) -> str:
    if not refused:
        return "no audio file is there"
    first = refused[0]
    files = counted(len(refused), "file")
    return f"no match in {files}, the first one {first.file}: {first.reason}"
