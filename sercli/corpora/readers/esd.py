"""ESD (Zhou et al. 2022): 350 sentences in five emotions by 20 speakers, Mandarin and English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.readers import READERS, NoOptions, dataset_manifest, reader_options
from sercli.corpora.readers.name_pattern import NamePattern, read_names
from sercli.corpora.tables import read_text
from sercli.progress import Progress

_EMOTIONS = ("Angry", "Happy", "Neutral", "Sad", "Surprise")
_SPLITS = {"train": "train", "evaluation": "dev", "test": "test"}
_GENDERS = {
    **{f"{speaker:04}": "male" for speaker in (4, 5, 6, 8, 10, 11, 12, 13, 14, 20)},
    **{f"{speaker:04}": "female" for speaker in (1, 2, 3, 7, 9, 15, 16, 17, 18, 19)},
}
_MANDARIN = frozenset(f"{speaker:04}" for speaker in range(1, 11))
_NAMES = NamePattern(
    r"(?P<speaker>(?P<gender>\d{4}))_\d{6}",
    parts="speaker_number, such as 0001_000351",
    layout="0001/Angry/train/0001_000351.wav and so on for every speaker, emotion and split",
    values={"gender": _GENDERS.get},
)
# Utterance, text, emotion; now and then a blank stands where the second tab should.
_LINE = re.compile(
    rf"(?P<utterance>{_NAMES.regex})\s+(?P<text>[^\t]*?)"
    rf"(?:\s+(?:{'|'.join(_EMOTIONS)}))?\s*(?:\t.*)?"
)


@READERS.register("esd")
def read_esd(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read folders and names of the audio, and the transcript of each speaker (``0001.txt``).

    The emotion is that of the folder, also in copies without the folders of the official split
    (``0001/Angry/0001_000351.wav``). That split is not speaker-disjoint: all 20 speakers are in
    train, dev ("evaluation") and test. Genders are those of the corpus' own description.

    Transcripts are in GB 2312, UTF-16, UTF-8 or Latin-1, one file per speaker. A line that does
    not parse, or whose utterance has no audio, is refused; audio without a line is kept.

    Raises:
        RequestError: No file has such a name in such a folder.
    """
    reader_options(dataset, NoOptions)
    rows, refused = read_names(root, _row, _NAMES.layout)
    by_name = {row["utterance"]: row for row in rows}
    for file in _transcripts(root).values():
        refused.extend(_add_transcript(by_name, file, root))
    return dataset_manifest(dataset, rows, refused)


def _row(file: Path) -> Row:
    row = _NAMES.row(file)
    split = _SPLITS.get(file.parent.name)
    folder = file.parent.parent if split else file.parent
    if folder.name not in _EMOTIONS:
        raise ValueError(f"is in none of the folders {', '.join(_EMOTIONS)}")
    return row | {"emotion": folder.name, "split": split}


def _transcripts(root: Path) -> dict[str, Path]:
    """Find the transcript of each speaker; the first one if a corpus was unpacked twice."""
    found: dict[str, Path] = {}
    for file in sorted(root.glob(f"**/{'[0-9]' * 4}.txt")):
        found.setdefault(file.stem, file)
    return found


def _add_transcript(rows: dict[str, Row], file: Path, root: Path) -> Iterator[Refusal]:
    """Add the texts of one speaker to the rows; yield the lines that belong to no row."""
    place = file.relative_to(root).as_posix()
    try:
        text = read_text(file, legacy="gb18030" if file.stem in _MANDARIN else "cp1252")
    except OSError as error:
        yield Refusal(place, f"cannot be read ({error.strerror})")
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            reason = _add_line(rows, line.strip())
            if reason:
                yield Refusal(f"{place}:{number}", reason)


def _add_line(rows: dict[str, Row], line: str) -> str | None:
    """Add the text of a line to its row; return the reason if that is impossible."""
    found = _LINE.fullmatch(line)
    if found is None:
        return "is not a transcript line"
    utterance = found["utterance"]
    if utterance not in rows:
        return f"{utterance} has no audio"
    if "transcript" in rows[utterance]:
        return f"{utterance} already has a text"
    rows[utterance]["transcript"] = found["text"]
    return None
