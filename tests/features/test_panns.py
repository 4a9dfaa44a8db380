from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sercli.config.compose import compose
from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError
from sercli.features import windows
from sercli.features.audio import AudioError
from sercli.features.sets import feature_set, frame_seconds, frequency_bands

RATE = 16000


def features_of(**options: Any) -> FeaturesConfig:
    return FeaturesConfig("log_mel_panns", options=options)


def frames_of(signal: np.ndarray, **options: Any) -> np.ndarray:
    return feature_set(features_of(**options)).extractor(RATE)(signal)


def mel(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def test_frames_are_those_of_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_CHUNK", 2)
    signal = np.random.default_rng(0).uniform(-1, 1, 700).astype(np.float32)
    found = frames_of(signal)
    assert (found.dtype, found.shape) == (np.dtype("float32"), (5, 64))
    around = np.concatenate([signal[256:0:-1], signal, signal[-2:-258:-1]]).astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    at = np.arange(257) * RATE / 512
    grid = np.arange(0, 8000.5, 0.5)
    scale = [mel(f) for f in grid]
    edges = np.interp(np.linspace(mel(50), mel(8000), 66), scale, grid)
    for t, frame in enumerate(found):
        power = np.abs(np.fft.fft(around[160 * t : 160 * t + 512] * window)[:257]) ** 2
        for band, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
            up, down = (at - low) / (centre - low), (high - at) / (high - centre)
            energy = (np.minimum(up, down).clip(0) * power).sum() * 2 / (high - low)
            assert frame[band] == pytest.approx(10 * np.log10(energy), abs=1e-3)


def test_silence_is_100_db_down_and_the_choice_states_the_defaults() -> None:
    assert (frames_of(np.zeros(257)) == -100).all()
    stated = compose(["features=log_mel_panns"]).features
    assert feature_set(stated) == feature_set(features_of())
    assert frame_seconds(stated) == 0.01
    assert frequency_bands(stated) == 64
    assert feature_set(features_of(hop=20.0)).digest != feature_set(features_of()).digest


def test_a_signal_too_short_to_be_reflected_is_refused() -> None:
    with pytest.raises(AudioError, match="not longer than half a frame"):
        frames_of(np.ones(256))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": 0}, r"features\.options\.bands=0: must be above 0"),
        ({"bands": 200}, "bands=200: at 16000 Hz some of the bands"),
        ({"f_min": 9000.0}, "f_min=9000: must be from 0 to below f_max, 8000"),
        ({"f_max": 9000.0}, "f_max=9000: must be at most half the sampling rate, 8000 Hz"),
        ({"hop": 0.05}, "hop=0.05: shorter than 2 samples at 16000 Hz"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        frames_of(np.ones(512), **options)
