"""RAVDESS (Livingstone & Russo 2018): acted English speech of 24 actors; its songs are left out."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_SONG = "02"
_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
_TEXTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
_NAMES = NamePattern(
    r"03-(?P<channel>0[12])-(?P<emotion>0[1-8])-0[12]-(?P<transcript>0[12])-0[12]"
    r"-(?P<speaker>(?P<gender>0[1-9]|1\d|2[0-4]))",
    parts="seven numbers, such as 03-01-06-01-02-01-12",
    layout="Actor_01/03-01-01-01-01-01-01.wav and so on",
    values={
        "speaker": "Actor_{}".format,
        "gender": lambda actor: "male" if int(actor) % 2 else "female",
        "emotion": _EMOTIONS.get,
        "transcript": _TEXTS.get,
    },
)


@READERS.register("ravdess")
def read_ravdess(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``Actor_12/03-01-06-01-02-01-12.wav``.

    The parts are modality (03: audio only), channel (01 speech, 02 song), emotion, intensity,
    statement, repetition and actor; odd actors are male. Songs are refused. So are the files
    of a second copy: common downloads hold all actors once more in a folder of their own.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return _NAMES.read(dataset, root, _row)


def _row(file: Path) -> Row:
    if re.fullmatch(r"0[12](-\d\d){6}", file.stem, re.ASCII):
        raise ValueError(
            f"is taken from a video (modality {file.stem[:2]}); only 03, audio alone, is used"
        )
    if _NAMES.match(file)["channel"] == _SONG:
        raise ValueError("is sung, not spoken")
    return _NAMES.row(file)
