"""The lines of IEMOCAP's label files and transcripts.

Label file (``dialog/EmoEvaluation/<dialogue>.txt``)::

    [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]

among a ``%`` comment, blank lines and lines of single raters: ``C-E2:	Neutral; Anger;	()`` names
emotions, ``A-E3:`` rates attributes. Raters are E1 to E6; F1 and M1 are the actors themselves.

Transcript (``dialog/transcriptions/<dialogue>.txt``)::

    Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.

among lines without an id (``M: Yeah.``) and turns that were never labelled (``…_MXX0``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_UTTERANCE = r"(?P<utterance>Ses\d\d[FM]_\w+_[FM]\d{3})"
_LABEL = re.compile(
    rf"\[(?P<start>\d+\.\d+) - (?P<end>\d+\.\d+)\]\s+{_UTTERANCE}\s+(?P<emotion>[a-z]{{3}})"
    r"\s+\[(?P<dimensions>[^\[\]]*)\]\s*",  # a line without them is truncated
    re.ASCII,
)
_NUMBER = re.compile(r"\d+(\.\d*)?", re.ASCII)
_REMARK = re.compile(r"\s*(%.*|[AC]-\w+:.*)?", re.ASCII | re.DOTALL)
_RATING = re.compile(r"C-(?P<rater>E\d+):(?P<emotions>[^()]*)(\(.*)?", re.ASCII | re.DOTALL)
_TURN = re.compile(rf"{_UTTERANCE}\s*\[[^\]]*\]\s*:(?P<text>.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Label:
    """A label line.

    Attributes:
        utterance: Id of the turn.
        start: Time in the dialogue, seconds.
        end: Time in the dialogue, seconds.
        emotion: Emotion code.
        dimensions: Means over raters of valence, activation and dominance, 1 to 5; empty where
            the line does not state three numbers.
    """

    utterance: str
    start: float
    end: float
    emotion: str
    dimensions: tuple[float, ...] = ()


@dataclass(frozen=True)
class Turn:
    """A line of a transcript."""

    utterance: str
    text: str


def parse_label(line: str) -> Label | None:
    """Parse a label line; None for other lines."""
    match = _LABEL.fullmatch(line)
    if match is None:
        return None
    times = float(match["start"]), float(match["end"])
    return Label(match["utterance"], *times, match["emotion"], _dimensions(match["dimensions"]))


def _dimensions(text: str) -> tuple[float, ...]:
    numbers = [_NUMBER.fullmatch(part.strip()) for part in text.split(",")]
    found = tuple(float(number.group()) for number in numbers if number)
    return found if len(found) == len(numbers) == 3 else ()


def is_remark(line: str) -> bool:
    """Return True if a line of a label file is blank, a comment or a single rater's."""
    return _REMARK.fullmatch(line) is not None


def parse_ratings(line: str) -> list[tuple[str, str]]:
    r"""Return the rater and the code of each emotion that a rater's line names.

    >>> parse_ratings("C-E2:\tNeutral; Anger;\t()")
    [('E2', 'neu'), ('E2', 'ang')]

    Codes are the first three letters of the words. Other lines, and those of the actors about
    themselves, give none.
    """
    match = _RATING.fullmatch(line)
    words = match["emotions"].split(";") if match else []
    return [(match["rater"], word.strip()[:3].lower()) for word in words if match and word.strip()]


def parse_turn(line: str) -> Turn | None:
    """Parse a transcript line; None if it has no id, or that of a turn without a label."""
    match = _TURN.fullmatch(line)
    return None if match is None else Turn(match["utterance"], match["text"].strip())


def speaker_of(utterance: str) -> str:
    """Return the speaker: session and letter of the turn.

    >>> speaker_of("Ses01F_impro01_M000")
    'Ses01_M'

    The letter in the prefix is that of the actor with the motion-capture markers. It is the same
    for a whole dialogue.
    """
    return f"{utterance[:5]}_{utterance[-4]}"
