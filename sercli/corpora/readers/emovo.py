"""EMOVO (Costantini et al. 2014): six actors, fourteen sentences, seven emotions, in Italian."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_NAMES = NamePattern(
    r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<speaker>(?P<gender>[fm])\d)-[a-z]+\d+",
    parts="emotion-speaker-sentence, such as rab-f1-b1",
    layout="f1/rab-f1-b1.wav and so on for the speakers f1 to f3 and m1 to m3",
    values={"gender": {"f": "female", "m": "male"}.get},
)


@READERS.register("emovo")
def read_emovo(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``rab-f1-b1.wav``: emotion, speaker and sentence.

    The emotions are ``dis`` disgust, ``gio`` joy, ``neu`` neutral, ``pau`` fear, ``rab`` anger,
    ``sor`` surprise and ``tri`` sadness. The codes of the sentences are from memory, so that any
    letters and a number will do.

    Raises:
        RequestError: No file has such a name.
    """
    return _NAMES.read(dataset, root)
