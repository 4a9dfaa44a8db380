"""MSP-IMPROV (Busso et al. 2017): six pairs of actors, improvised, read and natural speech.

Not verified on the corpus, which needs a signed licence: the parts of a name are read as in
published parsers, the kinds of recording are from memory.
"""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import AudioIndex, label_file
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.readers import READERS, NoOptions, dataset_manifest, reader_options
from sercli.corpora.tables import read_text
from sercli.errors import RequestError
from sercli.progress import Progress

_LABEL_FILES = ("Evaluation.txt", "Evalution.txt")  # some releases have the second spelling
_LABEL = re.compile(
    r"UTD-(?P<name>IMPROV-S\d\d[AHNS]-(?P<speaker>[FM](?P<session>\d\d))-(?P<kind>[PRST])"
    r"-[FM]{2}\d+)\.avi\s*;\s*(?P<emotion>[A-Z])\s*"
    # Activation, valence and dominance are not read, but a line without them is truncated.
    r";\s*A:[^;]+;\s*V:[^;]+;\s*D:[^;]+;.*",
    re.ASCII,
)
_RATER = re.compile(r"(?!UTD-)[^;]+;[^;]*;.*\bA:.*", re.ASCII)
_GENDERS = {"F": "female", "M": "male"}
_IMPROVISED = {"S": True, "T": True, "R": False}  # P, between the recordings, is neither


@READERS.register("msp_improv")
def read_msp_improv(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the label file, and find ``session1/S01A/S/MSP-IMPROV-S01A-F01-S-MF03.wav`` and so on.

    The speaker is the fourth part of a name; its number is that of the session. The order of the
    turns in a scene is not certain, so that utterances have no dialogue and no context. O (other)
    and X (no agreement) are labels too.

    Raises:
        RequestError: The label file is missing, or no utterance has its audio.
    """
    reader_options(dataset, NoOptions)
    labels = label_file(root, _LABEL_FILES, "it beside session1 to session6")
    audio = AudioIndex(root)
    rows: list[Row] = []
    refused: list[Refusal] = []
    for number, line in enumerate(_lines(labels), start=1):
        if not line or _RATER.fullmatch(line):
            continue
        try:
            rows.append(_row(line, audio))
        except ValueError as error:
            refused.append(Refusal(f"{labels.name}:{number}", str(error)))
    refused += audio.refused + audio.without_label()
    return dataset_manifest(dataset, rows, refused)


def _lines(labels: Path) -> list[str]:
    try:
        return [line.strip() for line in read_text(labels).split("\n")]
    except OSError as error:
        raise RequestError(f"{labels}: cannot be read ({error.strerror})") from error


def _row(line: str, audio: AudioIndex) -> Row:
    label = _LABEL.fullmatch(line)
    if label is None:
        raise ValueError("is not a label line")
    utterance = f"MSP-{label['name']}"
    file = audio.take(utterance)
    if file is None:
        raise ValueError(f"{utterance}.wav is missing")
    return {
        "utterance": utterance,
        "audio": str(file),
        "speaker": label["speaker"],
        "gender": _GENDERS[label["speaker"][0]],
        "session": f"session{int(label['session'])}",
        "emotion": label["emotion"],
        "improvised": _IMPROVISED.get(label["kind"]),
    }
