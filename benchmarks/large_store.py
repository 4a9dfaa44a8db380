"""Measure a feature store of 200 000 utterances: opening, training batches and memory.

    .venv/bin/python benchmarks/large_store.py FOLDER [UTTERANCES]

The store is simulated: made-up frames of 0.4 to 1.6 s, 4 GB in FOLDER, which is removed
afterwards. Batches are drawn at random over the whole store, as in a first epoch, once after the
files have been dropped from the page cache and once with them cached. Memory is the peak resident
set size of the process.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from sercli.config.schema import FeaturesConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.manifest import build_manifest
from sercli.features.load import load_features
from sercli.features.store import FeatureStore

SPEAKERS = 1_500
BATCH = 32
BATCHES = 1_500


def key(number: int) -> str:
    """A key like those of real audio."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def make(folder: Path, utterances: int) -> None:
    """Fill the store."""
    frames = np.random.default_rng(0).normal(size=(160, 45)).astype(np.float32)
    store = FeatureStore(folder, create=True)
    for each in range(utterances):
        store.put(key(each), frames[: 40 + each * 7 % 121], _facts(each))


def _facts(number: int) -> AudioFacts:
    return AudioFacts(1.0, 16000, 1, peak=0.5, clipped_share=0.0, content=key(-number))


def drop_cache(files: Iterable[Path]) -> None:
    """Ask the system to drop files from its page cache."""
    os.sync()  # what is not written yet cannot be dropped
    for path in files:
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def timed(what: str, run: Callable[[], object]) -> None:
    """Print wall-clock and CPU time of ``run``, and the peak memory of the process so far."""
    began, cpu = time.perf_counter(), time.process_time()
    run()
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{what}: {took:.3f} s, CPU {cpu:.3f} s; peak memory {memory:.0f} MB\n")
    sys.stdout.flush()


def main(folder: Path, utterances: int) -> None:
    """Measure in ``folder``."""
    names = [f"utterance_{each:06d}" for each in range(utterances)]
    rows = (
        {"utterance": name, "audio": f"{name}.wav", "speaker": f"s{n % SPEAKERS}", "emotion": "n"}
        for n, name in enumerate(names)
    )
    manifest = build_manifest("simulated", rows, {"n": "neutral"})
    keys = {name: key(each) for each, name in enumerate(names)}
    maker = multiprocessing.get_context("spawn").Process(target=make, args=(folder, utterances))
    timed("writing", lambda: (maker.start(), maker.join()))
    timed("opening, and one utterance", lambda: FeatureStore(folder).get(key(1)))
    steps = {}
    settings = FeaturesConfig()
    timed(
        "lengths and statistics of all speakers",
        lambda: steps.update(all=load_features(manifest, keys, folder, settings)),
    )
    order = np.random.default_rng(1).permutation(utterances)[: 2 * BATCH * BATCHES]
    drop_cache(path for path in folder.rglob("*") if path.is_file())
    half = len(order) // 2
    for what, chosen in (("not cached", order[:half]), ("cached", order[half:])):
        if what == "cached":
            for each in chosen:
                FeatureStore(folder).get(keys[names[each]])
        timed(
            f"{len(chosen) // BATCH} batches of {BATCH}, {what}",
            lambda chosen=chosen: [steps["all"][names[each]] for each in chosen],
        )


if __name__ == "__main__":
    place = Path(sys.argv[1]) / "large_store"
    try:
        main(place, int(sys.argv[2]) if len(sys.argv) > 2 else 200_000)
    finally:
        shutil.rmtree(place, ignore_errors=True)
