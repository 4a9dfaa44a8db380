"""EmoDB, the Berlin Database of Emotional Speech (Burkhardt et al. 2005): acted German."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

# From memory, as are the texts: the documentation of the corpus lists both, its files neither.
_GENDERS = {
    **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
    **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
}
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
_NAMES = NamePattern(
    r"(?P<speaker>(?P<gender>\d\d))(?P<transcript>[ab]\d\d)(?P<emotion>[A-Z])[a-z]",
    parts="speaker, text, emotion and version, such as 03a01Fa",
    layout="wav/03a01Fa.wav and so on",
    values={"gender": _GENDERS.get, "transcript": _TEXTS.get},
)


@READERS.register("emodb")
def read_emodb(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``wav/03a01Fa.wav``: speaker, text, emotion, version.

    The emotion is the letter of the German word: W anger, F happiness, N neutral, T sadness,
    L boredom, E disgust, A fear.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return _NAMES.read(dataset, root)
