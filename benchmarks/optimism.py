"""Measure the optimism of the best dev UA of many trials, and of its corrected value.

    .venv/bin/python benchmarks/optimism.py

Simulated: ten speakers, four classes, as many utterances as in IEMOCAP, and trials of known true
UA. Speakers differ, and each trial suits some speakers better than others. The results are in
samplers.md. Takes a minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from sercli.analysis.optimism import best_of

SPEAKERS, CLASSES, EACH = 10, 4, 138
REPEATS = 60
SPEAKER_SD = 0.04
"""Standard deviation over speakers, in recall."""
LIKING_SD = 0.02
"""Standard deviation of the interaction of trial and speaker, in recall."""


def simulate(quality: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the results of trials of known true UA: right and all utterances (see `best_of`)."""
    speaker = random.normal(scale=SPEAKER_SD, size=(1, SPEAKERS, 1))
    liking = random.normal(scale=LIKING_SD, size=(len(quality), SPEAKERS, 1))
    recall = np.broadcast_to(
        quality[:, None, None] + speaker + liking, (len(quality), SPEAKERS, CLASSES)
    )
    right = random.binomial(EACH, recall).astype(float)
    return right, np.full((SPEAKERS, CLASSES), float(EACH))


def main(write: Callable[[str], object]) -> None:
    """Print the mean error of the apparent and of the corrected UA, in percentage points."""
    random = np.random.default_rng(0)
    write("| trials | true UA | apparent | corrected | truth in the interval | seconds |\n")
    write("|---|---|---|---|---|---|\n")
    for trials in (2, 20, 100, 500):
        for spread in (0.0, 0.02):
            errors, covered, began = [], [], time.perf_counter()
            for _ in range(REPEATS):
                quality = 0.65 + random.normal(scale=spread, size=trials)
                right, total = simulate(quality, random)
                truth = quality[right.sum(axis=(1, 2)).argmax()]
                found = best_of(right, total)
                errors.append((found.dev_ua - truth, found.corrected - truth))
                covered.append(found.interval[0] <= truth <= found.interval[1])
            apparent, corrected = 100 * np.mean(errors, axis=0)
            seconds = (time.perf_counter() - began) / REPEATS
            name = "all alike" if spread == 0 else f"sd {100 * spread:.0f}"
            write(f"| {trials} | {name} | {apparent:+.2f} | {corrected:+.2f} ")
            write(f"| {100 * np.mean(covered):.0f} % | {seconds:.2f} |\n")


if __name__ == "__main__":
    main(sys.stdout.write)
