from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.synthetic.expression import express, perform
from sercli.corpora.synthetic.speakers import make_speakers
from sercli.corpora.synthetic.voice import RATE, Voice, speak

Sound = npt.NDArray[np.float64]

VOICE = Voice(
    f0=130.0,
    f0_range=0.5,
    f0_slope=0.0,
    formants=1.0,
    level=-26.0,
    rate=4.5,
    tilt=8.0,
    jitter=0.005,
    shimmer=0.02,
    breath=-30.0,
    articulation=1.0,
    pauses=0.0,
)


def say(seconds: float = 2.0, **changes: Any) -> Sound:
    return speak(replace(VOICE, **changes), seconds, np.random.default_rng(1))


def spectrum(sound: Sound) -> tuple[Sound, Sound]:
    """Frequencies and the mean power in frames of 64 ms."""
    frames = sound[: sound.size // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    power = np.mean(np.abs(np.fft.rfft(frames)) ** 2, axis=0)
    return np.arange(power.size) * RATE / 1024, np.asarray(power, dtype=np.float64)


def power_between(sound: Sound, low: float, high: float) -> float:
    frequencies, power = spectrum(sound)
    return float(10 * np.log10(power[(frequencies >= low) & (frequencies < high)].sum()))


def median_f0(sound: Sound) -> float:
    """By autocorrelation, over the frames of 64 ms that are most regular."""
    frames = sound[: sound.size // 1024 * 1024].reshape(-1, 1024)
    power = np.abs(np.fft.rfft(frames, 2048)) ** 2
    regularity = np.fft.irfft(power)[:, : RATE // 60]
    regularity = regularity / (regularity[:, :1] + 1e-12)
    lags = RATE // 400 + regularity[:, RATE // 400 :].argmax(axis=1)
    best = regularity[np.arange(len(lags)), lags]
    return float(np.median(RATE / lags[best >= np.median(best)]))


@pytest.mark.parametrize("f0", [100.0, 150.0, 220.0])
def test_the_pitch_is_that_of_the_voice(f0: float) -> None:
    assert median_f0(say(f0=f0)) == pytest.approx(f0, rel=0.06)


@pytest.mark.parametrize("seconds", [1.0, 1.23456, 4.0])
def test_a_turn_lasts_as_long_as_it_shall(seconds: float) -> None:
    assert say(seconds).size == round(seconds * RATE)


def test_a_level_that_is_6_db_higher_doubles_the_sound() -> None:
    soft, loud = say(level=-30.0), say(level=-24.0)
    assert loud.std() / soft.std() == pytest.approx(2.0, rel=0.02)


def test_tilt_takes_the_treble_away() -> None:
    def treble(tilt: float) -> float:
        sound = say(tilt=tilt)
        return power_between(sound, 2000, 3300) - power_between(sound, 50, 1000)

    assert treble(2.0) - treble(16.0) > 5


def test_breath_fills_the_gaps_between_the_harmonics() -> None:
    def regularity(breath: float) -> float:
        sound = say(breath=breath, f0_range=0.0, jitter=0.0)
        lag = round(RATE / VOICE.f0)
        return float(np.corrcoef(sound[:-lag], sound[lag:])[0, 1])

    assert regularity(-40.0) > regularity(-8.0) + 0.05


def test_jitter_and_shimmer_make_cycles_differ() -> None:
    def regularity(**changes: float) -> float:
        sound = say(f0_range=0.0, **changes)
        lag = round(RATE / VOICE.f0)
        return float(np.corrcoef(sound[:-lag], sound[lag:])[0, 1])

    steady = regularity(jitter=0.0, shimmer=0.0)
    assert regularity(jitter=0.04, shimmer=0.0) < steady - 0.05
    assert regularity(jitter=0.0, shimmer=0.4) < steady - 0.05


def test_a_shorter_tract_moves_the_spectrum_up() -> None:
    def centre(formants: float) -> float:
        frequencies, power = spectrum(say(formants=formants))
        below = frequencies < 3500
        return float((frequencies * power)[below].sum() / power[below].sum())

    assert centre(1.2) > centre(1.0) * 1.08


def test_the_voice_pauses_where_it_shall() -> None:
    def silence(pauses: float) -> float:
        sound = say(4.0, pauses=pauses)
        frames = sound[: sound.size // 160 * 160].reshape(-1, 160)
        return float((frames.std(axis=1) < 0.1 * sound.std()).mean())

    assert silence(0.5) > silence(0.0) + 0.1


@given(
    seconds=st.floats(1, 4),
    cues=st.lists(st.floats(-5, 5), min_size=9, max_size=9),
    speaker=st.sampled_from(sorted(make_speakers(0))),
)
def test_no_voice_however_extreme_breaks_the_synthesizer(
    seconds: float, cues: list[float], speaker: str
) -> None:
    voice = express(make_speakers(0)[speaker].voice, np.array(cues))
    sound = speak(voice, seconds, np.random.default_rng(0))
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 1.0
    assert sound.std() > 1e-4


def performances(emotion: str, count: int = 400) -> dict[str, Sound]:
    """Traits of the voices of ``count`` turns of one speaker."""
    random = np.random.default_rng(0)
    voices = [express(VOICE, perform(emotion, emotion, random)) for _ in range(count)]
    traits = ("f0", "f0_range", "level", "rate", "tilt", "breath")
    return {trait: np.array([getattr(voice, trait) for voice in voices]) for trait in traits}


def test_emotions_move_the_voice_as_the_literature_says() -> None:
    anger, joy, sadness = performances("ang"), performances("exc"), performances("sad")
    for trait in ("f0", "f0_range", "level", "rate"):
        assert anger[trait].mean() > sadness[trait].mean()
        assert joy[trait].mean() > sadness[trait].mean()
    assert anger["tilt"].mean() < joy["tilt"].mean() < sadness["tilt"].mean()
    assert sadness["breath"].mean() > anger["breath"].mean()
    frustration, neutral = performances("fru"), performances("neu")
    assert neutral["level"].mean() < frustration["level"].mean() < anger["level"].mean()


def test_emotions_overlap_in_every_single_trait() -> None:
    anger, sadness = performances("ang"), performances("sad")
    for trait in anger:
        distance = abs(anger[trait].mean() - sadness[trait].mean())
        assert distance < 4 * np.sqrt((anger[trait].var() + sadness[trait].var()) / 2)


def test_an_ambiguous_turn_lies_nearer_to_the_others() -> None:
    random = np.random.default_rng(0)
    clear = np.mean([perform("sad", "sad", random) for _ in range(400)], axis=0)
    mixed = np.mean([perform("sad", "xxx", random) for _ in range(400)], axis=0)
    assert np.linalg.norm(mixed) < np.linalg.norm(clear)
