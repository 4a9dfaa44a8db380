"""Every kind of bad audio, on its own and all in one corpus."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import audiofile
import numpy as np
import pytest
import soundfile
from helpers import bad_audio
from helpers.bad_audio import CASES, RATE, READ, voice
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.schema import FeaturesConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.features.audio import AudioError, load_audio, read_audio
from sercli.features.extract import extract
from sercli.features.store import FeatureStore

NAN = math.nan


def _corpus(folder: Path, chosen: list[str]) -> Manifest:
    """One utterance of each case, called by it, between two good ones."""
    rows = []
    for number, what in enumerate(["good", *chosen, "good too"]):
        case = CASES.get(what, bad_audio.Case(CASES["24 bit"].write))
        audio = folder / str(number) / case.name
        audio.parent.mkdir(parents=True)
        case.write(audio)
        rows.append({"utterance": what, "audio": str(audio), "speaker": "s", "emotion": "n"})
    return build_manifest("bad", rows, {"n": "neutral"})


@pytest.mark.parametrize("workers", [1, 2])
def test_each_kind_is_read_or_refused_with_the_reason_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("sercli.features.jobs._WORTH_A_PROCESS", 1)
    manifest = _corpus(tmp_path / "audio", list(CASES))
    done = extract(manifest, FeaturesConfig(), tmp_path / "store", workers=workers)
    store = FeatureStore(tmp_path / "store")
    read = [what for what, case in CASES.items() if case.reason == READ]
    assert list(done.keys) == ["good", *read, "good too"]
    for key in done.keys.values():
        assert store.get(key).shape == (29, 45)
        assert store.damage(key) is None
    audio = dict(zip(manifest.table["utterance"], manifest.table["audio"], strict=True))
    assert sorted([*read, *done.refused]) == sorted(CASES)
    for what, refusal in done.refused.items():
        assert CASES[what].reason in refusal.reason
        assert refusal.file == audio[what]


@pytest.mark.parametrize("minutes", [4, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_long_audio_is_read_whole(tmp_path: Path, minutes: int) -> None:
    seconds = 60 * minutes
    manifest = _corpus(tmp_path / "audio", [])
    long = Path(manifest.table["audio"][0])
    soundfile.write(long, np.tile(voice(1, 8000), seconds), 8000, subtype="PCM_U8")
    done = extract(manifest, FeaturesConfig("log_mel", options={"bands": 4}), tmp_path / "store")
    assert done.seconds["good"] == seconds
    stored = FeatureStore(tmp_path / "store").find(done.keys["good"])
    assert stored is not None
    assert 100 * seconds - 10 <= stored.frames <= 100 * seconds


def _facts(folder: Path, samples: np.ndarray, rate: int = RATE, **how: str) -> AudioFacts:
    path = folder / "facts.wav"
    soundfile.write(path, samples, rate, **how)
    return load_audio(path, NAN, NAN, RATE)[1]


def test_the_facts_are_those_of_the_file_before_it_is_converted(tmp_path: Path) -> None:
    samples = np.stack([0.5 * np.sin(np.arange(9600)), np.zeros(9600)], axis=1)
    samples[100, 1] = -0.75
    facts = _facts(tmp_path, samples, 48000, subtype="FLOAT")
    assert (facts.seconds, facts.sampling_rate, facts.channels) == (0.2, 48000, 2)
    assert (facts.peak, facts.clipped_share) == (0.75, 0.0)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_clipping_is_seen_at_every_bit_depth(tmp_path: Path, subtype: str) -> None:
    samples = 0.5 * np.sin(np.arange(4800))
    samples[:1200] = 1
    samples[1200:1800] = -1
    facts = _facts(tmp_path, samples, subtype=subtype)
    assert facts.clipped_share == 1800 / 4800
    assert facts.peak > 0.99


def test_equal_sound_has_equal_content_whatever_the_file(tmp_path: Path) -> None:
    samples = np.round(voice() * 32768) / 32768
    wav = _facts(tmp_path, samples).content
    assert _facts(tmp_path, samples, format="FLAC").content == wav
    assert _facts(tmp_path, samples, subtype="PCM_24").content == wav
    assert _facts(tmp_path, samples[:-1]).content != wav
    assert _facts(tmp_path, samples, 8000).content != wav
    assert _facts(tmp_path, samples[::-1]).content != wav


def test_floats_that_overflow_when_they_are_added_are_refused(tmp_path: Path) -> None:
    samples = np.stack([voice(), voice()], axis=1).astype(np.float32)
    samples[1000] = 3e38
    with pytest.raises(AudioError, match="NaN or infinite"):
        _facts(tmp_path, samples, subtype="FLOAT")


def test_a_segment_of_audio_that_cannot_be_seeked_is_read(tmp_path: Path) -> None:
    path = tmp_path / "telephone.wav"
    soundfile.write(path, voice(2, 8000), 8000, subtype="GSM610")
    whole = read_audio(path, NAN, NAN, 8000)
    assert np.array_equal(read_audio(path, 0.5, 1.25, 8000), whole[4000:10000])
    assert np.array_equal(read_audio(path, 0.5, NAN, 8000), whole[4000:])
    with pytest.raises(AudioError, match=r"ends 1\.00 s after the audio"):
        read_audio(path, 1, 3, 8000)


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError(), ValueError(""), EOFError()])
def test_whatever_a_decoder_raises_refuses_one_file_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    manifest = _corpus(tmp_path / "audio", ["stereo"])
    bad = manifest.table["audio"][1]
    read, duration = audiofile.read, audiofile.duration

    def failing(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: str, *given: Any, **named: Any) -> Any:
            if file == bad:
                raise error
            return function(file, *given, **named)

        return call

    monkeypatch.setattr("audiofile.read", failing(read))
    monkeypatch.setattr("audiofile.duration", failing(duration))
    features = FeaturesConfig("log_mel", options={"bands": 4})
    done = extract(manifest, features, tmp_path / "store")
    assert list(done.keys) == ["good", "good too"]
    assert "not audio, or damaged: " in done.refused["stereo"].reason


def test_audio_beyond_the_memory_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "years.flac"
    soundfile.write(path, np.zeros((4800, 2)), RATE)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # STREAMINFO: the samples of the file, 36 bits, now some 50 days
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    monkeypatch.setattr("audiofile.read", None)
    with pytest.raises(AudioError, match=r"1193\.0 h in 2 channels is too long"):
        read_audio(path, NAN, NAN, RATE)


def test_a_signal_that_the_features_have_no_memory_for_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("sercli.features.spectral.SpectralExtractor.__call__", fail)
    features = FeaturesConfig("log_mel", options={"bands": 4})
    done = extract(_corpus(tmp_path / "audio", []), features, tmp_path / "store")
    assert {refusal.reason for refusal in done.refused.values()} == {
        "longer than the memory of this machine"
    }


@given(
    subtype=st.sampled_from(["PCM_16", "PCM_24", "FLOAT", "IMA_ADPCM"]),
    corrupted=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 4000),
)
def test_a_damaged_header_gives_finite_samples_or_a_refusal_and_never_another_error(
    tmp_path_factory: pytest.TempPathFactory,
    subtype: str,
    corrupted: list[tuple[int, int]],
    cut: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    soundfile.write(path, voice(), RATE, subtype=subtype)
    content = bytearray(path.read_bytes())
    for place, value in corrupted:
        content[place % len(content)] = value
    path.write_bytes(content[: len(content) - cut])
    with suppress(AudioError):
        assert np.isfinite(read_audio(path, NAN, NAN, RATE)).all()
