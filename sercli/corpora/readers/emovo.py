"""EMOVO (Costantini et al. 2014): six actors, fourteen sentences, seven emotions, in Italian."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_LAYOUT = "f1/rab-f1-b1.wav and so on for the speakers f1 to f3 and m1 to m3"
_NAME = re.compile(
    r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<speaker>[fm]\d)-[a-z]+\d+", re.ASCII
)
_GENDERS = {"f": "female", "m": "male"}


@READERS.register("emovo")
def read_emovo(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files: emotion, speaker and sentence, such as ``rab-f1-b1.wav``.

    The emotions are ``dis`` disgust, ``gio`` joy, ``neu`` neutral, ``pau`` fear, ``rab`` anger,
    ``sor`` surprise and ``tri`` sadness. The codes of the sentences are from memory, so that any
    letters and a number will do.

    Raises:
        RequestError: No file has such a name.
    """
    return manifest_of_names(dataset, root, _row, _LAYOUT)


def _row(file: Path) -> Row:
    name = _NAME.fullmatch(file.stem)
    if name is None:
        raise ValueError("is not named emotion-speaker-sentence, such as rab-f1-b1")
    return {
        "utterance": file.stem,
        "speaker": name["speaker"],
        "gender": _GENDERS[name["speaker"][0]],
        "emotion": name["emotion"],
    }
