"""SAVEE (Haq & Jackson 2009): acted British English of four men."""

from __future__ import annotations

import re
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.name_pattern import manifest_of_names
from sercli.corpora.readers import READERS
from sercli.progress import Progress

_SPEAKER = re.compile(r"[A-Z]{2}")
_NAME = re.compile(rf"((?P<speaker>{_SPEAKER.pattern})_)?(?P<emotion>sa|su|[adfhn])\d\d", re.ASCII)


@READERS.register("savee")
def read_savee(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read names such as ``AudioData/DC/sa01.wav``, or ``DC_sa01.wav`` of flat copies.

    The emotion stands before the number: a anger, d disgust, f fear, h happiness, n neutral,
    sa sadness, su surprise. The speakers are DC, JE, JK and KL. An utterance has the same id
    in both layouts.

    Raises:
        RequestError: No file under ``root`` has such a name.
    """
    return manifest_of_names(dataset, root, _row, "AudioData/DC/a01.wav or DC_a01.wav, and so on")


def _row(place: Path) -> Row:
    name = _NAME.fullmatch(place.stem)
    if name is None:
        raise ValueError("is not named emotion and number, such as sa01 or DC_sa01")
    speaker = name["speaker"] or place.parent.name
    if _SPEAKER.fullmatch(speaker) is None:
        raise ValueError("names no speaker: expected DC/sa01 or DC_sa01")
    return {
        "utterance": f"{speaker}_{place.stem.removeprefix(f'{speaker}_')}",
        "speaker": speaker,
        "gender": "male",
        "emotion": name["emotion"],
    }
