"""Effects of an emotion on a voice, and the signal of a turn.

Emotions are relative: they change the speaker's own voice. The directions follow the
reviews of Scherer (Speech Communication 40, 2003) and Juslin & Laukka (Psychological Bulletin
129, 2003): anger and joy are high, loud, fast and bright; sadness is low, narrow, soft, slow,
dull and breathy; fear is high with a narrow range. Frustration stands between anger and a
neutral voice. All effect sizes are our choice: large enough to be learned, with so much spread
within an emotion that the classes overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from sercli.corpora.synthetic.affect import AMBIGUOUS, draw_mood
from sercli.corpora.synthetic.articulation import Signal
from sercli.corpora.synthetic.dialogues import Turn
from sercli.corpora.synthetic.speakers import make_speakers
from sercli.corpora.synthetic.voice import Voice, speak

_PROFILES: Mapping[str, tuple[float, ...]] = {
    #       pitch range slope level  rate bright rough breath clear
    "ang": (+0.9, +0.6, -0.3, +1.4, +0.6, +1.4, +0.7, -0.4, +0.8),
    "hap": (+1.0, +1.2, +0.8, +0.4, +0.4, +0.2, -0.3, +0.0, +0.4),
    "exc": (+1.4, +1.4, +0.8, +0.8, +0.9, +0.5, -0.2, -0.1, +0.5),
    "neu": (-0.3, -0.4, -0.1, -0.1, +0.1, -0.1, -0.2, -0.2, +0.0),
    "sad": (-0.8, -0.9, -0.7, -1.3, -1.1, -1.1, +0.4, +1.1, -1.0),
    "fru": (+0.2, +0.1, -0.4, +0.6, +0.1, +0.6, +0.5, +0.0, +0.3),
    "sur": (+1.6, +1.5, +1.5, +0.5, +0.2, +0.3, +0.0, +0.2, +0.2),
    "fea": (+1.4, -0.5, +0.2, -0.4, +0.8, +0.0, +0.9, +0.7, -0.3),
    "dis": (-0.4, +0.3, -0.5, +0.1, -0.5, +0.2, +0.6, +0.1, +0.2),
    "oth": (+0.3, +0.3, +0.1, +0.1, -0.2, +0.0, +0.2, +0.1, +0.0),
}
_AROUSAL = np.array(
    [0.8, 0.5, 0.0, 1.0, 0.6, 1.0, 0.2, -0.5, 0.5]
)  # effect of activation on each cue

_MISMATCH = 0.12  # share of turns that sound like another emotion than their label
_MIXTURE = 0.4  # share of another emotion in an ambiguous turn
_STRENGTH = 0.3  # standard deviation of the strength of an emotion
_ACTIVATION = 0.4  # standard deviation of a turn's activation, independent of its emotion
_SPREAD = 0.55  # standard deviation of each cue, independent of the others

_speakers = cache(make_speakers)


def synthesise_turn(turn: Turn, seed: int) -> npt.NDArray[np.int16]:
    """Return the samples of a turn at `voice.RATE`, full scale being 32 767.

    They depend only on the seed and the turn, so that the order of synthesis does not matter.
    """
    random = np.random.default_rng([seed, *turn.id.encode()])
    speaker = _speakers(seed)[turn.speaker]
    cues = speaker.expressiveness * perform(turn.mood, turn.label, random)
    sound = speak(express(speaker.voice, cues), turn.end - turn.start, random)
    return np.round(sound * np.iinfo(np.int16).max).astype(np.int16)


def perform(mood: str, label: str, random: np.random.Generator) -> Signal:
    """Draw the cues of one turn, shape (9,): the columns of `_PROFILES`.

    An ambiguous turn mixes the mood with another one. Some turns sound different from their
    label, as raters also see the face and know the story.
    """
    shown = mood if label == AMBIGUOUS else label
    if random.random() < _MISMATCH:
        shown = draw_mood(random)
    profile = np.array(_PROFILES[shown])
    if label == AMBIGUOUS:
        profile = (1 - _MIXTURE) * profile + _MIXTURE * np.array(_PROFILES[draw_mood(random)])
    strength = max(0.0, 1 + _STRENGTH * random.standard_normal())
    activation = _ACTIVATION * random.standard_normal()
    own = _SPREAD * random.standard_normal(profile.size)
    return np.asarray(strength * profile + activation * _AROUSAL + own)


def express(voice: Voice, cues: Signal) -> Voice:
    """Change a speaker's ``voice`` by ``cues``; the constants are the effects of a cue of 1."""
    pitch, span, slope, level, rate, bright, rough, breath, clear = (float(cue) for cue in cues)
    return replace(
        voice,
        f0=voice.f0 * 2 ** (2.0 * pitch / 12),
        f0_range=voice.f0_range * 1.35**span,
        f0_slope=voice.f0_slope + 2.0 * slope,
        level=min(voice.level + 3.2 * level, -14.0),  # louder would be clipped
        rate=voice.rate * 1.13**rate,
        tilt=max(voice.tilt - 4.0 * bright, 0.0),
        jitter=voice.jitter * 1.4**rough,
        shimmer=voice.shimmer * 1.4**rough,
        breath=min(voice.breath + 4.0 * breath, -6.0),  # more would be a whisper
        articulation=voice.articulation * 1.1**clear,
        pauses=voice.pauses * 1.5**-rate,
    )
