"""Static word vectors from a text file in GloVe's format: a word and its numbers on each line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np

from sercli.errors import RequestError
from sercli.features.known import known_digest
from sercli.features.text import EncodedText, TextFacts, TextSet, check_option
from sercli.files import absolute

_LONGEST = 2**20
"""Maximum length of a line, in bytes (our choice)."""

_UNKNOWN = ("zeros", "drop")

_TOKEN = re.compile(r"n't\b|'(?:s|m|d|re|ve|ll)\b|\w+?(?=n't\b)|\w+|[^\w\s]")
_APOSTROPHES = str.maketrans("\u2019\u02bc", "''")


@dataclass(frozen=True)
class WordVectors(TextSet):
    """The vector of each token of a transcript, from a file.

    Attributes:
        lower: True if the file has words in lower case.
        unknown: Treatment of a token without a vector: ``zeros``, or ``drop``.
    """

    library: ClassVar[str] = "numpy"

    lower: bool
    unknown: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("unknown", self.unknown, _UNKNOWN)
        if not Path(self.path).is_file():
            raise RequestError(f"features.path={self.path}: no such file")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file and the settings."""
        parts = (known_digest(Path(self.path)), self.level, self.lower, self.unknown)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def source(self) -> str:
        """Name and SHA-256 of the file, and the rule for words that it lacks."""
        path, rule = Path(self.path), {"zeros": "zeros", "drop": "left out"}[self.unknown]
        return f"{path.name}, SHA-256 {known_digest(path)[:12]}…; other tokens: {rule}"

    @cached_property
    def width(self) -> int:
        """The dimension of the vectors.

        Raises:
            RequestError: The file does not hold word vectors.
        """
        return next((len(vector) for _, vector in _lines(self.path, None)))

    def encode(self, texts: Sequence[str]) -> Iterator[EncodedText]:
        """Yield the vectors of the tokens of each text; the file is read once.

        Raises:
            RequestError: The file does not hold word vectors.
        """
        of_texts = [tokens(text, lower=self.lower) for text in texts]
        wanted = {token for each in of_texts for token in each}
        found = read_vectors(self.path, wanted) if wanted else {}
        zeros = np.zeros(self.width, np.float32)
        for each in of_texts:
            kept = [token for token in each if token in found or self.unknown == "zeros"]
            rows = [found.get(token, zeros) for token in kept]
            steps = np.array(rows, np.float32).reshape(len(rows), self.width)
            yield EncodedText(steps, TextFacts(len(each), sum(x not in found for x in each)))


def word_vectors(
    name: str,
    level: str,
    path: str | None,
    lower: bool = True,
    unknown: str = "zeros",
    missing: str = "zeros",
    column: str = "transcript",
) -> WordVectors:
    """Return the set of the word vectors of a file.

    Args:
        name: ``features.name``.
        level: ``features.level``.
        path: ``features.path``, the file.
        lower: Look words up in lower case, as the usual files have them.
        unknown: Treatment of a token without a vector: ``zeros``, or ``drop``.
        missing: Treatment of a turn without text: ``zeros`` (one step) or ``refuse``.
        column: Column of the manifest with the text: ``transcript`` or ``asr_transcript``.

    Raises:
        RequestError: There is no such file, or a setting is invalid.
    """
    if path is None:
        raise RequestError(
            f"features={name} needs a text file of word vectors, such as glove.6B.300d.txt: add "
            "features.path=FILE"
        )
    return WordVectors(name, level, str(absolute(path)), column, missing, lower, unknown)


def tokens(text: str, *, lower: bool = True) -> list[str]:
    """Split a text into words and punctuation, with the contractions of the Penn Treebank.

    >>> tokens("I don't know -- it's  Anna's.")
    ['i', 'do', "n't", 'know', '-', '-', 'it', "'s", 'anna', "'s", '.']
    """
    text = text.translate(_APOSTROPHES)
    return _TOKEN.findall(text.lower() if lower else text)


def read_vectors(path: str, words: Collection[str]) -> dict[str, np.ndarray]:
    """Return the vectors of those words that the file has.

    The number of values is checked on every line; values are parsed only for ``words``. If a word
    occurs twice, its first vector is used. A word may contain spaces, as some do in published
    files. The header of word2vec and fastText, a first line of two whole numbers, is skipped.

    Args:
        path: The file.
        words: The words.

    Raises:
        RequestError: The file cannot be read or is empty; or a line has no numbers, another number
            of them than the first line or, for one of the words, NaN or infinite values.
    """
    found: dict[str, np.ndarray] = {}
    for word, vector in _lines(path, words):
        found.setdefault(word, vector)
    return found


def _lines(path: str, words: Collection[str] | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield words and vectors in the order of the file, of all words if ``words`` is None."""
    wanted = None if words is None else {word.encode() for word in words}
    number, width = 0, 0
    try:
        with Path(path).open("rb") as file:
            for number, line in _numbered(file, path):
                if not line or (number == 1 and _is_header(line)):
                    continue
                spaces = line.count(b" ")
                width = width or spaces
                if spaces == width > 0:
                    word, _, numbers = line.partition(b" ")
                else:
                    word, numbers = _with_spaces(line, width)
                if wanted is None or word in wanted:
                    yield word.decode(errors="replace"), _vector(numbers, width)
    except ValueError as error:
        raise RequestError(f"features.path={path}: line {number}: {error}") from None
    except OSError as error:
        raise RequestError(f"features.path={path}: cannot be read: {error.strerror}") from None
    if not width:
        raise RequestError(
            f"features.path={path}: it holds no vectors; each line must be a word and its numbers"
        )


def _numbered(file: BinaryIO, path: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        if len(line) == _LONGEST:
            raise RequestError(
                f"features.path={path}: line {number} has more than {_LONGEST} bytes: it is not "
                "a text file of word vectors"
            )
        yield number, line.rstrip(b" \r\n")


def _is_header(line: bytes) -> bool:
    """Return True for the header of word2vec and fastText: number of words and dimension."""
    return re.fullmatch(rb"\d+ \d+", line) is not None


def _with_spaces(line: bytes, width: int) -> tuple[bytes, bytes]:
    """Split the line of a word that contains spaces.

    Raises:
        ValueError: The line has no numbers, or another number of them than ``width``.
    """
    spaces = line.count(b" ")
    if spaces > width > 0:
        fields = line.rsplit(b" ", width)
        if not _is_number(fields[0].rpartition(b" ")[2]):
            return fields[0], b" ".join(fields[1:])
    if not width:
        raise ValueError("has no numbers; each line must be a word and its numbers")
    raise ValueError(f"has {spaces} numbers, the lines before it {width}")


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _vector(numbers: bytes, width: int) -> np.ndarray:
    """Parse the numbers of a line.

    Raises:
        ValueError: A value is not a finite number.
    """
    try:
        with np.errstate(over="ignore"):
            vector = np.array(numbers.split(b" "), dtype=np.float32)
    except ValueError:
        raise ValueError("has a value that is not a number") from None
    if not np.isfinite(vector).all():
        raise ValueError("has NaN or infinite values")
    return vector
