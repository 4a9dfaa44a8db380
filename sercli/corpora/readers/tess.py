"""TESS, the Toronto emotional speech set (Pichora-Fuller & Dupuis 2020): two English actresses."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

# One file of common copies is named OA_… instead of OAF_… (from memory).
_NAME = re.compile(
    r"(?P<speaker>[OY]A)F?_(?P<word>[^_]+)_"
    r"(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)",
    re.ASCII | re.IGNORECASE,
)


@READERS.register("tess")
def read_tess(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files, such as ``OAF_angry/OAF_back_angry.wav``.

    They hold the speaker (OAF the older, YAF the younger), the word after "Say the word …" and
    the emotion, where ``ps`` is pleasant surprise. Folders are not read: their case and spelling
    differ from copy to copy.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return manifest_of_names(dataset, root, _row, "OAF_back_angry.wav and so on, in any folders")


def _row(place: Path) -> Row:
    name = _NAME.fullmatch(place.stem)
    if name is None:
        raise ValueError("is not named speaker_word_emotion, such as OAF_back_angry")
    speaker, word, emotion = name["speaker"].upper(), name["word"].lower(), name["emotion"].lower()
    return {
        "utterance": f"{speaker}F_{word}_{emotion}",
        "speaker": f"{speaker}F",
        "gender": "female",
        "emotion": emotion,
        "transcript": f"Say the word {word}.",
    }
