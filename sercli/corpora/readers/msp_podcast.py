"""MSP-Podcast (Lotfian & Busso 2019): spontaneous speech from podcasts, with official splits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import AudioIndex, find_place, label_file
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.ratings import Ratings, read_ratings
from sercli.corpora.readers import READERS, NoOptions, dataset_manifest, reader_options
from sercli.corpora.tables import read_delimited
from sercli.progress import Progress

# Releases differ in the spelling.
_TABLES = ("Labels/labels_consensus.csv", "Labels/labels_concensus.csv")
_REQUIRED = ("FileName", "EmoClass", "SpkrID", "Split_Set")
_SPLITS = {
    "train": "train",
    "development": "dev",
    "validation": "dev",
    "test1": "test",
    "test2": "test2",
    "test3": "test3",
}
_DETAILED = "Labels/labels_detailed.csv"
_RATER = ("Workers", "Worker", "WorkerID", "Annotator")
_DETAIL = re.compile(r"(?P<rater>[^;]+);(?P<emotion>[^;]+);.*", re.DOTALL)
_CODES = {
    "angry": "A",
    "sad": "S",
    "happy": "H",
    "surprise": "U",
    "fear": "F",
    "disgust": "D",
    "contempt": "C",
    "neutral": "N",
}
_DIMENSIONS = {"valence": "EmoVal", "arousal": "EmoAct", "dominance": "EmoDom"}
_GENDERS = {"female": "female", "male": "male"}


@READERS.register("msp_podcast")
def read_msp_podcast(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read ``Labels/labels_consensus.csv``, and find each of its files in ``Audios/``.

    The official split Development or Validation is "dev" here, and Test1, on which results are
    published, is "test"; the other test sets keep their names. Some utterances have no known
    speaker. Those of one podcast count as one speaker (our choice): a single unknown speaker of
    the whole corpus would be in every part of every split.

    Valence, arousal and dominance are ``EmoVal``, ``EmoAct`` and ``EmoDom``, means of 1 to 7.

    The labels of single raters are the primary emotions in ``Labels/labels_detailed.csv``, in
    columns for rater and ``EmoClass_Major``, or both in ``EmoDetail``, as releases differ.

    Raises:
        RequestError: The table is missing or lacks a column, or no row has its audio.
    """
    reader_options(dataset, NoOptions)
    audio = AudioIndex(root)
    beside = "it and Audios/MSP-PODCAST_0001_0008.wav and so on"
    table = read_delimited(label_file(root, _TABLES, beside))
    ratings, unread = read_ratings(
        find_place(root, _DETAILED),
        ({"FileName": (), "EmoDetail": ()}, _detail),
        ({"FileName": (), "Workers": _RATER, "EmoClass_Major": ()}, _rating),
    )
    rows, refused = table.rows(_REQUIRED, partial(_row, audio, ratings))
    refused += unread + audio.refused + audio.without_label()
    return dataset_manifest(dataset, rows, refused)


def _detail(cells: Mapping[str, str]) -> tuple[str, str, str]:
    match = _DETAIL.fullmatch(cells["EmoDetail"])
    if match is None:
        raise ValueError(f"EmoDetail '{cells['EmoDetail']:.40}' names no rater and emotion")
    return Path(cells["FileName"]).stem, match["rater"].strip(), _code(match["emotion"])


def _rating(cells: Mapping[str, str]) -> tuple[str, str, str]:
    return Path(cells["FileName"]).stem, cells["Workers"], _code(cells["EmoClass_Major"])


def _code(emotion: str) -> str:
    return _CODES.get(emotion.strip().lower(), "O")  # raters may write any word


def _row(audio: AudioIndex, ratings: Ratings, cells: Mapping[str, str]) -> Row:
    utterance = Path(cells["FileName"]).stem
    split = cells["Split_Set"].lower()
    if split not in _SPLITS:
        raise ValueError(f"Split_Set '{cells['Split_Set']}' is none of {', '.join(_SPLITS)}")
    file = audio.take(utterance)
    if file is None:
        raise ValueError(f"{cells['FileName']} is missing")
    return {
        "utterance": utterance,
        "audio": str(file),
        "speaker": _speaker(cells["SpkrID"], utterance),
        "gender": _GENDERS.get(cells.get("Gender", "").lower()),
        "emotion": cells["EmoClass"],
        "split": _SPLITS[split],
        "ratings": ratings.get(utterance, []),
        **{name: _number(cells.get(column, "")) for name, column in _DIMENSIONS.items()},
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _speaker(name: str, utterance: str) -> str:
    if name.lower() != "unknown":
        return name
    podcast = utterance.rpartition("_")[0] or utterance
    return f"Unknown_{podcast}"
