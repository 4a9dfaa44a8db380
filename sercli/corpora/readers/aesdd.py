"""AESDD (Vryzas et al. 2018): acted speech in Greek, six speakers, five emotions, no neutral."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}
_NAMES = NamePattern(
    # The letter at the end counts the takes: "f18 (5)" and "f18 (5)b".
    r"(?P<emotion>[adfhs])\d\d ?\((?P<speaker>\d+)\)[a-z]?",
    parts="emotion, sentence (speaker), such as a01 (1)",
    layout="anger/a01 (1).wav and so on for disgust, fear, happiness and sadness",
    values={"emotion": _EMOTIONS.get},
    emotion_folders=_EMOTIONS.values(),
)


@READERS.register("aesdd")
def read_aesdd(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``a01 (1).wav``: emotion, sentence and speaker.

    Emotions are named after the folders. The corpus does not state the speakers' gender. It
    grows; a copy with other speakers is read as well.

    Raises:
        RequestError: No file has such a name.
    """
    return _NAMES.read(dataset, root)
