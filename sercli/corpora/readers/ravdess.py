"""RAVDESS (Livingstone & Russo 2018): acted English speech of 24 actors; its songs are left out."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_NAME = re.compile(
    r"03-(?P<channel>0[12])-(?P<emotion>0[1-8])-0[12]-(?P<text>0[12])-0[12]"
    r"-(?P<actor>0[1-9]|1\d|2[0-4])",
    re.ASCII,
)
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


@READERS.register("ravdess")
def read_ravdess(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files, such as ``Actor_12/03-01-06-01-02-01-12.wav``.

    The parts are modality (03: audio only), channel (01 speech, 02 song), emotion, intensity,
    statement, repetition and actor; odd actors are male. Songs are refused. So are the files
    of a second copy: common downloads hold all actors once more in a folder of their own.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return manifest_of_names(dataset, root, _row, "Actor_01/03-01-01-01-01-01-01.wav and so on")


def _row(place: Path) -> Row:
    name = _NAME.fullmatch(place.stem)
    if name is None:
        raise ValueError("is not named by seven numbers, such as 03-01-06-01-02-01-12")
    if name["channel"] == _SONG:
        raise ValueError("is sung, not spoken")
    return {
        "utterance": place.stem,
        "speaker": f"Actor_{name['actor']}",
        "gender": "male" if int(name["actor"]) % 2 else "female",
        "emotion": _EMOTIONS[name["emotion"]],
        "transcript": _TEXTS[name["text"]],
    }
