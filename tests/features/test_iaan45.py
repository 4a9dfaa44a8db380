from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import opensmile
import pytest

from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError, SercliError
from sercli.features.audio import AudioError
from sercli.features.sets import column_names, feature_set
from sercli.features.smile import SmileExtractor
from sercli.features.smile_sets import PACKAGED, packaged_set

IAAN45 = packaged_set("iaan45", "lld")
NAMES = column_names(FeaturesConfig())
RATE = 16000


@pytest.fixture(scope="module")
def extract() -> SmileExtractor:
    return SmileExtractor(IAAN45, RATE)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    loudness = np.repeat(np.random.default_rng(1).uniform(0.01, 0.3, 20), 800)
    samples: np.ndarray = loudness * np.random.default_rng(0).normal(size=loudness.size)
    return np.asarray(np.rint(32767 * samples.clip(-1, 1)) / 32768, np.float32)


def _level(signal: np.ndarray, level: str) -> dict[str, np.ndarray]:
    """All columns of one level, computed by the opensmile package itself."""
    smile = opensmile.Smile(str(PACKAGED["iaan45"].path), level)
    values = smile(signal, RATE)[0]
    return dict(zip(smile.feature_names, values, strict=True))


def _slope(contour: np.ndarray) -> np.ndarray:
    """Regression slope over two frames on each side; the ends are repeated."""
    x = np.pad(contour.astype(np.float64), 2, mode="edge")
    steps = ((1, x[3:-1] - x[1:-3]), (2, x[4:] - x[:-4]))
    return np.asarray(sum(n * difference for n, difference in steps) / 10)


def test_the_45_columns_stand_in_the_order_of_the_published_features() -> None:
    assert len(NAMES) == 45
    assert NAMES[:9] == (
        "F0_sma",
        "F0_sma_de",
        "pcm_loudness_sma",
        "pcm_loudness_sma_de",
        "pcm_loudness_sma_de_de",
        "voiceProb_sma",
        "voiceProb_sma_de",
        "pcm_zcr_sma",
        "pcm_zcr_sma_de",
    )
    assert NAMES[9:21] == tuple(f"mfcc_sma[{n}]" for n in range(1, 13))
    assert NAMES[21:33] == tuple(f"mfcc_sma_de[{n}]" for n in range(1, 13))
    assert NAMES[33:] == tuple(f"mfcc_sma_de_de[{n}]" for n in range(1, 13))


def test_every_column_is_the_one_that_its_name_says(
    extract: SmileExtractor, noise: np.ndarray
) -> None:
    frames = extract(noise)
    levels = [_level(noise, level) for level in ("contours", "delta", "deltaDelta")]
    for column, name in enumerate(NAMES):
        (expected,) = [level[name] for level in levels if name in level]
        np.testing.assert_array_equal(frames[:, column], expected[: len(frames)], err_msg=name)


def test_there_is_a_frame_every_10_ms(extract: SmileExtractor, noise: np.ndarray) -> None:
    frames = extract(noise)
    assert frames.dtype == np.float32
    assert frames.shape == (len(noise) // 160 - 1, 45)


def test_contours_are_means_of_three_frames(extract: SmileExtractor, noise: np.ndarray) -> None:
    frames = extract(noise)
    x = _level(noise, "mfcc")["mfcc[3]"]
    smoothed = (x[:-2] + x[1:-1] + x[2:]) / 3
    np.testing.assert_allclose(
        frames[1:-1, NAMES.index("mfcc_sma[3]")], smoothed[: len(frames) - 2], rtol=1e-4
    )


@pytest.mark.parametrize("name", [name for name in NAMES if "_de" in name])
def test_deltas_are_regression_slopes_of_the_contours(
    extract: SmileExtractor, noise: np.ndarray, name: str
) -> None:
    frames = extract(noise)
    contour = frames[:, NAMES.index(name.replace("_de", "", 1))]
    slope = _slope(contour)
    inside = slice(None, -2)  # openSMILE looks beyond the last frame, where we see none
    np.testing.assert_allclose(
        frames[inside, NAMES.index(name)],
        slope[inside],
        rtol=1e-4,
        atol=1e-5 * np.abs(contour).max(),
    )


@pytest.mark.parametrize("f0", [100, 200, 300])
def test_f0_of_a_voice_is_found(
    extract: SmileExtractor, voice: Callable[..., np.ndarray], f0: int
) -> None:
    frames = extract(voice(1.0, f0) / 32768)
    f0_contour = frames[10:-10, NAMES.index("F0_sma")]
    assert np.median(f0_contour) == pytest.approx(f0, rel=0.02)
    assert frames[10:-10, NAMES.index("voiceProb_sma")].min() > 0.55


def test_all_contours_move_at_the_same_moment(extract: SmileExtractor) -> None:
    signal = np.zeros(RATE, np.float32)
    signal[: RATE // 2] = 0.1 * np.random.default_rng(0).normal(size=RATE // 2)
    frames = extract(signal)
    for name in ("voiceProb_sma", "pcm_zcr_sma", "pcm_loudness_sma", "mfcc_sma[1]"):
        contour = frames[:, NAMES.index(name)]
        moved = np.flatnonzero(contour != contour[-10])
        assert 47 <= moved[moved < 90].max() <= 54, name  # 500 ms, give or take half a frame


def test_a_signal_leaves_no_trace_in_the_next(extract: SmileExtractor, noise: np.ndarray) -> None:
    first = extract(noise)
    extract(noise[::-1][:8000].copy())
    np.testing.assert_array_equal(extract(noise), first)


def test_16_bit_audio_reaches_opensmile_unchanged(
    extract: SmileExtractor, noise: np.ndarray
) -> None:
    smile = opensmile.Smile(str(PACKAGED["iaan45"].path), "lld")
    np.testing.assert_array_equal(extract(noise), smile(noise, RATE)[0].T)


def test_samples_beyond_full_scale_are_clipped(extract: SmileExtractor, noise: np.ndarray) -> None:
    loud = 10 * noise
    np.testing.assert_array_equal(extract(loud), extract(loud.clip(-1, 32767 / 32768)))


@pytest.mark.exhaustive
def test_long_audio_needs_little_memory() -> None:
    script = """
from pathlib import Path
import numpy as np
from sercli.config.schema import FeaturesConfig
from sercli.features.sets import feature_set

signal = 0.1 * np.random.default_rng(0).normal(size=300 * 16000).astype(np.float32)
frames = feature_set(FeaturesConfig()).extractor(16000)(signal)
# Not ru_maxrss, which remembers the tests' own process: this one was forked from it.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").open())
print(len(frames), int(status["VmHWM"].split()[0]) // 1024)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    frames, megabytes = said.stdout.split()
    assert int(frames) == 29999
    assert int(megabytes) < 800


def test_a_signal_without_a_frame_is_refused_and_the_next_is_read(
    extract: SmileExtractor, noise: np.ndarray
) -> None:
    expected = extract(noise)
    with pytest.raises(AudioError, match="no frames"):
        extract(noise[:10])
    np.testing.assert_array_equal(extract(noise), expected)


def test_an_unknown_feature_set_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="Did you mean 'iaan45'"):
        feature_set(FeaturesConfig(name="iaan54"))


def test_the_deltas_are_in_it_already() -> None:
    with pytest.raises(RequestError, match="iaan45 writes no data memory level 'lld_de'"):
        feature_set(FeaturesConfig(level="lld_delta"))


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(SercliError, match="gives 45 columns at the level lld instead of 44"):
        SmileExtractor(replace(IAAN45, columns=44), RATE)
