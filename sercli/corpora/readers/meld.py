"""MELD (Poria et al. 2019): dialogues of several speakers from the series Friends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import AudioIndex, find_place, wrong_root
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.readers import READERS, NoOptions, dataset_manifest, reader_options
from sercli.corpora.tables import read_delimited, restore_windows_letters
from sercli.progress import Progress

_FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
"""Official split → folder of its media in the corpus; re-uploads also name it after the split."""

_REQUIRED = (
    *("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime"),
)
_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:[.,]\d+)?)", re.ASCII)


@READERS.register("meld")
def read_meld(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read ``train_sent_emo.csv``, ``dev_…`` and ``test_…``, and find the audio of each row.

    The corpus holds videos. The audio of ``train_splits/dia0_utt0.mp4`` is expected beside it,
    as ``dia0_utt0.wav``. Each split numbers its dialogues from 0; ids therefore begin with the
    split. Start and end are times in the episode. A few clips are minutes longer than stated;
    they are not cut. The speakers of the series are in all three splits.

    Raises:
        RequestError: No table exists, one lacks a column, or no row has its audio.
    """
    reader_options(dataset, NoOptions)
    tables = {split: find_place(root, f"{split}_sent_emo.csv") for split in _FOLDERS}
    if not any(tables.values()):
        layout = f"the three tables and the folders {', '.join(_FOLDERS.values())}"
        raise wrong_root(root, "has no train_sent_emo.csv", layout)
    audio = AudioIndex(root, _audio_name)
    rows: list[Row] = []
    refused: list[Refusal] = []
    for split, table in tables.items():
        found, mistakes = _read_split(split, table, audio)
        rows += found
        refused += mistakes
    refused += audio.refused + audio.without_label()
    return dataset_manifest(dataset, rows, refused)


def _audio_name(place: Path) -> str:
    """Return the id of the utterance in a file: the split of its folder, and its name."""
    splits = (split for split, folder in _FOLDERS.items() if {folder, split} & {*place.parts})
    return "_".join((*splits, place.stem))


def _read_split(
    split: str, table: Path | None, audio: AudioIndex
) -> tuple[list[Row], list[Refusal]]:
    if table is None:
        return [], [Refusal(f"{split}_sent_emo.csv", f"is missing, and with it the {split} split")]
    return read_delimited(table).rows(_REQUIRED, partial(_row, split, audio))


def _row(split: str, audio: AudioIndex, cells: Mapping[str, str]) -> Row:
    dialogue, turn = _number("Dialogue_ID", cells), _number("Utterance_ID", cells)
    utterance = f"{split}_dia{dialogue}_utt{turn}"
    return {
        "utterance": utterance,
        "start": _seconds("StartTime", cells),
        "end": _seconds("EndTime", cells),
        "speaker": restore_windows_letters(cells["Speaker"]),
        "dialogue": f"{split}_dia{dialogue}",
        "turn": turn,
        "emotion": cells["Emotion"],
        "split": split,
        "improvised": False,
        "transcript": restore_windows_letters(cells["Utterance"]),
        "audio": str(_take(audio, utterance)),
    }


def _take(audio: AudioIndex, utterance: str) -> Path:
    file = audio.take(utterance)
    if file is not None:
        return file
    split, _, name = utterance.partition("_")
    raise ValueError(
        f"{_FOLDERS[split]}/{name}.wav is missing; extract it from the video with "
        f"`ffmpeg -i {name}.mp4 -ac 1 -ar 16000 {name}.wav`"
    )


def _number(column: str, cells: Mapping[str, str]) -> int:
    if not (cells[column].isascii() and cells[column].isdecimal()):
        raise ValueError(f"{column} '{cells[column]}' is not a whole number")
    return int(cells[column])


def _seconds(column: str, cells: Mapping[str, str]) -> float:
    time = _TIME.fullmatch(cells[column])
    if time is None:
        raise ValueError(f"{column} '{cells[column]}' is not a time such as 00:16:16,059")
    hours, minutes, seconds = (float(part.replace(",", ".")) for part in time.groups())
    return 3600 * hours + 60 * minutes + seconds
