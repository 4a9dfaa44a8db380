"""From a turn of the play to its sound: the speaker's voice, moved by the emotion."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from sercli.corpora.synthetic.dialogue import Turn
from sercli.corpora.synthetic.expression import express, perform
from sercli.corpora.synthetic.speakers import cast
from sercli.corpora.synthetic.voice import speak

_cast = cache(cast)


def record(turn: Turn, seed: int) -> npt.NDArray[np.int16]:
    """Return the samples of a turn at `voice.RATE`, full scale being 32 767.

    They depend on the seed and the turn alone, so that turns can be recorded in any order.
    """
    random = np.random.default_rng([seed, *turn.id.encode()])
    speaker = _cast(seed)[turn.speaker]
    cues = speaker.expressiveness * perform(turn.mood, turn.label, random)
    sound = speak(express(speaker.voice, cues), turn.end - turn.start, random)
    return np.round(sound * np.iinfo(np.int16).max).astype(np.int16)
