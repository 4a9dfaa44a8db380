"""Articulation over time: syllables, accents and pauses as smooth tracks.

A turn is a sequence of syllables. Each has an onset – none, a sonorant, a fricative or a
plosive – and a vowel; formants glide between their targets (coarticulation). All tracks have
one value per 10 ms.

Vowels are those of Peterson & Barney (JASA 24, 1952, men's means); durations, probabilities and
consonant targets are our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Signal: TypeAlias = npt.NDArray[np.float64]

FRAMES_PER_SECOND = 100

_VOWELS = np.array(
    [
        (270, 2290, 3010),  # heed
        (390, 1990, 2550),  # hid
        (530, 1840, 2480),  # head
        (660, 1720, 2410),  # had
        (730, 1090, 2440),  # hod
        (570, 840, 2410),  # hawed
        (440, 1020, 2240),  # hood
        (300, 870, 2240),  # who'd
        (640, 1190, 2390),  # hud
        (490, 1350, 1690),  # heard
    ],
    dtype=float,
)
_NEUTRAL_VOWEL = np.array([500.0, 1500.0, 2500.0])  # a uniform tube of 17.5 cm (Fant 1960)
_HIGHER_FORMANTS = np.array([3300.0, 3750.0])  # F4 and F5, Klatt 1980
_EDGE = 0.06  # seconds before the first and after the last syllable


@dataclass(frozen=True)
class Gestures:
    """The tracks of one turn, one value per frame of 10 ms.

    Attributes:
        formants: Resonances of a mean man's tract, Hz, shape (frames, 5).
        voicing: Strength of the glottal pulses, 0 to 1, shape (frames,).
        aspiration: Strength of noise at the folds, 0 to 1.
        frication: Strength of noise at the teeth, 0 to 1.
        loudness: Stress and phrasing, 1 on average.
        accent: Pitch movement, mean 0, standard deviation 1.
    """

    formants: Signal
    voicing: Signal
    aspiration: Signal
    frication: Signal
    loudness: Signal
    accent: Signal


@dataclass(frozen=True)
class _Phone:
    """A part of a syllable: length, sources and target formants."""

    length: float
    formants: Signal
    stress: float = 0.0
    voicing: float = 0.0
    aspiration: float = 0.0
    frication: float = 0.0


def articulate(
    *,
    frames: int,
    rate: float,
    articulation: float,
    pauses: float,
    random: np.random.Generator,
) -> Gestures:
    """Return the tracks of ``rate`` syllables per second over ``frames`` frames.

    Args:
        frames: Length of the turn in frames of 10 ms.
        rate: Syllables per second.
        articulation: Size of the vowel space; below 1 vowels move towards the neutral one.
        pauses: Probability of a pause after a syllable.
        random: Generator of all draws.
    """
    syllables = max(2, round(rate * frames / FRAMES_PER_SECOND))
    phones = [_silence(_EDGE * rate)]
    for _ in range(syllables):
        phones += _syllable(articulation, random)
        if random.random() < pauses:
            phones.append(_silence(random.uniform(0.5, 1.5)))
    phones.append(_silence(_EDGE * rate))
    return _tracks(phones, frames)


def _silence(length: float) -> _Phone:
    return _Phone(length, _NEUTRAL_VOWEL)


def _syllable(articulation: float, random: np.random.Generator) -> list[_Phone]:
    """Return onset and vowel; lengths are relative to a mean syllable."""
    vowel = _VOWELS[random.integers(len(_VOWELS))]
    vowel = _NEUTRAL_VOWEL + articulation * (vowel - _NEUTRAL_VOWEL)
    stress = float(random.standard_normal())
    length = float(random.uniform(0.45, 0.85)) * (1 + 0.15 * np.tanh(stress))
    onset = _onset(vowel, stress, random)
    return [*onset, _Phone(length, vowel, stress, voicing=1.0)]


def _onset(vowel: Signal, stress: float, random: np.random.Generator) -> list[_Phone]:
    """Return one of four kinds of onset, all of them with a narrow vocal tract."""
    kind = random.integers(4)
    length = float(random.uniform(0.2, 0.4))
    narrow = np.array([280.0, 0.8 * vowel[1] + 300.0, vowel[2]])
    sonorant = _Phone(length, narrow, stress, voicing=0.6)  # m, n, l, r
    fricative = _Phone(length, narrow, stress, frication=1.0)  # s, f
    closure = _Phone(0.6 * length, narrow, stress)  # p, t, k
    burst = _Phone(0.4 * length, narrow, stress, aspiration=1.0, frication=0.5)
    return ([], [sonorant], [fricative], [closure, burst])[kind]


def _tracks(phones: Sequence[_Phone], frames: int) -> Gestures:
    """Stretch the phones over ``frames`` and smooth their targets."""
    ends = np.cumsum([phone.length for phone in phones])
    when = (np.arange(frames) + 0.5) / frames * ends[-1]
    which = np.searchsorted(ends, when)

    def track(values: Sequence[float], seconds: float) -> Signal:
        return _smooth(np.array(values)[which], seconds)

    formants = np.array([phone.formants for phone in phones])[which]
    higher = np.broadcast_to(_HIGHER_FORMANTS, (frames, 2))
    stress = track([phone.stress for phone in phones], 0.1)
    phrase = np.linspace(0.5, -0.5, frames)  # pitch and loudness sink along a phrase
    accent = stress + phrase
    return Gestures(
        formants=np.column_stack([*(_smooth(f, 0.05) for f in formants.T), higher]),
        voicing=track([phone.voicing for phone in phones], 0.025),
        aspiration=track([phone.aspiration for phone in phones], 0.015),
        frication=track([phone.frication for phone in phones], 0.02),
        loudness=10 ** ((2.0 * stress + 3.0 * phrase) / 20),
        accent=(accent - accent.mean()) / (accent.std() + 1e-9),
    )


def _smooth(track: Signal, seconds: float) -> Signal:
    """Average with a Hann window of ``seconds``; the ends hold their value."""
    half = max(1, round(seconds * FRAMES_PER_SECOND / 2))
    window = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(track, half, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")
