"""Extraction jobs, and the pool of processes that runs them."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sercli.corpora.audio_stats import AudioFacts
from sercli.errors import SercliError
from sercli.features.arrays import ArrayReader
from sercli.features.audio import AudioError, Change, expected_seconds, load_audio
from sercli.features.sets import Extractor, FeatureSet
from sercli.features.store import FeatureStore
from sercli.processes import limit_memory, possible_workers, worker_pool
from sercli.progress import SILENT, Progress

_BATCH = 8
"""Jobs that are handed out together (our choice)."""

_AHEAD = 2
"""Batches handed out per worker, so that none waits for this process (our choice)."""

_ADDRESS_SPACE = 24 << 30
"""Bytes of address space of a worker: the longest audio, some copies of it, and the libraries."""

_CRASHES = "the process that decodes it crashes, or needs more memory than there is"

_MOST_CRASHES = 16
"""Crashes after which the machine, not the audio, is taken for the cause (our choice)."""

_WORTH_A_PROCESS = 128
"""Utterances that take about as long as a process takes to start (our measurement)."""


@dataclass(frozen=True)
class Job:
    """An audio segment whose frames are to be extracted.

    Attributes:
        key: Its key in the store.
        audio: The audio file.
        start: Seconds into the file; NaN: its beginning.
        end: Seconds into the file; NaN: its end.
        array: File with the frames, of sets that read them (`sercli.features.arrays`).
        text: Key of the steps of the transcript, of sets that read it (`sercli.features.text`).
    """

    key: str
    audio: str
    start: float
    end: float
    array: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class JobResults:
    """The results of some jobs.

    Attributes:
        extracted: Key → facts of the audio, for frames that were computed and stored.
        found: The same for frames that another extraction has stored meanwhile.
        refused: Key → reason why the audio cannot be used.
    """

    extracted: dict[str, AudioFacts] = field(default_factory=dict)
    found: dict[str, AudioFacts] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def update(self, other: JobResults) -> None:
        """Add the results of other jobs."""
        self.extracted.update(other.extracted)
        self.found.update(other.found)
        self.refused.update(other.refused)


Run = Callable[[Sequence[Job]], JobResults]


def run_jobs(
    jobs: Sequence[Job],
    store: FeatureStore,
    features: FeatureSet,
    sampling_rate: int,
    change: Change | None = None,
) -> JobResults:
    """Extract and store the frames of each job; audio that cannot be used is passed over.

    A change of the signals before extraction draws from a generator seeded by the key of each.

    Raises:
        SercliError: The store cannot be written.
    """
    extract = _extractor(features, sampling_rate)
    results = JobResults()
    for job in jobs:
        if stored := store.find(job.key):
            results.found[job.key] = stored.facts
            continue
        try:
            signal, facts = load_audio(Path(job.audio), job.start, job.end, sampling_rate)
            if change is not None:
                signal = change(signal, sampling_rate, np.random.default_rng(int(job.key, 16)))
            frames = _frames(job, signal, facts, extract, store)
        except AudioError as refusal:
            results.refused[job.key] = str(refusal)
        except MemoryError:
            results.refused[job.key] = "longer than the memory of this machine"
        else:
            store.put(job.key, frames, facts)
            results.extracted[job.key] = facts
    return results


def _frames(
    job: Job, signal: np.ndarray, facts: AudioFacts, extract: Extractor, store: FeatureStore
) -> np.ndarray:
    if isinstance(extract, ArrayReader) and job.array is not None:
        return extract.read(Path(job.array), facts.seconds)
    if job.text is not None:
        return store.get_stored(job.text)
    return extract(signal)


@functools.cache
def _extractor(features: FeatureSet, sampling_rate: int) -> Extractor:
    """Set openSMILE up once in each process."""
    return features.extractor(sampling_rate)


def run_in_pool(
    jobs: Sequence[Job], run: Run, workers: int = 1, progress: Progress = SILENT
) -> JobResults:
    """Run all jobs in a pool of workers, in random order.

    Because of the order, two extractions that fill one store at the same time are rarely at the
    same utterance, and each passes over what the other has stored.

    If a worker dies, the jobs that were handed out are run one by one, each in a process of its
    own; audio at which a decoder crashes is refused then, and the rest goes on.

    Raises:
        SercliError: The store cannot be written, or workers die again and again. Frames that were
            stored before stay.
    """
    results = JobResults()
    hours = {job.key: expected_seconds(job.audio, job.start, job.end) / 3600 for job in jobs}
    batches = _batches(random.sample(jobs, len(jobs)))
    with progress.task("extracting features", total=sum(hours.values()), unit="h") as bar:
        while True:
            given: list[list[Job]] = []
            with (
                _worker_pool(workers, len(jobs), progress) as pool,
                closing(_completed(pool, run, batches, _AHEAD * workers, given)) as completed,
            ):
                for batch, result in completed:
                    results.update(result)
                    bar.advance(sum(hours[job.key] for job in batch))
            if not given:
                return results
            for job in itertools.chain(*given):
                results.update(_run_alone(job, run, results))
                bar.advance(hours[job.key])


def _completed(
    pool: Executor, run: Run, batches: Iterator[list[Job]], ahead: int, given: list[list[Job]]
) -> Generator[tuple[list[Job], JobResults]]:
    """Yield batches with their results, with at most ``ahead`` batches handed out at a time.

    Args:
        pool: The workers.
        run: The work.
        batches: The batches.
        ahead: Maximum number of batches handed out.
        given: Filled with the batches that are handed out, without those that are yielded: the
            unfinished ones, if a worker died.
    """
    running: dict[Future[JobResults], list[Job]] = {}
    with suppress(BrokenProcessPool):
        while True:
            for batch in itertools.islice(batches, ahead - len(running)):
                given.append(batch)
                running[pool.submit(run, batch)] = batch
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                given.remove(batch := running.pop(future))
                yield batch, result


def _run_alone(job: Job, run: Run, before: JobResults) -> JobResults:
    """Run a job in a process of its own; refuse it if that dies."""
    with worker_pool(1, limit_memory, _ADDRESS_SPACE, module=__name__) as pool:
        try:
            return pool.submit(run, [job]).result()
        except BrokenProcessPool as error:
            if sum(reason == _CRASHES for reason in before.refused.values()) >= _MOST_CRASHES:
                raise SercliError(
                    "extraction processes are killed again and again, often for want of memory; "
                    "everything done so far is in the store: run the command again, with fewer "
                    "--workers"
                ) from error
    return JobResults(refused={job.key: _CRASHES})


@contextmanager
def _worker_pool(workers: int, jobs: int, progress: Progress) -> Iterator[Executor]:
    worthwhile = min(workers, math.ceil(jobs / _WORTH_A_PROCESS))
    processes = possible_workers(worthwhile, progress.note_once)
    # One worker is a thread: Ctrl-C in the main thread would hit openSMILE's callback into
    # Python, where it is lost, and a frame with it.
    if processes > 1:
        pool: Executor = worker_pool(processes, limit_memory, _ADDRESS_SPACE, module=__name__)
    else:
        pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    several = iter(jobs)
    while batch := list(itertools.islice(several, _BATCH)):
        yield batch
