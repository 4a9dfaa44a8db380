"""Formant synthesis: glottal source, vocal tract, breath.

Source-filter model of speech (Fant, *Acoustic Theory of Speech Production*, 1960).

- Source: one pulse of air for every cycle of the vocal folds. Its shape is Rosenberg's
  polynomial (JASA 49, 1971), the open phase of KLGLOTT88 (Klatt & Klatt, JASA 87, 1990); its
  derivative accounts for the radiation at the lips. Cycles differ a little in length
  (jitter) and in height (shimmer); a softer closure takes energy from the high frequencies
  (tilt); air that escapes through the open folds is noise (breath).
- Filter: resonators in cascade, one for each formant (Klatt, JASA 67, 1980).
- Fricatives and bursts: noise that arises at the teeth, past most of the tract.

The movements over time are those of `sercli.corpora.synthetic.articulation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import lfilter

from sercli.corpora.synthetic.articulation import FRAMES_PER_SECOND, Gestures, Signal, articulate

RATE = 16_000
"""Samples per second, as in IEMOCAP."""

_HOP = RATE // FRAMES_PER_SECOND
_RINGING = 1024  # samples, 64 ms, after which every resonator is silent
_BANDWIDTHS = np.array([50.0, 70.0, 110.0, 250.0, 200.0])  # Hz, Klatt 1980
_OPEN_QUOTIENT = 0.6  # share of a cycle with open folds; our choice
_TILT_AT = 3000.0  # Hz; where Klatt & Klatt 1990 measure the tilt
_ROOM_NOISE = 10 ** (-66 / 20)  # RMS relative to full scale; our choice
_HISS = 5500.0, 2000.0  # Hz, centre and bandwidth of frication; our choice
_HISS_LEVEL = 0.15  # RMS of frication relative to that of vowels; our choice
_ASPIRATION_GAIN = 0.2  # noise after plosives relative to the pulses; our choice
_F0_BOUNDS = 60.0, 450.0  # Hz; inside the range where openSMILE looks for F0


@dataclass(frozen=True)
class Voice:
    """Parameters of a voice during one turn.

    Attributes:
        f0: Mean fundamental frequency, Hz.
        f0_range: Standard deviation of the pitch accents, semitones.
        f0_slope: Trend of the pitch, semitones per second.
        formants: Formant frequencies relative to the mean man's; above 1 for a short vocal tract.
        level: RMS of the speech, dB relative to full scale.
        rate: Syllables per second.
        tilt: Attenuation of the source at 3 kHz, dB.
        jitter: Standard deviation of the cycle length, relative.
        shimmer: Standard deviation of the cycle height, relative.
        breath: Breath noise relative to the pulses, dB.
        articulation: Size of the vowel space, 1 = full, 0 = one vowel only.
        pauses: Probability of a pause after a syllable.
    """

    f0: float
    f0_range: float
    f0_slope: float
    formants: float
    level: float
    rate: float
    tilt: float
    jitter: float
    shimmer: float
    breath: float
    articulation: float
    pauses: float


def speak(voice: Voice, seconds: float, random: np.random.Generator) -> Signal:
    """Synthesise ``seconds`` of meaningless syllables.

    Returns:
        Samples at `RATE`, between -1 and 1, of shape (round(seconds · RATE),).
    """
    count = round(seconds * RATE)
    gestures = articulate(
        frames=-(-count // _HOP),
        rate=voice.rate,
        articulation=voice.articulation,
        pauses=voice.pauses,
        random=random,
    )
    source = _source(voice, gestures, random)
    speech = _at_unit_level(_vocal_tract(source, gestures.formants * voice.formants), gestures)
    speech += _hiss(gestures, random)
    speech *= 10 ** (voice.level / 20)
    speech += _ROOM_NOISE * random.standard_normal(speech.size)
    return np.clip(speech[:count], -1.0, 1.0)


def _source(voice: Voice, gestures: Gestures, random: np.random.Generator) -> Signal:
    """Return pulses and breath, shape (frames · hop,)."""
    pulses, opening = _pulses(_pitch(voice, gestures), voice.jitter, voice.shimmer, random)
    pulses = _lowered_treble(pulses, voice.tilt)
    noise = random.standard_normal(pulses.size) * np.std(pulses)
    breath = 10 ** (voice.breath / 20) * (0.3 + 0.7 * opening)
    voiced = _per_sample(gestures.voicing) * (pulses + breath * noise)
    aspirated = _per_sample(gestures.aspiration) * _ASPIRATION_GAIN * noise
    return (voiced + aspirated) * _per_sample(gestures.loudness)


def _pitch(voice: Voice, gestures: Gestures) -> Signal:
    """Return F0 in Hz for every sample."""
    seconds = np.arange(gestures.accent.size) / FRAMES_PER_SECOND
    semitones = voice.f0_range * gestures.accent + voice.f0_slope * (seconds - seconds.mean())
    return _per_sample(np.clip(voice.f0 * 2 ** (semitones / 12), *_F0_BOUNDS))


def _pulses(
    f0: Signal, jitter: float, shimmer: float, random: np.random.Generator
) -> tuple[Signal, Signal]:
    """Return the derivative of the glottal flow, and 1 where the folds are open, else 0."""
    steady = np.cumsum(f0) / RATE
    cycles = int(steady[-1] * 1.5) + 2
    lengths = 1 + np.clip(jitter * random.standard_normal(cycles), -0.3, 0.3)
    heights = 1 + np.clip(shimmer * random.standard_normal(cycles), -0.6, 0.6)
    phase = np.cumsum(f0 * lengths[steady.astype(int)]) / RATE
    cycle = phase.astype(int)
    x = (phase - cycle) / _OPEN_QUOTIENT
    opening = (x < 1).astype(float)
    # The flow rises and falls as x² - x³ during the open phase and rests during the closed one.
    return opening * (2 * x - 3 * x**2) * heights[cycle], opening


def _lowered_treble(pulses: Signal, tilt: float) -> Signal:
    """Attenuate 3 kHz by ``tilt`` dB relative to the lowest frequencies, with one pole."""
    power = 10 ** (-max(tilt, 0.1) / 10)
    # |H|² = (1-a)² / (1 - 2a cos ω + a²) = power, solved for the pole a inside the unit circle.
    half = (1 - power * np.cos(2 * np.pi * _TILT_AT / RATE)) / (1 - power)
    pole = half - np.sqrt(half**2 - 1)
    return np.asarray(lfilter([1 - pole], [1, -pole], pulses))


def _vocal_tract(source: Signal, formants: Signal) -> Signal:
    """Filter the source by the formants, shape (frames, 5) in Hz.

    Overlapping windows of the source are filtered by the resonators of their frame and added. (One
    filter whose coefficients jump from frame to frame would click at every jump.)
    """
    window = np.hanning(2 * _HOP + 1)[:-1]  # two that overlap by half add up to 1
    pieces = sliding_window_view(np.pad(source, _HOP), 2 * _HOP)[::_HOP] * window
    responses = _response(np.pad(formants, ((0, 1), (0, 0)), mode="edge"))
    filtered = np.fft.irfft(np.fft.rfft(pieces, _RINGING) * responses)
    speech = np.zeros(source.size + _HOP + _RINGING)
    for start, piece in zip(range(0, speech.size, _HOP), filtered, strict=False):
        speech[start : start + _RINGING] += piece
    return speech[_HOP : _HOP + source.size]


def _response(frequencies: Signal) -> npt.NDArray[np.complex128]:
    """Return the frequency response of the resonators in cascade (Klatt 1980).

    Args:
        frequencies: Formants in Hz, shape (frames, 5).

    Returns:
        Gain at the frequencies of a transform over `_RINGING`, shape (frames, bins).
    """
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(_RINGING))
    response = np.ones((len(frequencies), delay.size), dtype=np.complex128)
    for frequency, width in zip(frequencies.T[..., np.newaxis], _BANDWIDTHS, strict=True):
        c = -np.exp(-2 * np.pi * width / RATE)
        b = 2 * np.exp(-np.pi * width / RATE) * np.cos(2 * np.pi * frequency / RATE)
        response *= (1 - b - c) / (1 - b * delay - c * delay**2)
    return response


def _hiss(gestures: Gestures, random: np.random.Generator) -> Signal:
    """Return the noise of fricatives and bursts."""
    loudness = _per_sample(gestures.frication * gestures.loudness)
    centre, width = _HISS
    pole = np.exp(-np.pi * width / RATE)
    denominator = [1, -2 * pole * np.cos(2 * np.pi * centre / RATE), pole**2]
    noise = lfilter([1, 0, -1], denominator, random.standard_normal(loudness.size))
    return np.asarray(_HISS_LEVEL * loudness * noise / np.std(noise))


def _at_unit_level(speech: Signal, gestures: Gestures) -> Signal:
    """Scale ``speech`` so that its voiced part has an RMS of 1."""
    voiced = _per_sample(gestures.voicing) > 0.5
    return np.asarray(speech / np.sqrt(np.mean(np.square(speech[voiced]))))


def _per_sample(track: Signal) -> Signal:
    """Interpolate a track of one value per frame to one per sample."""
    frames = np.arange(track.size * _HOP) / _HOP
    return np.interp(frames, np.arange(track.size), track)
