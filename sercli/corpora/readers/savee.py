"""SAVEE (Haq & Jackson 2009): acted British English of four men."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.readers import READERS
from sercli.corpora.readers.name_pattern import NamePattern
from sercli.progress import Progress

_SPEAKER = r"[A-Z]{2}"
_NAMES = NamePattern(
    rf"((?P<speaker>{_SPEAKER})_)?(?P<emotion>sa|su|[adfhn])\d\d",
    parts="emotion and number, such as sa01 or DC_sa01",
    layout="AudioData/DC/a01.wav or DC_a01.wav, and so on",
)


@READERS.register("savee")
def read_savee(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read file names such as ``AudioData/DC/sa01.wav``, or ``DC_sa01.wav`` of flat copies.

    The emotion stands before the number: a anger, d disgust, f fear, h happiness, n neutral,
    sa sadness, su surprise. The speakers are DC, JE, JK and KL. An utterance has the same id
    in both layouts.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return _NAMES.read(dataset, root, _row)


def _row(file: Path) -> Row:
    row = _NAMES.row(file)
    speaker = row["speaker"] or file.parent.name
    if re.fullmatch(_SPEAKER, speaker) is None:
        raise ValueError("the speaker is missing: expected DC/sa01 or DC_sa01")
    utterance = f"{speaker}_{file.stem.rpartition('_')[2]}"
    return row | {"utterance": utterance, "speaker": speaker, "gender": "male"}
