"""Ten speakers, one woman and one man in each of five sessions.

Voices differ more between speakers than between emotions (F0, formants, level, tilt), as real
voices do: features that are not normalised per speaker identify the speaker first. Mean F0 and the
length of the tract follow Peterson & Barney (JASA 24, 1952: men 132 Hz, women 223 Hz, women's
formants about 1.17 times as high); all other ranges are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sercli.corpora.synthetic.articulation import Signal
from sercli.corpora.synthetic.dialogues import GENDERS, SESSIONS
from sercli.corpora.synthetic.voice import Voice


@dataclass(frozen=True)
class Speaker:
    """A speaker.

    Attributes:
        voice: Neutral voice.
        expressiveness: Factor of all emotional cues, 1 on average.
    """

    voice: Voice
    expressiveness: float


def make_speakers(seed: int) -> Mapping[str, Speaker]:
    """Return name ("Ses01_F") → speaker of the corpus with this ``seed``."""
    random = np.random.default_rng([seed, *b"cast"])
    names = [f"Ses{session:02d}_{gender}" for gender in GENDERS for session in SESSIONS]
    half = len(names) // 2

    def all_of_them(low: float, high: float) -> Signal:
        return _spread(low, high, len(names), random)

    def by_gender(women: tuple[float, float], men: tuple[float, float]) -> Signal:
        return np.concatenate([_spread(*women, half, random), _spread(*men, half, random)])

    traits = {
        "f0": by_gender((180, 240), (95, 145)),
        "f0_range": all_of_them(1.8, 2.8),
        "f0_slope": all_of_them(-2.0, -0.5),
        "formants": by_gender((1.09, 1.22), (0.94, 1.06)),
        "level": all_of_them(-36, -22),
        "rate": all_of_them(3.8, 5.2),
        "tilt": all_of_them(4, 18),
        "jitter": all_of_them(0.006, 0.014),
        "shimmer": all_of_them(0.03, 0.08),
        "breath": all_of_them(-28, -18),
        "articulation": all_of_them(0.8, 1.0),
        "pauses": all_of_them(0.04, 0.10),
    }
    expressiveness = all_of_them(0.8, 1.2)
    return {
        name: Speaker(
            voice=Voice(**{trait: float(values[i]) for trait, values in traits.items()}),
            expressiveness=float(expressiveness[i]),
        )
        for i, name in enumerate(names)
    }


def _spread(low: float, high: float, count: int, random: np.random.Generator) -> Signal:
    """Return ``count`` stratified values of the range in random order, so that no two are alike."""
    step = (high - low) / count
    return random.permutation(low + step * (np.arange(count) + random.uniform(size=count)))
