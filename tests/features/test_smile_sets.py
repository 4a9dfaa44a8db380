"""The sets of the opensmile package are what the package itself computes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import audiofile
import audresample
import numpy as np
import opensmile
import pytest

from sercli.config.compose import compose
from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.plan import recipe_digest
from sercli.features.sets import Extractor, column_names, feature_set
from sercli.features.smile_sets import packaged_set

RATE = 16000
NEMO = Path(os.environ.get("SERCLI_NEMO", Path(__file__).parents[3] / "shared" / "data" / "nemo"))

COLUMNS = {  # LLDs and functionals
    "emobase": (26, 988),
    "eGeMAPSv02": (25, 88),
    "ComParE_2016": (65, 6373),
    "IS09": (16, 384),
    "IS10": (38, 1582),
    "IS11": (59, 4368),
    "IS12": (64, 6125),
    "IS13": (65, 6373),
}
OF_THE_PACKAGE = {"lld": ["lld"], "lld_delta": ["lld", "lld_de"], "functionals": ["func"]}
LEVELS = list(OF_THE_PACKAGE)
EVERY = [(name, level) for name in COLUMNS for level in LEVELS]
SPOKEN = [("eGeMAPSv02", "functionals"), ("IS09", "lld"), ("ComParE_2016", "lld_delta")]
"""Sets that are compared on real speech by day; every set is on a generated voice."""
WITH_DELTAS = [name for name in COLUMNS if name != "eGeMAPSv02"]


@cache
def extractor(name: str, level: str) -> Extractor:
    return feature_set(FeaturesConfig(name=name, level=level)).extractor(RATE)


@cache
def package(name: str, level: str) -> opensmile.Smile:
    return opensmile.Smile(opensmile.FeatureSet[name], level)


def expected(signal: np.ndarray, name: str, level: str) -> np.ndarray:
    """Compute by the package; several levels side by side, as long as the shortest."""
    levels = [package(name, each)(signal, RATE)[0].T for each in OF_THE_PACKAGE[level]]
    shortest = min(map(len, levels))
    return np.concatenate([each[:shortest] for each in levels], axis=1)


@pytest.fixture(scope="module", name="signal")
def _signal(voice: Callable[..., np.ndarray]) -> np.ndarray:
    return np.asarray(voice(1.3, 180) / 32768, np.float32)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    if not NEMO.is_dir():
        pytest.skip(f"real speech is absent: no {NEMO} (set SERCLI_NEMO)")
    samples, rate = audiofile.read(sorted((NEMO / "samples").glob("*.flac"))[500], always_2d=True)
    resampled = audresample.resample(samples, rate, RATE)[0]
    return np.asarray(np.rint(resampled * 32768) / 32768, np.float32)


@pytest.mark.parametrize(("name", "level"), EVERY)
def test_every_set_has_its_columns_under_the_names_of_the_package(name: str, level: str) -> None:
    names = extractor(name, level).names
    descriptors, functionals = COLUMNS[name]
    assert (
        len(names)
        == {
            "lld": descriptors,
            "lld_delta": 2 * descriptors,
            "functionals": functionals,
        }[level]
    )
    assert len(set(names)) == len(names)
    if (name, level) != ("eGeMAPSv02", "lld_delta"):
        levels = OF_THE_PACKAGE[level]
        assert list(names) == [n for each in levels for n in package(name, each).feature_names]


@pytest.mark.parametrize(("name", "level"), [e for e in EVERY if e != ("eGeMAPSv02", "lld_delta")])
def test_every_set_gives_what_the_package_gives(name: str, level: str, signal: np.ndarray) -> None:
    first = expected(signal, name, level)
    reverse = signal[::-1]
    for each, values in (
        (signal, first),
        (reverse, expected(reverse, name, level)),
        (signal, first),
    ):
        frames = extractor(name, level)(each)  # the first again: the one before leaves no trace
        assert frames.dtype == np.float32
        np.testing.assert_array_equal(frames, values)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        pytest.param(*each, marks=[] if each in SPOKEN else pytest.mark.exhaustive)
        for each in EVERY
        if each != ("eGeMAPSv02", "lld_delta")
    ],
)
def test_every_set_gives_of_real_speech_what_the_package_gives(
    name: str, level: str, speech: np.ndarray
) -> None:
    np.testing.assert_array_equal(extractor(name, level)(speech), expected(speech, name, level))


@pytest.mark.parametrize("name", COLUMNS)
def test_there_are_100_frames_a_second_and_one_row_of_functionals(
    name: str, signal: np.ndarray
) -> None:
    for level in ("lld", "lld_delta"):
        assert 0 <= len(signal) / 160 - len(extractor(name, level)(signal)) <= 5
    assert len(extractor(name, "functionals")(signal)) == 1


@pytest.mark.parametrize("name", WITH_DELTAS)
def test_the_levels_differ_in_length_and_are_cut_at_the_end(name: str, signal: np.ndarray) -> None:
    descriptors, deltas = (package(name, each)(signal, RATE)[0].T for each in ("lld", "lld_de"))
    assert len(deltas) == len(descriptors) + 2
    assert len(extractor(name, "lld_delta")(signal)) == len(descriptors)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_delta_belongs_to_the_moment_of_its_descriptor(name: str, signal: np.ndarray) -> None:
    frames = extractor(name, "lld_delta")(signal).astype(np.float64)
    half = frames.shape[1] // 2
    x, deltas = frames[:, :half], frames[2:-2, half:]
    slopes = (x[3:-1] - x[1:-3] + 2 * (x[4:] - x[:-4])) / 10
    near = np.isclose(deltas, slopes, rtol=1e-3, atol=1e-3 * np.abs(x).max(axis=0))
    # At the end openSMILE sees frames that we do not; and jitter, shimmer and HNR have deltas of
    # another kind in ComParE, only within voiced stretches.
    assert near[:-2].all(axis=0).mean() > 0.9


def test_the_deltas_of_egemaps_are_named_as_others_are() -> None:
    names = extractor("eGeMAPSv02", "lld_delta").names
    assert names[:25] == extractor("eGeMAPSv02", "lld").names
    assert names[25:] == tuple(f"{name}_de" for name in names[:25])


@pytest.mark.parametrize("name", COLUMNS)
def test_the_configuration_file_of_a_set_names_it(name: str) -> None:
    features = compose([f"features={name}"]).features
    assert features == FeaturesConfig(name=name)
    assert len(column_names(features)) == COLUMNS[name][0]


def test_levels_rates_and_sets_have_keys_of_their_own() -> None:
    digests = {
        recipe_digest(packaged_set(name, level), rate)
        for name, level in EVERY
        for rate in (RATE, 8000)
    }
    assert len(digests) == 2 * len(EVERY)


def test_the_name_of_a_set_is_not_part_of_its_key() -> None:
    chosen = packaged_set("IS09", "lld")
    assert recipe_digest(replace(chosen, name="mine"), RATE) == recipe_digest(chosen, RATE)


def test_a_signal_too_short_for_a_frame_is_refused(signal: np.ndarray) -> None:
    with pytest.raises(AudioError, match="no frames"):
        extractor("ComParE_2016", "functionals")(signal[:100])


@pytest.mark.parametrize("name", ["egemapsv02", "eGeMAPS"])
def test_a_name_in_other_letters_finds_the_set(name: str) -> None:
    with pytest.raises(RequestError, match="Did you mean 'eGeMAPSv02'"):
        compose([f"features={name}"])


def test_an_option_of_a_set_without_options_is_refused() -> None:
    with pytest.raises(RequestError, match=r"unknown setting 'features\.options\.bands'"):
        feature_set(FeaturesConfig(name="IS09", options={"bands": 3}))


@pytest.mark.exhaustive  # by day that of iaan45, which is read in the same pieces
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc to ask")
def test_long_audio_needs_little_memory() -> None:
    script = """
import numpy as np
from sercli.config.schema import FeaturesConfig
from sercli.features.sets import feature_set

signal = 0.1 * np.random.default_rng(0).normal(size=120 * 16000).astype(np.float32)
features = FeaturesConfig(name="IS10", level="lld_delta")
frames = feature_set(features).extractor(16000)(signal)
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(len(frames), int(peak) // 1024)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    frames, megabytes = map(int, said.stdout.split())
    assert frames == 11995
    assert megabytes < 300  # openSMILE would keep 600 MB of levels
