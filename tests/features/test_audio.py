from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from pathlib import Path

import audiofile
import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from sercli.features.audio import AudioError, read_audio

NAN = math.nan
RATE = 16000


@pytest.fixture
def samples(voice: Callable[..., np.ndarray]) -> np.ndarray:
    return voice(0.5)


@pytest.fixture
def wav(tmp_path: Path, samples: np.ndarray) -> Path:
    path = tmp_path / "voice.wav"
    wavfile.write(path, RATE, samples)
    return path


def _refused(path: Path, start: float = NAN, end: float = NAN) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path, start, end, RATE)
    return str(caught.value)


def test_16_bit_samples_come_out_unchanged(wav: Path, samples: np.ndarray) -> None:
    signal = read_audio(wav, NAN, NAN, RATE)
    assert signal.dtype == np.float32
    np.testing.assert_array_equal(signal * 32768, samples)


def test_channels_are_averaged(tmp_path: Path, samples: np.ndarray) -> None:
    path = tmp_path / "stereo.wav"
    wavfile.write(path, RATE, np.stack([samples, np.zeros_like(samples)], axis=1))
    np.testing.assert_allclose(read_audio(path, NAN, NAN, RATE) * 65536, samples)


@pytest.mark.parametrize("bits", [8, 24, 32])
def test_other_bit_depths_are_read(tmp_path: Path, samples: np.ndarray, bits: int) -> None:
    path = tmp_path / f"{bits}.wav"
    audiofile.write(str(path), samples / 32768, RATE, bit_depth=bits)
    np.testing.assert_allclose(
        read_audio(path, NAN, NAN, RATE), samples / 32768, atol=2.0 ** (1 - min(bits, 20))
    )


@pytest.mark.parametrize("rate", [8000, 24000, 96000])
def test_other_sampling_rates_are_resampled(
    tmp_path: Path, voice: Callable[..., np.ndarray], rate: int
) -> None:
    path = tmp_path / "voice.flac"
    audiofile.write(str(path), voice(0.5, rate=rate) / 32768, rate)
    signal = read_audio(path, NAN, NAN, RATE)
    assert signal.size == 0.5 * RATE
    assert np.argmax(np.abs(np.fft.rfft(signal))) == 200 * 0.5  # the first harmonic


def test_a_segment_is_cut_out(wav: Path, samples: np.ndarray) -> None:
    signal = read_audio(wav, 0.1, 0.3, RATE)
    np.testing.assert_array_equal(signal * 32768, samples[1600:4800])
    np.testing.assert_array_equal(read_audio(wav, 0.1, NAN, RATE) * 32768, samples[1600:])
    np.testing.assert_array_equal(read_audio(wav, NAN, 0.3, RATE) * 32768, samples[:4800])


def test_a_segment_may_end_a_little_after_the_audio(wav: Path) -> None:
    assert read_audio(wav, 0.1, 0.52, RATE).size == 0.4 * RATE
    assert "0.30 s after the audio" in _refused(wav, 0.1, 0.8)
    assert "after the audio" in _refused(wav, 3.0, 4.0)


@pytest.mark.parametrize(("start", "end"), [(0.3, 0.1), (0.2, 0.2), (-1.0, 0.2)])
def test_a_segment_that_is_none_is_refused(wav: Path, start: float, end: float) -> None:
    assert "is empty or begins before 0" in _refused(wav, start, end)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert _refused(tmp_path / "none.wav") == "no such file"


def test_a_broken_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    assert _refused(tmp_path / "link.wav") == "no such file"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "directory" in _refused(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    assert _refused(tmp_path / "empty.wav") == "empty file (0 bytes)"


def test_a_git_lfs_pointer_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "pointer.wav"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git lfs pull" in _refused(path)


@pytest.mark.parametrize("name", ["text.wav", "text.flac", "text.mp3"])
def test_what_is_not_audio_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("this is no audio\n" * 100)
    assert "not audio" in _refused(tmp_path / name)


def test_a_format_that_needs_ffmpeg_is_refused_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "clip.mp4").write_bytes(bytes(100))
    assert ".mp4 is read by ffmpeg only" in _refused(tmp_path / "clip.mp4")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_truncated_wav_is_refused(wav: Path, share: float) -> None:
    whole = wav.read_bytes()
    wav.write_bytes(whole[: int(share * len(whole))])
    assert "truncated" in _refused(wav)


def test_a_wav_that_ends_after_its_header_is_refused(wav: Path) -> None:
    wav.write_bytes(wav.read_bytes()[:44])
    assert "truncated: 0 of 16000 bytes" in _refused(wav)


def test_a_truncated_wav_with_a_chunk_before_the_data_is_refused(
    wav: Path, samples: np.ndarray
) -> None:
    whole = wav.read_bytes()
    note = b"LIST" + struct.pack("<I", 5) + b"hello" + b"\0"
    wav.write_bytes(whole[:36] + note + whole[36:])
    np.testing.assert_array_equal(read_audio(wav, NAN, NAN, RATE) * 32768, samples)
    wav.write_bytes(wav.read_bytes()[:8000])
    assert "truncated" in _refused(wav)


def test_a_wav_written_into_a_pipe_is_read(wav: Path, samples: np.ndarray) -> None:
    whole = bytearray(wav.read_bytes())
    whole[4:8] = whole[40:44] = b"\xff\xff\xff\xff"
    wav.write_bytes(whole)
    assert read_audio(wav, NAN, NAN, RATE).size == samples.size


def test_a_truncated_flac_is_refused(tmp_path: Path, samples: np.ndarray) -> None:
    path = tmp_path / "voice.flac"
    audiofile.write(str(path), samples / 32768, RATE)
    path.write_bytes(path.read_bytes()[:-3000])
    assert "damaged" in _refused(path)


@pytest.mark.parametrize("value", [0, 1000])
def test_silence_is_refused(tmp_path: Path, value: int) -> None:
    path = tmp_path / "silent.wav"
    wavfile.write(path, RATE, np.full(8000, value, np.int16))
    assert "silent" in _refused(path)


def test_silence_in_8_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    wavfile.write(path, RATE, np.full(8000, 128, np.uint8))
    assert "silent" in _refused(path)


@pytest.mark.parametrize("milliseconds", [0, 5, 59])
def test_audio_shorter_than_a_frame_is_refused(
    tmp_path: Path, samples: np.ndarray, milliseconds: int
) -> None:
    path = tmp_path / "short.wav"
    wavfile.write(path, RATE, samples[: 16 * milliseconds])
    assert f"{milliseconds} ms long, shorter than one frame (60 ms)" in _refused(path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_samples_that_are_no_numbers_are_refused(
    tmp_path: Path, samples: np.ndarray, value: float
) -> None:
    path = tmp_path / "float.wav"
    floats = (samples / 32768).astype(np.float32)
    floats[100] = value
    wavfile.write(path, RATE, floats)
    assert "NaN or infinite" in _refused(path)


FORMATS = ["WAV", "AIFF", "CAF", "AU", "RF64", "W64"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("endian", ["FILE", "BIG"])
def test_whatever_has_a_header_is_read_whole_and_refused_when_truncated(
    tmp_path: Path, samples: np.ndarray, kind: str, endian: str
) -> None:
    if endian == "BIG" and kind in ("RF64", "W64"):
        pytest.skip("little-endian only")
    path = tmp_path / f"voice.{kind.lower()}"
    soundfile.write(path, samples, RATE, format=kind, subtype="PCM_16", endian=endian)
    np.testing.assert_array_equal(read_audio(path, NAN, NAN, RATE) * 32768, samples)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert re.search("truncated|damaged", _refused(path))


@pytest.mark.parametrize(
    ("kind", "name"), [("AIFF", "a.aiff"), ("CAF", "a.caf"), ("OGG", "a.opus")]
)
def test_a_damaged_file_is_not_blamed_on_a_missing_decoder(
    tmp_path: Path,
    samples: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    name: str,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / name
    subtype = "OPUS" if kind == "OGG" else "PCM_16"
    soundfile.write(path, samples, RATE, format=kind, subtype=subtype)
    whole = path.read_bytes()
    damaged = [whole[:40], whole[:4] + bytes(len(whole))]
    for content in damaged:
        path.write_bytes(content)
        assert re.match("not audio, or damaged|truncated", _refused(path))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_channels_that_cancel_are_refused(tmp_path: Path, samples: np.ndarray, gain: float) -> None:
    path = tmp_path / "inverted.wav"
    one = (gain * samples).astype("int16")
    wavfile.write(path, RATE, np.stack([one, -one + 1], axis=1))
    assert "the channels cancel each other" in _refused(path)
