"""Classification for the page, in a process whose memory is limited.

The process keeps the model between recordings; `sercli.inference.serve.app` kills it if a recording
takes too long.
"""

from __future__ import annotations

import base64
import math
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sercli.config.schema import FeaturesConfig
from sercli.errors import SercliError
from sercli.features.audio import AudioError, load_audio
from sercli.features.sets import feature_set, frame_seconds
from sercli.inference.model import Predictions, TrainedModel
from sercli.processes import limit_memory, own_address_space
from sercli.progress import Progress
from sercli.training.source import open_source

_MEMORY = 6 << 30
"""Bytes of address space beyond that of the libraries (our choice)."""

_RATE = 16_000
_BANDS = 64
_RANGE = 70.0
"""Decibels between white and black of a spectrogram (our choice)."""

Answer = tuple[int, dict[str, Any]]
"""HTTP status, and the JSON document for the page."""


@dataclass(frozen=True)
class Chosen:
    """The model to serve, as the arguments of ``sercli serve``.

    Attributes:
        model: A model folder or a run.
        runs: Folder of the run records.
        fold: Only the networks of this fold.
        seed: Only the networks of this seed.
        normalize: Statistics for z-scores (`TrainedModel.classify`).
    """

    model: str
    runs: Path
    fold: str | None = None
    seed: int | None = None
    normalize: str | None = None


@dataclass(frozen=True)
class Facts:
    """Facts about the model for the page.

    Attributes:
        name: The model as the user named it.
        system: The name of its architecture.
        classes: The classes.
        networks: Number of networks whose probabilities are averaged.
        seconds: Maximum seconds of a recording that it reads; infinity if it has no limit.
        no_test_figure: The reason why it has no test figure; empty if it has one.
        synthetic: True if it was trained on synthetic speech.
    """

    name: str
    system: str
    classes: tuple[str, ...]
    networks: int
    seconds: float
    no_test_figure: str
    synthetic: bool


def prepare() -> None:
    """Limit the memory of this process."""
    limit_memory(own_address_space() + _MEMORY)


def describe(chosen: Chosen) -> Facts:
    """Load a model and return its facts.

    Raises:
        SercliError: It cannot be loaded.
    """
    model = _load(chosen)
    return Facts(
        name=chosen.model,
        system=str(model.source.config.model["name"]),
        classes=model.classes,
        networks=len(model.source.members),
        seconds=model.read_seconds,
        no_test_figure=model.source.no_test_figure,
        synthetic=bool(model.source.summary["card"].get("synthetic")),
    )


def answer(chosen: Chosen, audio: Path) -> Answer:
    """Classify a recording.

    Args:
        chosen: The model.
        audio: The recording; other temporary files lie in its folder.
    """
    tempfile.tempdir = str(audio.parent)
    model, notes = _load(chosen), _Notes()
    try:
        found = model.classify(
            [audio], normalize=chosen.normalize, attention=model.has_attention, progress=notes
        )
        if found.refused:
            return 422, {"error": found.refused[0].reason}
        return 200, _document(found, audio, notes)
    except AudioError as error:
        return 422, {"error": str(error)}
    except SercliError as error:
        return 500, {"error": str(error)}
    except MemoryError:
        return 422, {"error": "exceeds the memory limit"}


@cache
def _load(chosen: Chosen) -> TrainedModel:
    source = open_source(chosen.model, chosen.runs, fold=chosen.fold, seed=chosen.seed)
    return TrainedModel(source, device="cpu")


class _Notes(Progress):
    """Notes for the page instead of standard error."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def _document(found: Predictions, audio: Path, notes: _Notes) -> dict[str, Any]:
    (row,) = found.table.to_dict("records")
    end = float(row["end"])
    return {
        "predicted": row["predicted"],
        "p": {name: float(row[f"p_{name}"]) for name in found.classes},
        "seconds": end,
        "normalisation": found.normalisation,
        "notes": [text.replace(str(audio), "this one") for text in notes.texts],
        "attention": row.get("attention"),
        "step_seconds": found.step_seconds,
        "spectrogram": spectrogram(load_audio(audio, math.nan, end, _RATE)[0]),
    }


def spectrogram(signal: np.ndarray) -> dict[str, Any]:
    """Return a log-mel spectrogram as an image.

    Args:
        signal: float32 (samples,) at 16 kHz.

    Returns:
        ``width``, ``height``, ``step`` (seconds of a column) and ``levels``: a byte per pixel, in
        rows from high to low frequencies, in Base64; 255 is the maximum, 0 is 70 dB below it.

    >>> image = spectrogram(0.1 * np.sin(np.arange(16000)).astype("float32"))
    >>> image["width"], image["height"]
    (98, 64)
    """
    settings = FeaturesConfig("log_mel", options={"bands": _BANDS})
    decibels = feature_set(settings).extractor(_RATE)(signal).T[::-1] * 10 / math.log(10)
    levels = np.clip((decibels - decibels.max(initial=-math.inf)) / _RANGE + 1, 0, 1)
    height, width = levels.shape
    pixels = np.round(255 * levels).astype(np.uint8).tobytes()
    return {
        "width": width,
        "height": height,
        "step": frame_seconds(settings),
        "levels": base64.b64encode(pixels).decode("ascii"),
    }
