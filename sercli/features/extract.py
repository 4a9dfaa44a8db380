"""Bring the frames of a corpus into the feature store, in several processes.

Frames in the store are not extracted again, audio under two names is extracted once, and an
extraction that was stopped continues where it was. Each worker writes its own frames.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sercli.config.schema import FeaturesConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.manifest import Manifest, Refusal
from sercli.errors import SercliError, counted
from sercli.features.copies import Copy, copy_settings, unchanged
from sercli.features.jobs import run_in_pool, run_jobs
from sercli.features.known import KnownFiles
from sercli.features.placement import extracting_processes, placed
from sercli.features.plan import ExtractionPlan, plan_extraction, plan_texts, recipe_digest
from sercli.features.sets import feature_set
from sercli.features.store import FeatureStore
from sercli.features.store_uses import (
    BY_TRANSCRIPT,
    StoreUse,
    known_refusals,
    record_use,
    stored_settings,
)
from sercli.features.text import TextFacts, TextSet
from sercli.progress import SILENT, Progress


@dataclass(frozen=True)
class Extraction:
    """The result of an extraction.

    Attributes:
        keys: Utterance id → key in the store, of all usable utterances.
        facts: Utterance id → facts of its audio, of the same.
        refused: Utterance id → reason why it cannot be used.
        extracted: Number of utterances whose frames were computed.
        extracted_seconds: Seconds of audio of these.
        reused: Number of utterances whose frames were in the store, or are those of another.
        elapsed: Wall-clock time, in seconds.
        frames: Utterance id → number of frames, of utterances that were in the store before; of
            transcripts, the number of steps of all.
        texts: Utterance id → facts of its transcript, if the features are computed from it.
    """

    keys: dict[str, str]
    facts: dict[str, AudioFacts]
    refused: dict[str, Refusal]
    extracted: int
    extracted_seconds: float
    reused: int
    elapsed: float
    frames: dict[str, int] = field(default_factory=dict)
    texts: dict[str, TextFacts] = field(default_factory=dict)

    @property
    def seconds(self) -> dict[str, float]:
        """Utterance id → duration, of all usable utterances."""
        return {name: facts.seconds for name, facts in self.facts.items()}

    @property
    def summary(self) -> str:
        """One line on the numbers of utterances, hours and seconds."""
        if not self.facts:
            return (
                f"{counted(self.extracted, 'transcript')} encoded; of "
                f"{counted(len(self.keys), 'utterance')} in {self.elapsed:.1f} s, "
                f"{len(self.refused)} refused"
            )
        speed = f" ({self.extracted_seconds / self.elapsed:.0f} × real time)"
        return (
            f"{counted(self.extracted, 'utterance')} extracted, {self.reused} known, "
            f"{len(self.refused)} refused: {sum(self.seconds.values()) / 3600:.2f} h of speech in "
            f"{self.elapsed:.1f} s{speed if self.extracted else ''}"
        )


def extract(
    manifest: Manifest,
    features: FeaturesConfig,
    store: Path,
    *,
    location: Mapping[str, Any] | None = None,
    copy: Copy | None = None,
    workers: int = 1,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Extraction:
    """Bring the frames of every utterance of ``manifest`` into ``store``.

    A store that has them all is only read, and need not be writable.

    Args:
        manifest: The corpus.
        features: The feature set and the sampling rate; the other settings concern loading.
        store: Folder of the feature store; created if there is none.
        location: Root, reader and options of the corpus (`corpus_location`).
        copy: Recipe of the copies to extract in place of the utterances; None: the utterances.
        workers: Maximum number of processes; a short list is extracted in this process.
        device: Device of an encoder (`sercli.features.placement`). On a GPU, this process extracts.
        progress: The progress bar to advance.

    Raises:
        RequestError: There is no such feature set, or no such device.
        SercliError: The store cannot be written, or a worker process died. Frames that were
            stored before stay.

    Example:
        >>> import tempfile
        >>> import soundfile
        >>> import numpy as np
        >>> from sercli.corpora.manifest import build_manifest
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     audio = f"{folder}/a.wav"
        ...     soundfile.write(audio, np.sin(np.arange(16000) / 20), 16000)
        ...     row = {"utterance": "a", "audio": audio, "speaker": "s", "emotion": "joy"}
        ...     manifest = build_manifest("mine", [row], {"joy": "happy"})
        ...     done = extract(manifest, FeaturesConfig("log_mel"), Path(folder, "store"))
        ...     frames = FeatureStore(Path(folder, "store")).get(done.keys["a"])
        >>> done.extracted, done.seconds, frames.shape
        (1, {'a': 1.0}, (98, 80))
    """
    began = time.perf_counter()
    copy = copy or unchanged(features)
    recipe = recipe_digest(copy.features, features.sampling_rate, copy.change)
    texts: dict[str, TextFacts] = {}
    if isinstance(copy.features, TextSet):
        encoded = extract_texts(
            manifest, features, store, location=location, device=device, progress=progress
        )
        texts = encoded.texts
    frames = FeatureStore(store, create=True)
    settings = stored_settings(features) | copy_settings(copy, recipe)
    use = StoreUse(manifest.dataset, location or {}, settings, {})
    known = KnownFiles(store / "known" / f"{use.name}.json")
    plan = plan_extraction(manifest.table, recipe, progress, known, copy.features)
    use = replace(use, keys=plan.keys)
    not_recorded = _record(frames, replace(use, refused=known_refusals(frames, use)))
    stored = {key: each for key in plan.jobs if (each := frames.find(key, known))}
    known.save()
    facts = {key: each.facts for key, each in stored.items()}
    missing = [job for key, job in plan.jobs.items() if key not in facts]
    chosen = placed(copy.features, device) if missing else copy.features
    run = functools.partial(
        run_jobs,
        store=frames,
        features=chosen,
        sampling_rate=features.sampling_rate,
        change=copy.change,
    )
    done = run_in_pool(missing, run, extracting_processes(chosen, workers), progress)
    if not_recorded and done.extracted:
        raise not_recorded
    facts |= done.found | done.extracted
    refused = _refusals(manifest, plan, done.refused)
    _record(frames, replace(use, refused={name: each.reason for name, each in refused.items()}))
    keys = {name: key for name, key in plan.keys.items() if key in facts}
    return Extraction(
        keys=keys,
        facts={name: facts[key] for name, key in keys.items()},
        frames={name: stored[key].frames for name, key in keys.items() if key in stored},
        refused=plan.refused | refused,
        extracted=len(done.extracted),
        extracted_seconds=sum(each.seconds for each in done.extracted.values()),
        reused=len(keys) - len(done.extracted),
        elapsed=time.perf_counter() - began,
        texts=texts,
    )


def extract_texts(
    manifest: Manifest,
    features: FeaturesConfig,
    store: Path,
    *,
    location: Mapping[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Extraction:
    """Bring the steps of every transcript of ``manifest`` into ``store``, each once.

    Args:
        manifest: The corpus.
        features: A text set.
        store: Folder of the feature store; created if there is none.
        location: Root, reader and options of the corpus (`corpus_location`).
        device: Device of an encoder (`sercli.features.placement`).
        progress: The progress bar to advance.

    Returns:
        The extraction; ``extracted`` counts transcripts. No audio is read, so there are no facts
        of it.

    Raises:
        RequestError: There is no such text set, or the corpus has no transcripts.
        SercliError: The store cannot be written.
    """
    began = time.perf_counter()
    chosen = feature_set(features)
    assert isinstance(chosen, TextSet)
    plan = plan_texts(manifest.table, chosen)
    steps = FeatureStore(store, create=True)
    settings = stored_settings(features) | BY_TRANSCRIPT
    use = StoreUse(manifest.dataset, location or {}, settings, plan.keys)
    known = KnownFiles(store / "known" / f"{use.name}.json")
    not_recorded = _record(steps, use)
    stored = {key: each for key in plan.texts if (each := steps.find_text(key, known))}
    known.save()
    missing = {key: text for key, text in plan.texts.items() if key not in stored}
    if not_recorded and missing:
        raise not_recorded
    described = {key: (each.facts, each.steps) for key, each in stored.items()}
    with progress.task("encoding transcripts", total=len(missing)) as bar:
        encoded = (placed(chosen, device) if missing else chosen).encode_all(list(missing.values()))
        for key, made in zip(missing, encoded, strict=True):
            steps.put(key, made.steps, made.facts)
            described[key] = made.facts, len(made.steps)
            bar.advance()
    return Extraction(
        keys=plan.keys,
        facts={},
        frames={name: described[key][1] for name, key in plan.keys.items()},
        refused=plan.refused,
        extracted=len(missing),
        extracted_seconds=0.0,
        reused=len(plan.keys) - len(missing),
        elapsed=time.perf_counter() - began,
        texts={name: described[key][0] for name, key in plan.keys.items()},
    )


def _record(store: FeatureStore, use: StoreUse) -> SercliError | None:
    """Record the use, before looking for frames as `prune` requires; return the error, if any."""
    try:
        record_use(store, use)
    except SercliError as error:  # raised only if frames have to be written
        return error
    return None


def _refusals(
    manifest: Manifest, plan: ExtractionPlan, reasons: Mapping[str, str]
) -> dict[str, Refusal]:
    audio = dict(zip(manifest.table["utterance"], manifest.table["audio"], strict=True))
    return {
        name: Refusal(audio[name], reasons[key])
        for name, key in plan.keys.items()
        if key in reasons
    }
