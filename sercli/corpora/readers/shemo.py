"""ShEMO (Mohamad Nezami et al. 2019): Persian radio plays, 87 speakers, six emotions."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_NAMES = NamePattern(
    # An F before the speaker's number is a woman, an F behind it is fear.
    r"(?P<speaker>(?P<gender>[FM])\d\d)(?P<emotion>[AFHNSW])\d+",
    parts="speaker, emotion, number, such as M01A01",
    layout="male/M01A01.wav, female/F01A01.wav and so on",
    values={"gender": {"F": "female", "M": "male"}.get},
)


@READERS.register("shemo")
def read_shemo(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``M01A01.wav``: speaker, emotion and number.

    The emotions are ``A`` anger, ``F`` fear, ``H`` happiness, ``N`` neutral, ``S`` sadness and
    ``W`` surprise. The transcripts, an archive of their own, are not read.

    Raises:
        RequestError: No file has such a name.
    """
    return _NAMES.read(dataset, root)
