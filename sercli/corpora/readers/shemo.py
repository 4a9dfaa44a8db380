"""ShEMO (Mohamad Nezami et al. 2019): Persian radio plays, 87 speakers, six emotions."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_LAYOUT = "male/M01A01.wav, female/F01A01.wav and so on"
# An F before the speaker's number is a woman, an F behind it is fear.
_NAME = re.compile(r"(?P<speaker>(?P<gender>[FM])\d\d)(?P<emotion>[AFHNSW])\d+", re.ASCII)
_GENDERS = {"F": "female", "M": "male"}


@READERS.register("shemo")
def read_shemo(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files: speaker, emotion and number, such as ``M01A01.wav``.

    The emotions are ``A`` anger, ``F`` fear, ``H`` happiness, ``N`` neutral, ``S`` sadness and
    ``W`` surprise. The transcripts, an archive of their own, are not read.

    Raises:
        RequestError: No file has such a name.
    """
    return manifest_of_names(dataset, root, _row, _LAYOUT)


def _row(file: Path) -> Row:
    name = _NAME.fullmatch(file.stem)
    if name is None:
        raise ValueError("is not named speaker, emotion, number, such as M01A01")
    return {
        "utterance": file.stem,
        "speaker": name["speaker"],
        "gender": _GENDERS[name["gender"]],
        "emotion": name["emotion"],
    }
