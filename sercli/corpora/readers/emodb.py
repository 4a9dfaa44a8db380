"""EmoDB, the Berlin Database of Emotional Speech (Burkhardt et al. 2005): acted German."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[A-Z])[a-z]", re.ASCII)

# From memory, as are the texts: the documentation of the corpus lists both, its files neither.
_MALE = frozenset({"03", "10", "11", "12", "15"})
_FEMALE = frozenset({"08", "09", "13", "14", "16"})
_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


@READERS.register("emodb")
def read_emodb(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the names of the files, such as ``wav/03a01Fa.wav``: speaker, text, emotion, version.

    The emotion is the letter of the German word: W anger, F happiness, N neutral, T sadness,
    L boredom, E disgust, A fear.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return manifest_of_names(dataset, root, _row, "wav/03a01Fa.wav and so on")


def _row(place: Path) -> Row:
    name = _NAME.fullmatch(place.stem)
    if name is None:
        raise ValueError("is not named speaker, text, emotion and version, such as 03a01Fa")
    return {
        "utterance": place.stem,
        "speaker": name["speaker"],
        "gender": _gender(name["speaker"]),
        "emotion": name["emotion"],
        "transcript": _TEXTS.get(name["text"]),
    }


def _gender(speaker: str) -> str | None:
    if speaker in _MALE:
        return "male"
    return "female" if speaker in _FEMALE else None
