from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sercli.config.compose import compose
from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError
from sercli.features import windows
from sercli.features.audio import AudioError
from sercli.features.plan import recipe_digest
from sercli.features.sets import column_names, feature_set

RATE = 16000


def features_of(**options: Any) -> FeaturesConfig:
    return FeaturesConfig("spectrogram", options=options)


def frames_of(signal: np.ndarray, **options: Any) -> np.ndarray:
    return feature_set(features_of(**options)).extractor(RATE)(signal)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, samples).astype(np.float32)


@pytest.mark.parametrize("scale", ["magnitude", "log"])
def test_frames_equal_the_sums_of_the_definition(
    scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_CHUNK", 2)
    signal = noise(24 * 16 + 3 * 160)
    settings = {"window": 24.0, "n_fft": 500, "f_max": 100.0, "scale": scale}
    found = frames_of(signal, **settings)
    n = np.arange(384)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * n / 383)
    bins = np.exp(-2j * np.pi * np.outer(range(4), n) / 500)  # 0, 32, 64, 96 Hz
    expected = np.stack(
        [np.abs(bins @ (hamming * signal[i : i + 384])) for i in (0, 160, 320, 480)]
    )
    expected = np.log(expected) if scale == "log" else expected
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32


def test_the_published_set_has_400_bins_of_10_hz() -> None:
    assert compose(["features=spectrogram"]).features.options == {
        "window": 40.0,
        "hop": 10.0,
        "n_fft": 1600,
        "f_max": 4000.0,
        "scale": "magnitude",
    }
    names = column_names(features_of())
    assert (len(names), names[0], names[-1]) == (400, "spectrogram[0]", "spectrogram[399]")
    tone = np.sin(2 * np.pi * 1230 * np.arange(1600) / RATE)
    assert (frames_of(tone).argmax(axis=1) == 123).all()
    assert frames_of(tone).shape == (7, 400)


def test_silence_gives_finite_numbers_and_a_shorter_signal_is_refused() -> None:
    assert np.isfinite(frames_of(np.zeros(640, np.float32), scale="log")).all()
    with pytest.raises(AudioError, match=r"shorter than one frame \(40 ms\)"):
        frames_of(np.zeros(639, np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0.0}, r"features.options.window=0: must be above 0"),
        ({"window": 0.01}, "window=0.01: shorter than a sample at 16000 Hz"),
        ({"hop": 0.01}, "hop=0.01: shorter than a sample"),
        ({"n_fft": 512}, "n_fft=512: must be at least the window, 640 samples at 16000 Hz"),
        ({"f_max": 9000.0}, "f_max=9000: must be at most half the sampling rate, 8000 Hz"),
        ({"scale": "power"}, "scale=power: must be one of magnitude, log"),
        ({"bands": 40}, "unknown setting 'features.options.bands'"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        feature_set(features_of(**options)).extractor(RATE)


@pytest.mark.parametrize("level", ["lld_delta", "functionals"])
def test_it_has_one_level(level: str) -> None:
    with pytest.raises(RequestError, match="the set spectrogram does not have it"):
        feature_set(FeaturesConfig("spectrogram", level=level))


def test_every_option_has_a_key_of_its_own() -> None:
    options: list[dict[str, Any]] = [
        *({}, {"window": 30.0}, {"hop": 5.0}, {"n_fft": 2048}, {"f_max": 1e3}, {"scale": "log"})
    ]
    digests = {recipe_digest(feature_set(features_of(**each)), RATE) for each in options}
    assert len(digests) == len(options)
