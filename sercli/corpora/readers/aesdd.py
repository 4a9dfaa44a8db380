"""AESDD (Vryzas et al. 2018): acted speech in Greek, six speakers, five emotions, no neutral."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import check_folder, manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_LAYOUT = "anger/a01 (1).wav and so on for disgust, fear, happiness and sadness"
# The letter at the end counts the takes: "f18 (5)" and "f18 (5)b".
_NAME = re.compile(r"(?P<emotion>[adfhs])\d\d ?\((?P<speaker>\d+)\)[a-z]?", re.ASCII)
_EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}


@READERS.register("aesdd")
def read_aesdd(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files: emotion, sentence and speaker, such as ``a01 (1).wav``.

    The emotions are named as the folders are. Who of the speakers is a woman, the corpus does
    not say. The corpus grows; a copy with other speakers is read as well.

    Raises:
        RequestError: No file has such a name.
    """
    return manifest_of_names(dataset, root, _row, _LAYOUT)


def _row(file: Path) -> Row:
    name = _NAME.fullmatch(file.stem)
    if name is None:
        raise ValueError("is not named emotion, sentence (speaker), such as a01 (1)")
    emotion = _EMOTIONS[name["emotion"]]
    check_folder(file, emotion, _EMOTIONS.values())
    return {"utterance": file.stem, "speaker": name["speaker"], "emotion": emotion}
