"""The feature sets: an openSMILE configuration file and the columns that it gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sercli.errors import RequestError, nearest

_FOLDER = Path(__file__).resolve().parent / "opensmile"


@dataclass(frozen=True)
class FeatureSet:
    """What openSMILE computes of a signal.

    Attributes:
        name: The name in the configuration (``features.name``).
        configuration: An openSMILE configuration file with source and sink left open, as the
            opensmile package expects it.
        level: The data memory level that holds the columns.
        names: The columns, in order, by openSMILE's names.
    """

    name: str
    configuration: Path
    level: str
    names: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the configuration file."""
        return hashlib.sha256(self.configuration.read_bytes()).hexdigest()


def _deltas(base: str, order: int) -> list[str]:
    return [base + "_de" * each for each in range(order + 1)]


_IAAN45 = FeatureSet(
    name="iaan45",
    configuration=_FOLDER / "iaan45.conf",
    level="features",
    names=(
        *_deltas("F0_sma", 1),
        *_deltas("pcm_loudness_sma", 2),
        *_deltas("voiceProb_sma", 1),
        *_deltas("pcm_zcr_sma", 1),
        *(f"{contour}[{n}]" for contour in _deltas("mfcc_sma", 2) for n in range(1, 13)),
    ),
)
"""The 45 descriptors of IAAN (Yeh, Lin, Lee 2019), in the order of its published code."""

_SETS = {each.name: each for each in (_IAAN45,)}


def feature_set(name: str) -> FeatureSet:
    """Return the feature set called ``name``.

    Raises:
        RequestError: There is none; the message names the nearest one.
    """
    if name not in _SETS:
        raise RequestError(f"unknown features.name '{name}'.{nearest(name, _SETS)}")
    return _SETS[name]
