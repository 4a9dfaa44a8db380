"""How many times faster than real time is extraction, per core?

    .venv/bin/python benchmarks/extract_speed.py CORPUS_OF_NEMO

One process; CPU time, so that other work on the machine counts little. Reading, resampling,
hashing and storing are included, the start of Python is not. Beside it openSMILE alone, through
its Python package, on the same signals decoded and resampled beforehand: the reference.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import opensmile

from sercli.config.compose import compose
from sercli.corpora.read import read_corpus
from sercli.features.audio import read_audio
from sercli.features.extract import extract
from sercli.features.sets import feature_set


def main(root: str) -> None:
    """Measure both on the nEMO corpus at ``root``."""
    config = compose(["dataset=nemo", f"dataset.root={root}"])
    manifest = read_corpus(config.dataset)

    with tempfile.TemporaryDirectory() as store:
        began = time.process_time()
        extraction = extract(manifest, config.features, Path(store), workers=1)
        ours = time.process_time() - began
    seconds = sum(extraction.seconds.values())

    rate = config.features.sampling_rate
    whole = float("nan")
    signals = [read_audio(Path(path), whole, whole, rate) for path in manifest.table["audio"]]
    chosen = feature_set(config.features.name)
    smile = opensmile.Smile(str(chosen.configuration), chosen.level)
    began = time.process_time()
    for signal in signals:
        smile.process_signal(signal, rate)
    reference = time.process_time() - began

    say = sys.stdout.write
    say(f"{len(signals)} utterances, {seconds / 60:.1f} min of audio\n")
    say(f"sercli extract, one process: {seconds / ours:.0f} x real time per core\n")
    say(f"opensmile.Smile.process_signal: {seconds / reference:.0f} x real time per core\n")
    say(f"ratio of CPU time, sercli / opensmile package: {ours / reference:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1])
