"""Bring the frames of a corpus into the feature store, over several processes.

Nothing is extracted twice: what the store holds is left alone, the same audio under two names
is done once, and an extraction that was killed goes on where it stopped. Workers compute;
only this process writes.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest, Refusal
from sercli.errors import SercliError
from sercli.features.audio import AudioError, check_file
from sercli.features.keys import audio_digest, recipe_digest, utterance_key
from sercli.features.sets import feature_set
from sercli.features.store import FeatureStore
from sercli.features.worker import Job, Outcome, run_jobs
from sercli.processes import worker_pool
from sercli.progress import SILENT, Progress, Task

_BATCH = 8
"""Utterances of a transaction, and so the most that a worker loses when killed (our choice)."""

_WORTH_A_PROCESS = 128
"""Utterances that take about as long as a process takes to start (our measurement)."""


@dataclass(frozen=True)
class Extraction:
    """What an extraction found and did.

    Attributes:
        keys: Utterance id → key in the store, of all utterances that can be used.
        seconds: Utterance id → duration, of the same.
        refused: Utterance id → why it cannot be used.
        extracted: How many utterances' frames were computed now.
        reused: How many were in the store, or are the same audio as another.
        elapsed: Seconds that this took.
    """

    keys: dict[str, str]
    seconds: dict[str, float]
    refused: dict[str, Refusal]
    extracted: int
    reused: int
    elapsed: float


def extract(
    manifest: Manifest,
    features: FeaturesConfig,
    store: Path,
    *,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Extraction:
    """Bring the frames of every utterance of ``manifest`` into ``store``.

    Args:
        manifest: The corpus.
        features: The feature set and the sampling rate; the rest concerns loading.
        store: Folder of the feature store; created where there is none.
        workers: Most processes that compute; a short list of utterances is done in this one.
        progress: Where to show how far it is.

    Raises:
        RequestError: There is no such feature set.
        SercliError: The store cannot be written, or a worker process died. All that was done
            until then is in the store.
    """
    began = time.perf_counter()
    chosen = feature_set(features.name)
    plan = _plan(manifest.table, recipe_digest(chosen, features.sampling_rate))
    with FeatureStore(store, write=True) as frames:
        todo = [job for key, job in plan.jobs.items() if key not in frames]
        compute = functools.partial(run_jobs, features=chosen, sampling_rate=features.sampling_rate)
        with progress.task("extracting features", total=len(todo)) as bar:
            reasons = _fill(frames, todo, compute, workers, bar)
        keys = {name: key for name, key in plan.keys.items() if key not in reasons}
        seconds = {name: frames.seconds(key) for name, key in keys.items()}
    extracted = len(todo) - len(reasons)
    return Extraction(
        keys=keys,
        seconds=seconds,
        refused=plan.refused | _refusals(manifest.table, plan, reasons),
        extracted=extracted,
        reused=len(keys) - extracted,
        elapsed=time.perf_counter() - began,
    )


@dataclass(frozen=True)
class _Plan:
    """Who needs what: several utterances may share a key, and each key has one job."""

    keys: dict[str, str]
    jobs: dict[str, Job]
    refused: dict[str, Refusal]


def _plan(table: pd.DataFrame, recipe: str) -> _Plan:
    digest = functools.cache(_checked_digest)
    plan = _Plan({}, {}, {})
    columns = ["utterance", "audio", "audio_start", "audio_end"]
    for name, audio, start, end in table[columns].itertuples(index=False, name=None):
        try:
            key = utterance_key(digest(audio), start, end, recipe)
        except AudioError as refusal:
            plan.refused[name] = Refusal(audio, str(refusal))
        else:
            plan.keys[name] = key
            plan.jobs.setdefault(key, Job(key, audio, start, end))
    return plan


def _checked_digest(audio: str) -> str:
    path = Path(audio)
    check_file(path)
    try:
        return audio_digest(path)
    except OSError as error:
        raise AudioError(f"cannot be read: {error.strerror}") from None


def _refusals(table: pd.DataFrame, plan: _Plan, reasons: dict[str, str]) -> dict[str, Refusal]:
    audio = dict(zip(table["utterance"], table["audio"], strict=True))
    return {
        name: Refusal(audio[name], reasons[key])
        for name, key in plan.keys.items()
        if key in reasons
    }


def _fill(
    store: FeatureStore,
    todo: Sequence[Job],
    compute: Callable[[Sequence[Job]], Outcome],
    workers: int,
    bar: Task,
) -> dict[str, str]:
    """Write what ``compute`` makes of the jobs.

    Returns:
        Key → reason, of the jobs whose audio cannot be used.
    """
    reasons: dict[str, str] = {}
    batches = [todo[first : first + _BATCH] for first in range(0, len(todo), _BATCH)]
    processes = min(workers, math.ceil(len(todo) / _WORTH_A_PROCESS))
    with closing(_outcomes(compute, batches, processes)) as outcomes:
        for outcome in outcomes:
            store.put(outcome.entries)
            reasons |= outcome.refused
            bar.advance(len(outcome.entries) + len(outcome.refused))
    return reasons


def _outcomes(
    compute: Callable[[Sequence[Job]], Outcome], batches: Sequence[Sequence[Job]], processes: int
) -> Generator[Outcome]:
    """Give outcomes as they come; closing the iterator stops the work after the present batches."""
    # One worker is a thread: Ctrl-C in the main thread would hit openSMILE's callback into
    # Python, where it is lost, and a frame with it.
    pool = worker_pool(processes) if processes > 1 else ThreadPoolExecutor(1)
    try:
        for future in as_completed([pool.submit(compute, batch) for batch in batches]):
            yield future.result()
    except BrokenProcessPool as error:
        raise SercliError(
            "an extraction process was killed, often for want of memory; what was done is in the "
            "store: run the command again, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
