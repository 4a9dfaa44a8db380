"""TurEV-DB (Canpolat et al. 2020): single Turkish words, six speakers, four emotions."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_EMOTIONS = {"hl": "Sad", "kz": "Angry", "mt": "Happy", "sk": "Calm"}
_NAMES = NamePattern(
    # The digit is for 7895_hl_ogul1, the only word with one.
    r"(?P<speaker>\d{4})_(?P<emotion>hl|kz|mt|sk)_[a-z]+\d?",
    parts="speaker_emotion_word, such as 1157_kz_acik",
    layout="Sound Source/Angry/1157_kz_acik.wav and so on for Calm, Happy and Sad",
    values={"emotion": _EMOTIONS.get},
    emotion_folders=_EMOTIONS.values(),
)


@READERS.register("turev")
def read_turev(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``1157_kz_acik.wav``: speaker, emotion and word.

    The number is the speaker and the two letters are the emotion: among the 1 735 files there
    are six numbers, and each pair of letters lies in one folder. Emotions are named after the
    folders; Calm is an emotion of its own and not neutral. The corpus does not state the
    speakers' gender. Only ``Sound Source`` is read, where there is one: beside it, the repository
    holds low-pass and high-pass filtered copies of the audio under the same names.

    Raises:
        RequestError: No file has such a name.
    """
    sources = sorted(path for path in root.glob("**/Sound Source") if path.is_dir())
    return _NAMES.read(dataset, sources[0] if sources else root)
