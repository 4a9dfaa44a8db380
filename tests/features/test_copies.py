"""Copies of turns: speed, noise and warped mel filters, made once from the audio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.copies import Copy, Noise, Speed, Vtlp
from sercli.features.extract import extract
from sercli.features.spectral import SpectralSet, log_mel, mfcc
from sercli.features.store import FeatureStore
from sercli.features.store_uses import prune
from sercli.features.verify import verify
from sercli.features.vtlp import WarpedSet, warp

RATE = 16000
LOG_MEL = FeaturesConfig("log_mel", options={"bands": 40})


def tone(hertz: float, samples: int = RATE) -> np.ndarray:
    signal: np.ndarray = 0.3 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)
    return signal.astype(np.float32)


def changed(copy: Copy, signal: np.ndarray, seed: int = 0) -> np.ndarray:
    assert copy.change is not None
    return copy.change(signal, RATE, np.random.default_rng(seed))


@given(st.floats(0.5, 2), st.floats(1000, 7000))
def test_the_warp_is_continuous_rises_and_fixes_both_ends(factor: float, boundary: float) -> None:
    hertz = np.linspace(0, 8000, 4001)
    warped = warp(hertz, factor, boundary, 8000)

    assert warped[0] == 0
    assert warped[-1] == pytest.approx(8000)
    low = hertz <= boundary * min(factor, 1) / factor
    np.testing.assert_allclose(warped[low], factor * hertz[low])
    slopes = np.diff(warped) / 2
    steepest = max(factor, (8000 - warped[low][-1]) / (8000 - hertz[low][-1]), 1)
    assert (slopes > 0).all()
    assert slopes.max() <= steepest + 0.01  # no jump
    np.testing.assert_allclose(warp(hertz, 1.0, boundary, 8000), hertz)


@pytest.mark.parametrize("features", [log_mel("lld_delta", 40), mfcc("lld")])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_factor_of_1_gives_the_frames_of_kaldi(features: SpectralSet, rate: int) -> None:
    signal = tone(300) + 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    expected = features.extractor(rate)(signal)

    extractor = WarpedSet(features, 1.0, 3800.0).extractor(rate)
    np.testing.assert_allclose(extractor(signal), expected, rtol=1e-4, atol=1e-3)
    assert extractor.names == features.extractor(rate).names


def test_a_factor_below_1_moves_a_formant_to_higher_bands() -> None:
    lower, same, higher = (
        WarpedSet(log_mel("lld", 40), factor, 4800.0).extractor(RATE)(tone(1500)).mean(axis=0)
        for factor in (1.2, 1.0, 0.8)
    )
    assert lower.argmax() < same.argmax() < higher.argmax()


def test_speed_changes_length_and_pitch_together() -> None:
    fast, slow = Speed([1.25, 0.8]).copies(LOG_MEL)
    for copy, factor in ((fast, 1.25), (slow, 0.8)):
        made = changed(copy, tone(400))
        assert len(made) == pytest.approx(RATE / factor, abs=2)
        spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
        assert spectrum.argmax() * RATE / len(made) == pytest.approx(400 * factor, abs=2)
    with pytest.raises(AudioError, match=r"shorter than one frame at 1\.25"):
        changed(fast, tone(400, 1000))


def test_noise_has_the_ratio_that_is_asked_for(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "hum.wav", RATE, tone(50, 4000))
    for folder in (None, str(tmp_path)):
        for copy in Noise([5, 5], copies=2, folder=folder).copies(LOG_MEL):
            signal = tone(400)
            noise = changed(copy, signal) - signal
            ratio = 10 * np.log10((signal**2).mean() / (noise**2).mean())
            assert ratio == pytest.approx(5, abs=0.05)
    low, high = 0.0, 0.0
    for seed in range(40):
        signal = tone(400, 2000)
        noise = changed(Noise([0, 20]).copies(LOG_MEL)[0], signal, seed) - signal
        ratio = 10 * np.log10((signal**2).mean() / (noise**2).mean())
        assert -0.1 < ratio < 20.1
        low, high = low + (ratio < 10), high + (ratio >= 10)
    assert min(low, high) > 8


def test_noise_follows_from_the_contents_of_the_folder(tmp_path: Path) -> None:
    for name, hertz in (("a", 50), ("b", 70)):
        (tmp_path / name).mkdir()
        wavfile.write(tmp_path / name / "1.wav", RATE, tone(hertz, 4000))
    wavfile.write(tmp_path / "b" / "copy.wav", RATE, tone(70, 4000))
    (tmp_path / "b" / "about.txt").write_text("no audio")
    one, same, other = (Noise(folder=str(tmp_path / name)).copies(LOG_MEL)[0] for name in "aab")

    assert one.change
    assert same.change
    assert other.change
    assert one.change.digest == same.change.digest != other.change.digest
    assert "in the noise of 1 file at" in str(Noise(folder=str(tmp_path / "b")))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "about.txt").write_text("no audio")
    with pytest.raises(RequestError, match=r"no audio in it \(\.aif.*folder=null"):
        Noise(folder=str(tmp_path / "c"))
    (tmp_path / "c" / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"bad\.wav cannot be used"):
        changed(Noise(folder=str(tmp_path / "c")).copies(LOG_MEL)[0], tone(400))


def test_copies_are_extracted_once_by_content_and_kept_by_prune(
    tmp_path: Path, corpus: Callable[..., Manifest]
) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    recipes = [
        copy
        for part in (Speed([0.9, 1.1]), Noise(copies=2), Vtlp([0.9]))
        for copy in part.copies(LOG_MEL)
    ]
    plain = extract(manifest, LOG_MEL, tmp_path / "store")
    done = [extract(manifest, LOG_MEL, tmp_path / "store", copy=copy) for copy in recipes]
    again = [extract(manifest, LOG_MEL, tmp_path / "store", copy=copy) for copy in recipes]
    elsewhere = [extract(manifest, LOG_MEL, tmp_path / "other", copy=copy) for copy in recipes]

    store, other = FeatureStore(tmp_path / "store"), FeatureStore(tmp_path / "other")
    keys = {key for each in (plain, *done) for key in each.keys.values()}
    assert len(keys) == 3 * 6 == len(store)
    assert [each.extracted for each in again] == [0] * 5
    for one, two in zip(done, elsewhere, strict=True):
        assert one.keys == two.keys
        for key in one.keys.values():
            np.testing.assert_array_equal(store.get(key), other.get(key))
    frames = [len(store.get(each.keys["u000"])) for each in (plain, *done)]
    assert frames[1] > frames[0] > frames[2]
    assert frames[3:] == [frames[0]] * 3
    assert prune(tmp_path / "store").unused == 0

    found = verify(manifest, LOG_MEL, tmp_path / "store", copies=recipes)
    assert found.faults == ()
    store._path(done[1].keys["u001"]).unlink()
    (fault,) = verify(manifest, LOG_MEL, tmp_path / "store", copies=recipes).faults
    assert fault.what == "generated: u001 (speed 1.1)"
    assert fault.reason.startswith("missing")
