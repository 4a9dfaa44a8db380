"""Small corpora of generated voices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from sercli.corpora.manifest import Manifest, build_manifest

RATE = 16000


def voice(seconds: float = 0.5, f0: float = 200.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Ten harmonics and a little breath, as 16-bit samples."""
    time = np.arange(round(seconds * rate)) / rate
    harmonics = sum(0.2 / n * np.sin(2 * np.pi * n * f0 * time) for n in range(1, 11))
    breath = 0.01 * np.random.default_rng(seed).normal(size=time.size)
    return np.rint(32767 * np.clip(harmonics + breath, -1, 1)).astype(np.int16)


def corpus(folder: Path, utterances: int, seconds: float = 0.3, speakers: int = 2) -> Manifest:
    """Write that many different utterances and describe them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for each in range(utterances):
        audio = folder / f"u{each:03d}.wav"
        wavfile.write(audio, RATE, voice(seconds, 120 + each % 100, seed=each))
        rows.append(
            {
                "utterance": audio.stem,
                "audio": str(audio),
                "speaker": f"s{each % speakers}",
                "emotion": "neutral",
            }
        )
    return build_manifest("generated", rows, {"neutral": "neutral"})


@pytest.fixture(name="voice", scope="session")
def _voice() -> Callable[..., np.ndarray]:
    return voice


@pytest.fixture(name="corpus", scope="session")
def _corpus() -> Callable[..., Manifest]:
    return corpus
