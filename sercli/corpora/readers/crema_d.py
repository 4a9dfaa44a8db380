"""CREMA-D (Cao et al. 2014): twelve English sentences, acted by 91 actors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import find_place
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.ratings import Ratings, read_ratings
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.corpora.tables import read_delimited
from sercli.progress import Progress

_TEXTS = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_NAMES = NamePattern(
    # One file has the level X instead of XX: 1040_ITH_SAD_X (from memory).
    r"(?P<speaker>1\d{3})_(?P<transcript>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)"
    r"_(LO|MD|HI|XX?)",
    parts="actor_sentence_emotion_level, such as 1001_DFA_ANG_XX",
    layout="AudioWAV/1001_DFA_ANG_XX.wav and so on",
    values={"transcript": _TEXTS.get},
)
_ACTORS = "VideoDemographics.csv"
_OF_RESPONSES = ("localid", "queryType", "clipName", "respEmo")
_VOICE_ONLY = "1"
_ANSWERS = {"A": "ANG", "D": "DIS", "F": "FEA", "H": "HAP", "N": "NEU", "S": "SAD"}
_LFS_POINTER = b"version https://git-lfs"


@READERS.register("crema_d")
def read_crema_d(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names in ``AudioWAV/``, such as ``1001_DFA_ANG_XX.wav``, and the actors' sex.

    The parts are actor, sentence, intended emotion and level. ``VideoDemographics.csv``, also
    beside ``root``, gives the sex; without it, the gender stays unknown, which a note says. The
    labels of single raters are those in ``finishedResponses.csv`` of who heard the voice alone.

    Raises:
        RequestError: No file has such a name, or all are Git LFS pointers instead of audio.
    """
    genders, mistakes = _genders(root, progress)
    responses = find_place(root, "finishedResponses.csv")
    ratings, unread = read_ratings(responses, (dict.fromkeys(_OF_RESPONSES, ()), _response))
    # The repository holds the same clips as MP3 too.
    folder = find_place(root, "AudioWAV") or root
    to_row = partial(_row, folder, genders, ratings)
    return _NAMES.read(dataset, folder, to_row, [*mistakes, *unread])


def _genders(root: Path, progress: Progress) -> tuple[dict[str, str], list[Refusal]]:
    path = find_place(root, _ACTORS)
    if path is None:
        progress.note(f"{root}: the genders are unknown, as there is no {_ACTORS}")
        return {}, []
    rows, refused = read_delimited(path).rows(("ActorID", "Sex"), _actor)
    return {row["actor"]: row["gender"] for row in rows}, refused


def _actor(cells: Mapping[str, str]) -> Row:
    if cells["Sex"].lower() not in ("female", "male"):
        raise ValueError(f"Sex '{cells['Sex']}' is neither Female nor Male")
    return {"actor": cells["ActorID"], "gender": cells["Sex"].lower()}


def _response(cells: Mapping[str, str]) -> tuple[str, str, str] | None:
    if cells["queryType"] != _VOICE_ONLY:
        return None
    if cells["respEmo"] not in _ANSWERS:
        raise ValueError(f"respEmo '{cells['respEmo']}' is none of {', '.join(_ANSWERS)}")
    return Path(cells["clipName"]).stem, cells["localid"], _ANSWERS[cells["respEmo"]]


def _row(
    folder: Path,
    genders: Mapping[str, str],
    ratings: Ratings,
    place: Path,
) -> Row:
    row = _NAMES.row(place)
    if _is_pointer(folder / place):
        raise ValueError("a Git LFS pointer instead of audio; fetch it with `git lfs pull`")
    heard = ratings.get(row["utterance"], [])
    return row | {"gender": genders.get(row["speaker"]), "ratings": heard}


def _is_pointer(file: Path) -> bool:
    """Return True for the pointer that a clone without Git LFS leaves in place of the audio."""
    with file.open("rb") as stream:
        return stream.read(len(_LFS_POINTER)) == _LFS_POINTER
