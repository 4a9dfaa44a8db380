"""Hand out work on utterances to processes, and write what comes back to the store."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sercli.errors import SercliError
from sercli.features.audio import AudioError, expected_seconds, load_audio
from sercli.features.claims import Claims
from sercli.features.sets import Extractor, FeatureSet
from sercli.features.store import Entry, FeatureStore
from sercli.processes import worker_pool
from sercli.progress import SILENT, Progress

_BATCH = 8
"""Utterances of a transaction, and so the most that a worker loses when killed (our choice)."""

_AHEAD = 2
"""Batches handed out for each worker, so that none waits for this process (our choice)."""

_WORTH_A_PROCESS = 128
"""Utterances that take about as long as a process takes to start (our measurement)."""


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
            signal, facts = load_audio(Path(job.audio), job.start, job.end, sampling_rate)
            outcome.entries.append(Entry(job.key, extract(signal), facts))
        except AudioError as refusal:
            outcome.refused[job.key] = str(refusal)
    return outcome


@functools.cache
def _extractor(features: FeatureSet, sampling_rate: int) -> Extractor:
    """Set openSMILE up once in each process."""
    return features.extractor(sampling_rate)


Compute = Callable[[Sequence[Job]], Outcome]


@dataclass(frozen=True)
class Done:
    """What was made of some utterances.

    Attributes:
        seconds: Key → duration, of what was extracted.
        refused: Key → why there is nothing to extract.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome in."""
        self.seconds.update({entry.key: entry.facts.seconds for entry in outcome.entries})
        self.refused.update(outcome.refused)


def fill(
    store: FeatureStore,
    claims: Claims,
    todo: Sequence[Job],
    compute: Compute,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Done:
    """Write what ``compute`` makes of the jobs, but for what other processes make meanwhile.

    Raises:
        SercliError: The store cannot be written, or a worker process died. All that was done
            until then is in the store.
    """
    done = Done()
    hours = {job.key: expected_seconds(job.audio, job.start, job.end) / 3600 for job in todo}
    left = list(todo)
    with (
        progress.task("extracting features", total=sum(hours.values()), unit="h") as bar,
        _worker_pool(workers, len(todo)) as pool,
    ):
        while left:
            busy: list[Job] = []
            batches = _claimed(store, claims, left, busy)
            with closing(outcomes(pool, compute, batches, _AHEAD * workers)) as finished:
                for outcome in finished:
                    store.put(outcome.entries)
                    done.add(outcome)
                    for key in outcome.keys:
                        claims.give_back(key)
                        bar.advance(hours[key])
            left = busy
            if left:
                claims.wait_for(left[0].key)
    return done


def only_refusals(todo: Sequence[Job], compute: Compute, instead: SercliError) -> Done:
    """Look whether any of the jobs can be done; for when the store cannot be written.

    Raises:
        SercliError: One can, and there is no place for its frames.
    """
    done = Done()
    with (
        _worker_pool(1, len(todo)) as pool,
        closing(outcomes(pool, compute, _batches(todo), 1)) as each,
    ):
        for outcome in each:
            if outcome.entries:
                raise instead
            done.add(outcome)
    return done


def outcomes(
    pool: Executor, compute: Compute, batches: Iterable[list[Job]], ahead: int
) -> Generator[Outcome]:
    """Give outcomes as they come, with no more than ``ahead`` batches handed out at a time."""
    flying: set[Future[Outcome]] = set()
    try:
        for batch in batches:
            flying.add(pool.submit(compute, batch))
            if len(flying) >= ahead:
                landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in landed)
        while flying:
            landed, flying = wait(flying, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in landed)
    except BrokenProcessPool as error:
        raise SercliError(
            "an extraction process was killed, often for want of memory; what was done is in the "
            "store: run the command again, with fewer --workers"
        ) from error


@contextmanager
def _worker_pool(workers: int, jobs: int) -> Iterator[Executor]:
    processes = min(workers, math.ceil(jobs / _WORTH_A_PROCESS))
    # One worker is a thread: Ctrl-C in the main thread would hit openSMILE's callback into
    # Python, where it is lost, and a frame with it.
    pool = worker_pool(processes) if processes > 1 else ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _claimed(
    store: FeatureStore, claims: Claims, jobs: Iterable[Job], busy: list[Job]
) -> Iterator[list[Job]]:
    """Claim the jobs batch by batch, as they are asked for.

    Args:
        store: What another process has put there meanwhile is passed over.
        claims: Those of this process.
        jobs: What to claim.
        busy: Receives the jobs that another process is at.
    """

    def mine() -> Iterator[Job]:
        for job in jobs:
            if not claims.take(job.key):
                busy.append(job)
            elif job.key in store:
                claims.give_back(job.key)
            else:
                yield job

    return _batches(mine())


def _batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    several = iter(jobs)
    while batch := list(itertools.islice(several, _BATCH)):
        yield batch
