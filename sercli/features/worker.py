"""What one process does in an extraction: audio in, frames out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sercli.features.audio import AudioError, hear_audio
from sercli.features.sets import Extractor, FeatureSet
from sercli.features.store import Entry


@dataclass(frozen=True)
class Job:
    """A stretch of audio whose frames the store lacks.

    Attributes:
        key: Its key in the store.
        audio: The audio file.
        start: Seconds into the file; NaN: from its beginning.
        end: Seconds into the file; NaN: to its end.
    """

    key: str
    audio: str
    start: float
    end: float


@dataclass(frozen=True)
class Outcome:
    """What became of some jobs.

    Attributes:
        entries: What the store should hold.
        refused: Key → why there is nothing to store.
    """

    entries: list[Entry]
    refused: dict[str, str]

    @property
    def keys(self) -> list[str]:
        """The keys of all of these jobs."""
        return [entry.key for entry in self.entries] + list(self.refused)


def run_jobs(jobs: Sequence[Job], features: FeatureSet, sampling_rate: int) -> Outcome:
    """Extract the frames of each job, and go on after those that cannot be used."""
    extract = _extractor(features, sampling_rate)
    outcome = Outcome([], {})
    for job in jobs:
        try:
            signal, facts = hear_audio(Path(job.audio), job.start, job.end, sampling_rate)
            outcome.entries.append(Entry(job.key, extract(signal), facts))
        except AudioError as refusal:
            outcome.refused[job.key] = str(refusal)
    return outcome


@functools.cache
def _extractor(features: FeatureSet, sampling_rate: int) -> Extractor:
    """Set openSMILE up once in each process."""
    return features.extractor(sampling_rate)
