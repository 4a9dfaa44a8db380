from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.corpus_factory import add, read

from sercli.corpora.manifest import Refusal
from sercli.features.audio import read_audio


def test_calm_is_not_neutral(tmp_path: Path) -> None:
    add(tmp_path, "Calm/1234_sk_algi.wav", "Happy/1234_mt_algi.wav", "Sad/7895_hl_ogul1.wav")
    manifest = read("turev", tmp_path)
    assert manifest.table["emotion"].tolist() == ["Calm", "Happy", "Sad"]
    assert manifest.targets["label"].tolist() == ["happiness", "sadness"]
    assert read("turev_full", tmp_path).targets["label"][0] == "calm"
    assert manifest.refused == ()


@pytest.mark.parametrize("above", ["", "TurEV-DB-master/"])
def test_filtered_copies_of_the_audio_are_passed_over(tmp_path: Path, above: str) -> None:
    copies = "Model Output for Test Data/testEmotions500HighPass/sound"
    add(
        tmp_path,
        f"{above}{copies}/Angry/1157_kz_acik.wav",
        f"{above}Normalized Resized Spectrograms/Angry/1157_kz_acik.jpg",
        f"{above}Sound Source/Angry/1157_kz_acik.wav",
    )
    manifest = read("turev", tmp_path)
    source = tmp_path / f"{above}Sound Source/Angry/1157_kz_acik.wav"
    assert manifest.table["audio"].tolist() == [str(source)]
    assert manifest.refused == ()


def test_a_file_in_the_folder_of_another_emotion_is_refused(tmp_path: Path) -> None:
    add(tmp_path, "Sad/1157_kz_acik.wav", "Angry/1157_kz_dil.wav", "flat/1157_hl_dil.wav")
    manifest = read("turev", tmp_path)
    assert manifest.table["utterance"].tolist() == ["1157_kz_dil", "1157_hl_dil"]
    reason = "is in the folder Sad, but its name says Angry"
    assert manifest.refused == (Refusal("Sad/1157_kz_acik.wav", reason),)


def test_audio_behind_a_list_chunk_is_read(tmp_path: Path) -> None:
    samples = (np.sin(np.arange(4410)) * 10_000).astype("<i2")
    chunks = [
        (b"fmt ", struct.pack("<HHIIHH", 1, 1, 44_100, 88_200, 2, 16)),
        (b"LIST", b"INFOISFT" + struct.pack("<I", 14) + b"Lavf57.83.100\0"),
        (b"data", samples.tobytes()),
    ]
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    add(tmp_path, "Angry/1157_kz_acik.wav", content=b"RIFF" + struct.pack("<I", len(body)) + body)
    audio = Path(read("turev", tmp_path).table["audio"][0])
    read_back = read_audio(audio, float("nan"), float("nan"), 44_100)
    np.testing.assert_allclose(read_back, samples / 2**15, atol=1e-6)
