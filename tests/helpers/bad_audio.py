"""Audio files as researchers find them, each with the reason why it is refused or read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000

READ = ""
"""The reason of a file that is not refused."""


@dataclass(frozen=True)
class Case:
    """A file.

    Attributes:
        write: Writes it to a path.
        reason: A part of the reason why it is refused; empty: it is read.
        name: Name of the file.
    """

    write: Callable[[Path], object]
    reason: str = READ
    name: str = "speech.wav"


def voice(seconds: float = 0.3, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Harmonics and a little breath, float64 within ±0.6."""
    time = np.arange(round(seconds * rate)) / rate
    harmonics = sum(0.1 / n * np.sin(2 * np.pi * n * 180 * time) for n in range(1, 6))
    return harmonics + 0.01 * np.random.default_rng(seed).normal(size=time.size)


def _sound(
    samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16", kind: str = "WAV"
) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            soundfile.write(file, samples, rate, subtype=subtype, format=kind)

    return write


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _truncated(path: Path) -> None:
    _sound(voice())(path)
    path.write_bytes(path.read_bytes()[:3000])


def _cut(subtype: str, kind: str, cut: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Four seconds in a compressed format, of which ``cut`` leaves a part."""

    def write(path: Path) -> None:
        _sound(voice(4), subtype=subtype, kind=kind)(path)
        path.write_bytes(cut(path.read_bytes()))

    return write


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _without_last_page(content: bytes) -> bytes:
    return content[: content.rindex(b"OggS")]


def _tagged(path: Path) -> None:
    """MP3 with an ID3v2 tag before it and an ID3v1 tag behind it."""
    _sound(voice(), subtype="MPEG_LAYER_III", kind="MP3")(path)
    path.write_bytes(b"ID3\4\0\0\0\0\1\0" + bytes(128) + path.read_bytes() + b"TAG" + bytes(125))


def _unreadable(path: Path) -> None:
    _sound(voice())(path)
    path.chmod(0)


def _with(value: float) -> np.ndarray:
    samples = voice()
    samples[1000] = value
    return samples


CASES: dict[str, Case] = {
    "zero bytes": Case(_bytes(b""), "empty file"),
    "truncated RIFF": Case(_truncated, "truncated: "),
    "truncated Ogg Vorbis": Case(_cut("VORBIS", "OGG", _half), "truncated: ", "speech.ogg"),
    "truncated Ogg Opus": Case(_cut("OPUS", "OGG", _half), "truncated: ", "speech.opus"),
    "Ogg without its last page": Case(
        _cut("OPUS", "OGG", _without_last_page), "truncated, or never finished", "speech.opus"
    ),
    "truncated MP3": Case(_cut("MPEG_LAYER_III", "MP3", _half), "truncated: ", "speech.mp3"),
    "truncated FLAC": Case(_cut("PCM_16", "FLAC", _half), "damaged", "speech.flac"),
    "Ogg Vorbis": Case(_sound(voice(), subtype="VORBIS", kind="OGG"), name="speech.ogg"),
    "MP3 with tags": Case(_tagged, name="speech.mp3"),
    "RIFF cut off in its header": Case(_bytes(b"RIFF\x24\x00"), "not audio, or damaged"),
    "Git LFS pointer": Case(
        _bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "Git LFS pointer",
    ),
    "text called .wav": Case(_bytes(b"no audio at all\n" * 99), "not audio, or damaged"),
    "FLAC called .wav": Case(_sound(voice(), kind="FLAC")),
    "WAV called .mp3": Case(_sound(voice()), name="speech.mp3"),
    "WAV called .m4a": Case(_sound(voice()), name="speech.m4a"),
    "WAV without suffix": Case(_sound(voice()), name="speech"),
    "stereo": Case(_sound(np.stack([voice(), voice(seed=1)], axis=1))),
    "8 bit": Case(_sound(voice(), subtype="PCM_U8")),
    "24 bit": Case(_sound(voice(), subtype="PCM_24")),
    "32-bit float": Case(_sound(voice(), subtype="FLOAT")),
    "float with NaN": Case(_sound(_with(np.nan), subtype="FLOAT"), "NaN or infinite"),
    "float with Inf": Case(_sound(_with(np.inf), subtype="FLOAT"), "NaN or infinite"),
    "8 kHz": Case(_sound(voice(rate=8000), 8000)),
    "96 kHz": Case(_sound(voice(rate=96000), 96000)),
    "silent": Case(_sound(np.zeros(4800)), "silent"),
    "clipped": Case(_sound(np.clip(20 * voice(), -1, 1))),
    "5 ms": Case(_sound(voice(0.005)), "5 ms long"),
    "a broken link": Case(lambda path: path.symlink_to(path.with_name("gone")), "no such file"),
    "a folder": Case(lambda path: path.mkdir(), "no file but a directory"),
    "a pipe": Case(os.mkfifo, "no file but a directory, a pipe"),
    "AppleDouble": Case(
        _bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(200)),
        "not audio, or damaged",
        name="._speech.wav",
    ),
    "spaces and parentheses": Case(_sound(voice()), name="my speech (final) [2].wav"),
    "non-ASCII letters": Case(_sound(voice()), name="Grüße – zażółć 声.wav"),
    "no permission": Case(_unreadable, "Permission denied"),
}
"""Kind of file → the file."""

if os.geteuid() == 0:
    del CASES["no permission"]  # nothing is unreadable to root
