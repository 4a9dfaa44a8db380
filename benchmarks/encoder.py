"""CPU time of feature extraction by a speech encoder, relative to transformers alone.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/encoder.py

A random wav2vec 2.0 of base size encodes ten signals of 4 s, which takes about a minute. `sercli`
extracts them into a store; a loop over transformers encodes the same signals and keeps nothing.
Both run in turns on two signals each, after one signal that loads the model. Then `sercli extract`
reads the store. Results: benchmarks/encoder.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from transformers import AutoModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import build_manifest
from sercli.features.extract import extract

RATE = 16000
SECONDS = 4
SIGNALS = 10
TOGETHER = 2
CLASSES = {"joy": "happy", "anger": "angry"}


def write_encoder(folder: Path) -> None:
    """Write a random wav2vec 2.0 of base size."""
    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=RATE, do_normalize=True, return_attention_mask=False
    ).save_pretrained(folder)


def write_corpus(folder: Path) -> pd.DataFrame:
    """Write signals and a manifest of them; return the manifest."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(SIGNALS + 1):
        audio = folder / f"{number}.wav"
        soundfile.write(audio, rng.normal(0, 0.1, SECONDS * RATE), RATE)
        rows.append(
            {
                "utterance": f"u{number}",
                "audio": str(audio),
                "speaker": f"s{number % 5}",
                "emotion": ("joy", "anger")[number % 2],
            }
        )
    table = pd.DataFrame(rows)
    table.to_csv(folder / "corpus.csv", index=False)
    return table


def compare(table: pd.DataFrame, encoder: Path, store: Path) -> list[float]:
    """Return CPU time of extraction over that of transformers, per block of signals."""
    processor = Wav2Vec2FeatureExtractor.from_pretrained(encoder)
    model = AutoModel.from_pretrained(encoder).eval()
    features = FeaturesConfig("encoder", path=str(encoder))

    def ours(rows: pd.DataFrame) -> None:
        manifest = build_manifest("noise", rows.to_dict("records"), CLASSES)
        done = extract(manifest, features, store)
        assert done.extracted == len(rows)

    def alone(rows: pd.DataFrame) -> None:
        for audio in rows["audio"]:
            signal, _ = soundfile.read(audio, dtype="float32")
            values = processor(signal, sampling_rate=RATE, return_tensors="pt").input_values
            with torch.inference_mode():
                model(values).last_hidden_state.numpy()

    for run in (ours, alone):  # load the model
        run(table[SIGNALS:])
    ratios = []
    for first in range(0, SIGNALS, TOGETHER):
        rows = table[first : first + TOGETHER]
        order = (ours, alone) if first // TOGETHER % 2 else (alone, ours)
        seconds = {}
        for run in order:
            began = time.process_time()
            run(rows)
            seconds[run] = time.process_time() - began
        ratios.append(seconds[ours] / seconds[alone])
        print(f"{seconds[ours]:.2f} s, transformers {seconds[alone]:.2f} s", flush=True)
    return ratios


def read_again(folder: Path, encoder: Path, store: Path) -> None:
    """Print the time of `sercli extract` on a store that has all frames."""
    command = [
        *(sys.executable, "-m", "sercli", "extract", "--quiet", "dataset=manifest"),
        *(f"dataset.root={folder / 'corpus.csv'}", "features=encoder", f"features.path={encoder}"),
        *("dataset.classes={joy: happy, anger: angry}", f"paths.store={store}"),
        f"paths.data={folder / 'data'}",
    ]
    for _ in range(2):
        before, began = os.times(), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        used = sum(after[2:4]) - sum(before[2:4])
        print(f"from the store: {used:.1f} s of CPU, {time.perf_counter() - began:.1f} s")


def main() -> None:
    """Run both measurements."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        encoder, store = folder / "encoder", folder / "store"
        write_encoder(encoder)
        table = write_corpus(folder)
        ratios = compare(table, encoder, store)
        print(f"ratio: median {np.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
        read_again(folder, encoder, store)


if __name__ == "__main__":
    main()
