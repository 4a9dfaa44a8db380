"""Keys of the feature store: the same key means the same frames, whatever the file is called."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
from pathlib import Path

from sercli.features.sets import FeatureSet

_METHOD = 1
"""Raised when sercli itself brings audio to the libraries in another way (mixing, quantising)."""


def audio_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recipe_digest(features: FeatureSet, sampling_rate: int) -> str:
    """Identify everything but the audio that the frames depend on.

    These are the feature set's configuration and level, the version of the library that computes
    it, and the sampling rate. The name of the set is not: it does not change a number.
    """
    version = importlib.metadata.version(features.library)  # importing takes 0.3 s
    return _hash(_METHOD, features.library, features.digest, version, sampling_rate)


def utterance_key(audio: str, start: float, end: float, recipe: str) -> str:
    """Return the key of one utterance.

    Args:
        audio: `audio_digest` of its file.
        start: Seconds into the file; NaN: from its beginning.
        end: Seconds into the file; NaN: to its end.
        recipe: `recipe_digest` of its frames.
    """
    segment = [None if math.isnan(time) else float(time) for time in (start, end)]
    return _hash(audio, *segment, recipe)


def _hash(*parts: str | float | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
