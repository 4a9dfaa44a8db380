"""URDU (Latif et al. 2018): 400 utterances from Urdu talk shows, 29 speakers, four emotions."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_EMOTIONS = {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"}
_NAMES = NamePattern(
    r"(?P<speaker>S(?P<gender>[FM])\d+)_F\d+_(?P<emotion>[AHNS])\d+",
    parts="speaker_file_emotion, such as SM1_F1_A01",
    layout="Angry/SM1_F1_A01.wav and so on for Happy, Neutral and Sad",
    values={"gender": {"F": "female", "M": "male"}.get, "emotion": _EMOTIONS.get},
    emotion_folders=_EMOTIONS.values(),
)


@READERS.register("urdu")
def read_urdu(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``SM1_F1_A01.wav``: speaker, file and emotion.

    Emotions are named after the folders. The speakers are 29, although the corpus' own
    description counts 38.

    Speaker and emotion are confounded: 26 of the speakers have one emotion only, and all anger is
    of four men. A model that recognises speakers recognises emotions, and a speaker who is left
    out may take half an emotion along. Each reading therefore warns that results mean little.

    Raises:
        RequestError: No file has such a name.
    """
    manifest = _NAMES.read(dataset, root)
    progress.note(
        f"{dataset.name}: nearly every speaker has one emotion only, so that a result, above all "
        "a speaker-independent one, says little about emotion"
    )
    return manifest
