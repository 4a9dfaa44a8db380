"""How a store of 200 000 utterances opens and is read for training, and in how much memory?

    .venv/bin/python benchmarks/large_store.py FOLDER

The store is simulated: made-up frames of 0.4 to 1.6 s, 4 GB in FOLDER, which is removed
afterwards. The batches are drawn at random over the whole store, as in a first epoch; memory is
what the system counts for the process, pages of the map included.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sercli.config.schema import FeaturesConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.manifest import build_manifest
from sercli.features.load import load_features
from sercli.features.store import Entry, FeatureStore

UTTERANCES = 200_000
SPEAKERS = 1_500
BATCH = 32
BATCHES = 1_500


def key(number: int) -> str:
    """A key like those of real audio."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def make(folder: Path) -> None:
    """Fill the store."""
    frames = np.random.default_rng(0).normal(size=(160, 45)).astype(np.float32)
    with FeatureStore(folder, write=True) as store:
        for first in range(0, UTTERANCES, 4000):
            store.put(
                Entry(key(each), frames[: 40 + each * 7 % 121], _facts(each))
                for each in range(first, first + 4000)
            )


def _facts(number: int) -> AudioFacts:
    return AudioFacts(1.0, 16000, 1, peak=0.5, clipped_share=0.0, content=key(-number))


def timed(what: str, run: Callable[[], object]) -> None:
    """Say how long ``run`` took, and how much memory the process has ever had."""
    began = time.perf_counter()
    run()
    took = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{what}: {took:.3f} s; most memory so far {memory:.0f} MB\n")


def main(folder: Path) -> None:
    """Measure in ``folder``."""
    names = [f"utterance_{each:06d}" for each in range(UTTERANCES)]
    rows = (
        {"utterance": name, "audio": f"{name}.wav", "speaker": f"s{n % SPEAKERS}", "emotion": "n"}
        for n, name in enumerate(names)
    )
    manifest = build_manifest("simulated", rows, {"n": "neutral"})
    keys = {name: key(each) for each, name in enumerate(names)}
    maker = multiprocessing.get_context("spawn").Process(target=make, args=(folder,))
    maker.start()
    maker.join()
    timed("opening, and one utterance", lambda: FeatureStore(folder).get(key(1)))
    steps = {}
    settings = FeaturesConfig()
    timed(
        "lengths and statistics of all speakers",
        lambda: steps.update(all=load_features(manifest, keys, folder, settings)),
    )
    order = np.random.default_rng(1).permutation(UTTERANCES)[: BATCH * BATCHES]
    timed(
        f"{BATCHES} batches of {BATCH}",
        lambda: [steps["all"][names[each]] for each in order],
    )


if __name__ == "__main__":
    place = Path(sys.argv[1]) / "large_store"
    try:
        main(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
