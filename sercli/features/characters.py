"""The characters of a transcript as one-hot rows: targets of CTC."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sercli.errors import RequestError
from sercli.features.text import EncodedText, TextFacts, TextSet

ENGLISH = "abcdefghijklmnopqrstuvwxyz'"
"""Letters and apostrophe, as in the vocabulary of wav2vec 2.0."""


@dataclass(frozen=True)
class Characters(TextSet):
    """The characters of a transcript in lower case, without those outside the alphabet.

    Attributes:
        alphabet: The characters of the columns after the first, which is the space.
    """

    library: ClassVar[str] = "numpy"

    alphabet: str

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"features.options.alphabet={self.alphabet}"
        if not self.alphabet or len(set(self.alphabet)) < len(self.alphabet):
            raise RequestError(f"{where}: must have at least one character, and each once")
        if self.alphabet != self.alphabet.lower() or self.alphabet.split() != [self.alphabet]:
            raise RequestError(f"{where}: must be in lower case, without spaces")
        if self.level != "lld":
            raise RequestError(f"features.level={self.level}: characters have only the level lld")

    @property
    def digest(self) -> str:
        """SHA-256 of the alphabet."""
        return hashlib.sha256(self.alphabet.encode()).hexdigest()

    @property
    def source(self) -> str:
        """The alphabet, for the protocol card."""
        return f"the space and {self.alphabet}"

    @property
    def width(self) -> int:
        """The number of characters, the space included."""
        return 1 + len(self.alphabet)

    def encode(self, texts: Sequence[str]) -> Iterator[EncodedText]:
        """Yield the rows of each text."""
        places = {character: place for place, character in enumerate(" " + self.alphabet)}
        for text in texts:
            every = text.lower()
            known = "".join(each for each in every if each in places)
            row = [places[each] for each in " ".join(known.split())]
            facts = TextFacts(len(every), len(every) - len(known))
            yield EncodedText(np.eye(self.width, dtype=np.float32)[row], facts)


def characters(
    level: str,
    alphabet: str = ENGLISH,
    missing: str = "zeros",
    column: str = "transcript",
) -> Characters:
    """Return the set of the characters of a transcript.

    >>> found = next(characters("lld").encode_all(["It's 5 a.m."]))
    >>> "".join(" abcdefghijklmnopqrstuvwxyz'"[place] for place in found.steps.argmax(axis=1))
    "it's am"
    >>> found.facts
    TextFacts(tokens=11, unknown=3)

    Args:
        level: ``features.level``.
        alphabet: The characters besides the space, in lower case.
        missing: Treatment of a turn without text: ``zeros`` (one step) or ``refuse``.
        column: Column of the manifest with the text: ``transcript`` or ``asr_transcript``.

    Raises:
        RequestError: A setting is invalid.
    """
    return Characters("characters", level, "", column, missing, alphabet)
