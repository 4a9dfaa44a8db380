"""Bring the frames of a corpus into the feature store, over several processes.

Nothing is extracted twice: what the store holds is left alone, the same audio under two names
is done once, two extractions at the same time share the work, and one that was killed goes on
where it stopped. Workers compute; only this process writes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sercli.config.schema import FeaturesConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.manifest import Manifest, Refusal
from sercli.errors import SercliError
from sercli.features.claims import Claims
from sercli.features.jobs import Compute, Done, Job, fill, only_refusals, run_jobs
from sercli.features.plan import ExtractionPlan, plan_extraction, recipe_digest
from sercli.features.sets import feature_set
from sercli.features.store import FeatureStore
from sercli.features.store_uses import StoreUse, stored_settings
from sercli.progress import SILENT, Progress


@dataclass(frozen=True)
class Extraction:
    """What an extraction found and did.

    Attributes:
        keys: Utterance id → key in the store, of all utterances that can be used.
        facts: Utterance id → what its audio was, of the same.
        refused: Utterance id → why it cannot be used.
        extracted: How many utterances' frames were computed now.
        extracted_seconds: Seconds of audio of these.
        reused: How many were in the store, or are the same audio as another.
        elapsed: Seconds that this took.
    """

    keys: dict[str, str]
    facts: dict[str, AudioFacts]
    refused: dict[str, Refusal]
    extracted: int
    extracted_seconds: float
    reused: int
    elapsed: float

    @property
    def seconds(self) -> dict[str, float]:
        """Utterance id → duration, of all utterances that can be used."""
        return {name: facts.seconds for name, facts in self.facts.items()}

    @property
    def summary(self) -> str:
        """One line on what was done."""
        pace = f" ({self.extracted_seconds / self.elapsed:.0f} × real time)"
        return (
            f"{self.extracted} utterances extracted, {self.reused} known, {len(self.refused)} "
            f"refused: {sum(self.seconds.values()) / 3600:.2f} h of speech in {self.elapsed:.1f} s"
            f"{pace if self.extracted else ''}"
        )


def extract(
    manifest: Manifest,
    features: FeaturesConfig,
    store: Path,
    *,
    location: Mapping[str, Any] | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Extraction:
    """Bring the frames of every utterance of ``manifest`` into ``store``.

    A store that has them all is only read, so that it may lie where nothing can be written.

    Args:
        manifest: The corpus.
        features: The feature set and the sampling rate; the rest concerns loading.
        store: Folder of the feature store; created where there is none.
        location: What tells the corpus from others of its name in the store (`StoreUse`).
        workers: Most processes that compute; a short list of utterances is done in this one.
        progress: Where to show how far it is.

    Raises:
        RequestError: There is no such feature set.
        SercliError: The store cannot be written, or a worker process died. All that was done
            until then is in the store.
    """
    began = time.perf_counter()
    chosen = feature_set(features)
    plan = plan_extraction(manifest.table, recipe_digest(chosen, features.sampling_rate), progress)
    use = StoreUse(manifest.dataset, location or {}, stored_settings(features), plan.keys)
    compute = functools.partial(run_jobs, features=chosen, sampling_rate=features.sampling_rate)
    done = _bring(store, plan, use, compute, workers, progress)
    keys = {name: key for name, key in plan.keys.items() if key not in done.refused}
    return Extraction(
        keys=keys,
        facts=_facts(store, keys),
        refused=plan.refused | _refusals(manifest, plan, done.refused),
        extracted=len(done.seconds),
        extracted_seconds=sum(done.seconds.values()),
        reused=len(keys) - len(done.seconds),
        elapsed=time.perf_counter() - began,
    )


def _bring(
    store: Path,
    plan: ExtractionPlan,
    use: StoreUse,
    compute: Compute,
    workers: int,
    progress: Progress,
) -> Done:
    """Extract what the store lacks, and note in it who uses what."""
    there, noted = _look(store, plan, use)
    if noted and len(there) == len(plan.jobs):
        return Done()
    try:
        frames = FeatureStore(store, write=True)
    except SercliError as error:
        return only_refusals(_missing(plan, there), compute, error)
    with frames, Claims(store) as claims:
        frames.note(use.name, use.text)  # first: from here on nothing of it is pruned
        todo = _missing(plan, frames)
        return fill(frames, claims, todo, compute, workers, progress)


def _look(store: Path, plan: ExtractionPlan, use: StoreUse) -> tuple[set[str], bool]:
    """Return which keys the store has, and whether this use of them is noted."""
    try:
        with FeatureStore(store) as frames:
            there = {key for key in plan.jobs if key in frames}
            return there, frames.notes().get(use.name) == use.text
    except SercliError:  # none is there; or a damaged one, as opening it for writing will tell
        return set(), False


def _missing(plan: ExtractionPlan, there: Container[str]) -> list[Job]:
    return [job for key, job in plan.jobs.items() if key not in there]


def _facts(store: Path, keys: Mapping[str, str]) -> dict[str, AudioFacts]:
    if not keys:
        return {}
    with FeatureStore(store) as frames:
        return {name: frames.stored(key).facts for name, key in keys.items()}


def _refusals(
    manifest: Manifest, plan: ExtractionPlan, reasons: Mapping[str, str]
) -> dict[str, Refusal]:
    audio = dict(zip(manifest.table["utterance"], manifest.table["audio"], strict=True))
    return {
        name: Refusal(audio[name], reasons[key])
        for name, key in plan.keys.items()
        if key in reasons
    }
