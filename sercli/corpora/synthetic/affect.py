"""Moods of the speakers, and labels of the turns.

Moods persist, and they pass from one speaker to the other; context turns are therefore
informative. The probabilities are our choice.
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
"""Label of turns without agreement of the raters."""

MOODS = ("ang", "hap", "exc", "neu", "sad", "fru")
"""Emotions that persist from turn to turn; the others last one turn."""

KEEP = 0.6
"""Probability that a speaker keeps the mood until the next own turn."""

ADOPT = 0.3
"""Probability that a speaker adopts the interlocutor's mood."""

_MOOD_SHARES = np.array([SHARES[mood] for mood in MOODS]) / sum(SHARES[mood] for mood in MOODS)
_LOOKAHEAD = 15  # turns over which a deficit of a mood is balanced


class MoodChain:
    """The moods of all turns of a session: a Markov chain with a known stationary distribution.

    A turn keeps the speaker's last mood with probability `KEEP`, adopts the interlocutor's with
    `ADOPT`, and has a new mood otherwise. If both sources have the shares of IEMOCAP, so has the
    mixture. So short a chain would drift far from them by chance; a new mood is therefore drawn
    in proportion to the deficits so far.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(len(MOODS))

    def next(self, own: str | None, other: str | None, random: np.random.Generator) -> str:
        """Draw the mood of a turn.

        Args:
            own: The speaker's mood in the last own turn; None at the beginning.
            other: The interlocutor's mood in the last turn; None at the beginning.
            random: Generator of all draws.
        """
        chance = random.random()
        if own is not None and chance < KEEP:
            mood = own
        elif other is not None and KEEP <= chance < KEEP + ADOPT:
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


def draw_label(mood: str, random: np.random.Generator) -> str:
    """Draw the label of a turn in this ``mood``; over a corpus, labels have the shares `SHARES`.

    It is the mood, an emotion of one turn, or `AMBIGUOUS`.
    """
    others = {code: share for code, share in SHARES.items() if code not in MOODS}
    labels = [mood, *others]
    return str(random.choice(labels, p=[1 - sum(others.values()), *others.values()]))
