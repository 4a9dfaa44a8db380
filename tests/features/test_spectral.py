from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sercli.config.compose import compose
from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.plan import recipe_digest
from sercli.features.sets import column_names, feature_set
from sercli.features.spectral import regression_slopes

RATE = 16000
LOG_MEL = FeaturesConfig(name="log_mel")
MFCC = FeaturesConfig(name="mfcc")


def frames_of(signal: np.ndarray, features: FeaturesConfig) -> np.ndarray:
    return feature_set(features).extractor(RATE)(signal)


@pytest.fixture(scope="module", name="signal")
def _signal(voice: Callable[..., np.ndarray]) -> np.ndarray:
    return np.asarray(voice(0.4, 150) / 32768, np.float32)


def _kaldi_frames(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power spectra as Kaldi defines them, and log energies, of frames of 25 ms every 10 ms."""
    x = signal.astype(np.float64) * 32768
    frames = np.stack([x[i : i + 400] for i in range(0, len(x) - 399, 160)])
    frames -= frames.mean(axis=1, keepdims=True)
    energy = np.log((frames**2).sum(axis=1))
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    return np.abs(np.fft.rfft((frames - 0.97 * before) * window, 512)) ** 2, energy


def _log_mel(power: np.ndarray, bands: int) -> np.ndarray:
    def mel(hertz: float) -> float:
        return float(1127 * np.log(1 + hertz / 700))

    edges = np.linspace(mel(20), mel(8000), bands + 2)
    weights = np.zeros((bands, 257))
    for band, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for each in range(256):
            at = mel(each * RATE / 512)
            if left < at < right:
                weights[band, each] = min(
                    (at - left) / (centre - left), (right - at) / (right - centre)
                )
    return np.asarray(np.log(power @ weights.T))


def _cepstra(bands: np.ndarray, energy: np.ndarray, count: int) -> np.ndarray:
    size = bands.shape[1]
    columns = [energy]
    for n in range(1, count):
        cosine = np.sqrt(2 / size) * np.cos(np.pi * n * (np.arange(size) + 0.5) / size)
        columns.append((1 + 11 * np.sin(np.pi * n / 22)) * (bands @ cosine))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("bands", [80, 40])
def test_log_mel_equals_kaldis_definition(signal: np.ndarray, bands: int) -> None:
    features = FeaturesConfig(name="log_mel", options={"bands": bands})
    power, _ = _kaldi_frames(signal)
    np.testing.assert_allclose(frames_of(signal, features), _log_mel(power, bands), atol=2e-3)


@pytest.mark.parametrize(("bands", "coefficients"), [(23, 13), (40, 20)])
def test_mfcc_equals_kaldis_definition(signal: np.ndarray, bands: int, coefficients: int) -> None:
    options = {"bands": bands, "coefficients": coefficients}
    power, energy = _kaldi_frames(signal)
    wanted = _cepstra(_log_mel(power, bands), energy, coefficients)
    frames = frames_of(signal, FeaturesConfig(name="mfcc", options=options))
    np.testing.assert_allclose(frames, wanted, atol=5e-3)


@pytest.mark.parametrize(("features", "columns"), [(LOG_MEL, 80), (MFCC, 13)])
def test_there_are_100_frames_a_second_and_a_name_for_each_column(
    signal: np.ndarray, features: FeaturesConfig, columns: int
) -> None:
    frames = frames_of(signal, features)
    assert frames.dtype == np.float32
    assert frames.shape == (1 + (len(signal) - 400) // 160, columns)
    names = column_names(features)
    assert len(set(names)) == columns
    assert names[1] in {"log_mel[1]", "mfcc[1]"}


@pytest.mark.parametrize("name", ["log_mel", "mfcc"])
def test_deltas_stand_beside_the_frames_that_they_belong_to(signal: np.ndarray, name: str) -> None:
    plain = FeaturesConfig(name=name)
    with_deltas = FeaturesConfig(name=name, level="lld_delta")
    frames = frames_of(signal, plain)
    np.testing.assert_array_equal(
        frames_of(signal, with_deltas),
        np.concatenate([frames, regression_slopes(frames)], axis=1),
    )
    names = column_names(plain)
    assert column_names(with_deltas) == (*names, *(f"{each}_de" for each in names))


@given(
    frames=arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.just(2)),
        elements=st.floats(-1e3, 1e3, width=32),
    )
)
def test_slopes_equal_a_slow_regression(frames: np.ndarray) -> None:
    count = len(frames)
    for t in range(count):
        around = [frames[min(max(t + n, 0), count - 1)].astype(float) for n in range(-2, 3)]
        slope = np.polyfit(range(-2, 3), np.stack(around), 1)[0]
        np.testing.assert_allclose(regression_slopes(frames)[t], slope, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("features", [LOG_MEL, MFCC])
def test_silence_within_an_utterance_gives_finite_numbers(
    signal: np.ndarray, features: FeaturesConfig
) -> None:
    with_pause = np.concatenate([signal, np.zeros(8000, np.float32), signal])
    frames = frames_of(with_pause, features)
    assert np.isfinite(frames).all()
    np.testing.assert_array_equal(frames_of(with_pause, features), frames)


def test_a_signal_shorter_than_a_frame_is_refused() -> None:
    with pytest.raises(AudioError, match="shorter than one frame"):
        frames_of(np.ones(399, np.float32), LOG_MEL)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("log_mel", {"bands": 0}, r"features\.options\.bands=0: must be 1 or more"),
        ("log_mel", {"bands": 200}, "bands=200: at 16000 Hz some of the bands"),
        ("log_mel", {"bands": "many"}, r"features\.options\.bands=many: expected int"),
        ("log_mel", {"band": 40}, r"unknown setting 'features\.options\.band'.* 'bands'"),
        ("mfcc", {"coefficients": 24}, "coefficients=24: must be from 1 to the number of bands"),
        ("mfcc", {"coefficients": 0}, "coefficients=0: must be from 1"),
    ],
)
def test_options_that_make_no_sense_are_named(
    name: str, options: dict[str, int], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        feature_set(FeaturesConfig(name=name, options=options)).extractor(RATE)


@pytest.mark.parametrize("name", ["log_mel", "mfcc"])
def test_there_are_no_functionals_of_them(name: str) -> None:
    with pytest.raises(RequestError, match=r"level=functionals: the set .* does not have it"):
        feature_set(FeaturesConfig(name=name, level="functionals"))


def test_the_configuration_files_state_the_defaults() -> None:
    for name in ("log_mel", "mfcc"):
        stated = compose([f"features={name}"]).features
        assert feature_set(stated) == feature_set(FeaturesConfig(name=name))
    assert (
        len(column_names(compose(["features=log_mel", "features.options.bands=40"]).features)) == 40
    )


def test_every_setting_has_a_key_of_its_own() -> None:
    chosen = [
        LOG_MEL,
        MFCC,
        FeaturesConfig(name="log_mel", level="lld_delta"),
        FeaturesConfig(name="log_mel", options={"bands": 40}),
        FeaturesConfig(name="mfcc", options={"bands": 40}),
        FeaturesConfig(name="mfcc", options={"coefficients": 12}),
    ]
    assert len({recipe_digest(feature_set(each), RATE) for each in chosen}) == len(chosen)
