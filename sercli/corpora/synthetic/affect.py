"""What people feel, and how it goes from turn to turn.

Moods last, and they pass from one speaker to the other: that is why the turns before help to
recognise a turn. How strongly is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_COUNTS = {
    "ang": 1103,
    "hap": 595,
    "exc": 1041,
    "neu": 1708,
    "sad": 1084,
    "fru": 1849,
    "sur": 107,
    "fea": 40,
    "oth": 3,
    "dis": 2,
    "xxx": 2507,
}

SHARES: Mapping[str, float] = {code: n / sum(_COUNTS.values()) for code, n in _COUNTS.items()}
"""Share of each label among the 10 039 turns of IEMOCAP."""

AMBIGUOUS = "xxx"
"""The label of turns on which the raters do not agree."""

MOODS = ("ang", "hap", "exc", "neu", "sad", "fru")
"""Emotions that last from turn to turn; the others are over with the turn."""

KEPT = 0.6
"""Probability that a speaker's mood lasts until the next own turn."""

CAUGHT = 0.3
"""Probability that it is replaced by the interlocutor's."""

_MOOD_SHARES = np.array([SHARES[mood] for mood in MOODS]) / sum(SHARES[mood] for mood in MOODS)
_LOOKAHEAD = 15  # turns over which a missing mood is made up for


class Moods:
    """The moods of all turns of a session: a Markov chain with a known stationary distribution.

    A turn keeps the speaker's last mood with probability `KEPT`, takes over the
    interlocutor's with `CAUGHT`, and else has a new one. If both sources have the shares of
    IEMOCAP, so has the mixture. Chance alone would let so short a chain drift far from them;
    therefore a new mood is drawn from those that are missing so far.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(len(MOODS))

    def next(self, own: str | None, other: str | None, random: np.random.Generator) -> str:
        """Draw the mood of a turn.

        Args:
            own: The speaker's mood in the last own turn; None at the beginning.
            other: The interlocutor's mood in the last turn; None at the beginning.
            random: Source of all chance.
        """
        chance = random.random()
        if own is not None and chance < KEPT:
            mood = own
        elif other is not None and KEPT <= chance < KEPT + CAUGHT:
            mood = other
        else:
            mood = self._new(random)
        self._counts[MOODS.index(mood)] += 1
        return mood

    def _new(self, random: np.random.Generator) -> str:
        wanted = _MOOD_SHARES * (self._counts.sum() + _LOOKAHEAD)
        missing = np.maximum(wanted - self._counts, 0.0)
        return str(random.choice(MOODS, p=missing / missing.sum()))


def draw_mood(random: np.random.Generator) -> str:
    """Draw a mood with the shares of IEMOCAP."""
    return str(random.choice(MOODS, p=_MOOD_SHARES))


def judge(mood: str, random: np.random.Generator) -> str:
    """Draw the label of a turn in this ``mood``, so that `SHARES` are kept.

    Mostly it is the mood; else the raters do not agree, or they hear an emotion of the moment.
    """
    others = {code: share for code, share in SHARES.items() if code not in MOODS}
    labels = [mood, *others]
    return str(random.choice(labels, p=[1 - sum(others.values()), *others.values()]))
