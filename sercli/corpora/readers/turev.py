"""TurEV-DB (Canpolat et al. 2020): single Turkish words, six speakers, four emotions."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import check_folder, manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_LAYOUT = "Sound Source/Angry/1157_kz_acik.wav and so on for Calm, Happy and Sad"
# The digit is for 7895_hl_ogul1, the only word with one.
_NAME = re.compile(r"(?P<speaker>\d{4})_(?P<emotion>[a-z]{2})_[a-z]+\d?", re.ASCII)
_EMOTIONS = {"hl": "Sad", "kz": "Angry", "mt": "Happy", "sk": "Calm"}


@READERS.register("turev")
def read_turev(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files: speaker, emotion and word, such as ``1157_kz_acik.wav``.

    The number is the speaker and the two letters are the emotion: among the 1 735 files there
    are six numbers, and each pair of letters lies in one folder. The emotions are named as the
    folders are; Calm is an emotion of its own and not neutral. Who is a woman, the corpus does
    not say. Only ``Sound Source`` is read, where there is one: beside it, the repository holds
    low-pass and high-pass filtered copies of the audio under the same names.

    Raises:
        RequestError: No file has such a name.
    """
    sources = sorted(path for path in root.glob("**/Sound Source") if path.is_dir())
    return manifest_of_names(dataset, sources[0] if sources else root, _row, _LAYOUT)


def _row(file: Path) -> Row:
    name = _NAME.fullmatch(file.stem)
    if name is None or name["emotion"] not in _EMOTIONS:
        raise ValueError("is not named speaker_emotion_word, such as 1157_kz_acik")
    emotion = _EMOTIONS[name["emotion"]]
    check_folder(file, emotion, _EMOTIONS.values())
    return {"utterance": file.stem, "speaker": name["speaker"], "emotion": emotion}
