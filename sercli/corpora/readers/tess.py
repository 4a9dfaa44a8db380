"""TESS, the Toronto emotional speech set (Pichora-Fuller & Dupuis 2020): two English actresses."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_NAMES = NamePattern(
    # One file of common copies is named OA_… instead of OAF_… (from memory).
    r"(?P<speaker>[oy]a)f?_(?P<word>[^_]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)",
    parts="speaker_word_emotion, such as OAF_back_angry",
    layout="OAF_back_angry.wav and so on, in any folders",
    values={"speaker": {"oa": "OAF", "ya": "YAF"}.get},
)


@READERS.register("tess")
def read_tess(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``OAF_angry/OAF_back_angry.wav``, in upper or lower case.

    They hold the speaker (OAF the older, YAF the younger), the word after "Say the word …" and
    the emotion, where ``ps`` is pleasant surprise. Folders are not read: their case and spelling
    differ from copy to copy.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return _NAMES.read(dataset, root, _row)


def _row(file: Path) -> Row:
    lower = file.with_name(file.name.lower())
    row, word = _NAMES.row(lower), _NAMES.match(lower)["word"]
    return row | {
        "utterance": f"{row['speaker']}_{word}_{row['emotion']}",
        "gender": "female",
        "transcript": f"Say the word {word}.",
    }
