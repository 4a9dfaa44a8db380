"""URDU (Latif et al. 2018): 400 utterances from Urdu talk shows, 29 speakers, four emotions."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import check_folder, manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_LAYOUT = "Angry/SM1_F1_A01.wav and so on for Happy, Neutral and Sad"
_NAME = re.compile(r"(?P<speaker>S(?P<gender>[FM])\d+)_F\d+_(?P<emotion>[AHNS])\d+", re.ASCII)
_GENDERS = {"F": "female", "M": "male"}
_EMOTIONS = {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"}


@READERS.register("urdu")
def read_urdu(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files: speaker, file and emotion, such as ``SM1_F1_A01.wav``.

    The emotions are named as the folders are. The speakers are 29, although the corpus' own
    description counts 38.

    26 of the speakers have one emotion only, and all anger is of four men: who tells the
    speakers apart tells the emotions apart, and a speaker who is left out may take half an
    emotion along. So each reading says that results on this corpus mean little.

    Raises:
        RequestError: No file has such a name.
    """
    manifest = manifest_of_names(dataset, root, _row, _LAYOUT)
    progress.note(
        f"{dataset.name}: nearly every speaker has one emotion only, so that a result, above all "
        "a speaker-independent one, says little about emotion"
    )
    return manifest


def _row(file: Path) -> Row:
    name = _NAME.fullmatch(file.stem)
    if name is None:
        raise ValueError("is not named speaker_file_emotion, such as SM1_F1_A01")
    emotion = _EMOTIONS[name["emotion"]]
    check_folder(file, emotion, _EMOTIONS.values())
    return {
        "utterance": file.stem,
        "speaker": name["speaker"],
        "gender": _GENDERS[name["gender"]],
        "emotion": emotion,
    }
