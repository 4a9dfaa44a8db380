"""Features of the words of an utterance, computed from its transcript instead of its audio."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sercli.errors import RequestError, nearest
from sercli.features.audio import AudioError

COLUMNS = ("transcript", "asr_transcript")
"""Columns of the manifest with the words of an utterance."""

_MISSING = ("zeros", "refuse")


@dataclass(frozen=True)
class TextFacts:
    """Facts of an encoded transcript.

    Attributes:
        tokens: Number of tokens.
        unknown: Number of these that the vocabulary lacks.
    """

    tokens: int
    unknown: int


@dataclass(frozen=True)
class EncodedText:
    """The steps of a transcript.

    Attributes:
        steps: (steps, features), float32, or float16 if that is the dtype of the set.
        facts: The facts of the transcript.
    """

    steps: np.ndarray
    facts: TextFacts


@dataclass(frozen=True)
class TextSet(ABC):
    """A feature set that is computed from transcripts.

    Attributes:
        name: The name in the configuration and in tables.
        level: ``lld`` (a step per token), or ``functionals`` (their mean).
        path: The file or the folder.
        column: Column of the manifest with the text (`COLUMNS`).
        missing: Treatment of a turn without text: ``zeros`` (one step of zeros) or ``refuse``.
    """

    library: ClassVar[str]

    name: str
    level: str
    path: str
    column: str
    missing: str

    def __post_init__(self) -> None:
        if self.level not in ("lld", "functionals"):
            raise RequestError(
                f"features.level={self.level}: {self.name} has lld (a step per token) and "
                "functionals (their mean)"
            )
        check_option("column", self.column, COLUMNS)
        check_option("missing", self.missing, _MISSING)

    @property
    @abstractmethod
    def digest(self) -> str:
        """A hash of everything but the text that the steps depend on."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The vectors or weights, for the protocol card."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of features of a step."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Iterator[EncodedText]:
        """Yield the steps of non-empty texts at level ``lld``, (0, features) without tokens."""

    def extractor(self, sampling_rate: int) -> TextExtractor:
        """Return the columns; the sampling rate is not used."""
        return TextExtractor(self)

    def encode_all(self, texts: Sequence[str]) -> Iterator[EncodedText]:
        """Yield the steps of each text, at least one: zeros for a text without tokens."""
        encoded = self.encode([text for text in texts if text])
        nothing = EncodedText(np.zeros((0, self.width), np.float32), TextFacts(0, 0))
        for text in texts:
            found = next(encoded) if text else nothing
            steps = found.steps if len(found.steps) else np.zeros((1, self.width), np.float32)
            if self.level == "functionals":
                steps = steps.mean(axis=0, keepdims=True)
            if not np.isfinite(steps).all():
                raise RequestError(
                    f"features.path={self.path}: NaN or infinite values for '{text:.40}'"
                )
            yield EncodedText(np.asarray(steps, np.float32), found.facts)


class TextExtractor:
    """The columns of a text set.

    Args:
        features: The text set.

    Attributes:
        names: Column names, in order.
    """

    def __init__(self, features: TextSet) -> None:
        self._name = features.name
        self.names = tuple(f"{features.name}[{each}]" for each in range(features.width))

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Refuse a recording: its transcript is needed.

        Raises:
            AudioError: Always.
        """
        raise AudioError(f"features={self._name} reads a transcript, and a recording has none")


def check_option(name: str, value: str, known: Sequence[str]) -> None:
    """Refuse an unknown value of an option.

    Raises:
        RequestError: The value is unknown; the message names the nearest one.
    """
    if value not in known:
        raise RequestError(f"features.options.{name}={value} is not known.{nearest(value, known)}")


def clean(text: Any) -> str:
    r"""Return a text in Unicode's composed form with single spaces; a missing one as empty.

    >>> clean(" So\n what? "), clean(None)
    ('So what?', '')
    """
    return unicodedata.normalize("NFC", " ".join(text.split())) if isinstance(text, str) else ""
