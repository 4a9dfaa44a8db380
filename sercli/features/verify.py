"""Verification of the store: missing, stale and damaged frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest, Refusal
from sercli.features.copies import Copy, copied, copy_settings, unchanged
from sercli.features.plan import plan_extraction, plan_texts, recipe_digest
from sercli.features.sets import feature_set, of_stream, reads_text
from sercli.features.store import FeatureStore, damaged_keys
from sercli.features.store_uses import (
    BY_TRANSCRIPT,
    StoreUse,
    known_refusals,
    recorded_uses,
    stored_settings,
)
from sercli.features.text import TextSet
from sercli.progress import SILENT, Progress


@dataclass(frozen=True)
class Fault:
    """Missing, stale or damaged frames.

    Attributes:
        what: The utterance, by corpus and id; or the key of frames that no corpus uses.
        reason: The problem and its remedy.
    """

    what: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """The result of a verification.

    Attributes:
        corpus: Name of the corpus whose utterances were looked for.
        utterances: Number of its utterances.
        stored: Number of utterances in the store, of all corpora.
        faults: Missing, stale, truncated, changed or NaN frames.
        refused: Utterance id → reason why it has no frames, as `extract` found; no faults.
    """

    corpus: str
    utterances: int
    stored: int
    faults: tuple[Fault, ...]
    refused: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a dictionary for ``json``."""
        return asdict(self)


def verify(
    manifest: Manifest,
    features: FeaturesConfig,
    store: Path,
    *,
    location: Mapping[str, Any] | None = None,
    copies: Sequence[Copy] = (),
    streams: Mapping[str, FeaturesConfig] = MappingProxyType({}),
    progress: Progress = SILENT,
) -> Verification:
    """Look for every utterance of a corpus, and read all frames of the store.

    Audio that `extract` has refused is not reported as missing.

    Args:
        manifest: The corpus.
        features: The feature set and the sampling rate.
        store: Folder of the feature store, which is only read.
        location: Root, reader and options of the corpus (`corpus_location`).
        copies: Recipes of the copies of its targets.
        streams: Name of a stream → its feature set.
        progress: The progress bar to advance.

    Raises:
        RequestError: There is no such feature set.
        SercliError: There is no store, or it cannot be read.
    """
    frames = FeatureStore(store)
    stored, uses = set(frames.keys()), recorded_uses(frames)
    faults: list[Fault] = []
    refused: dict[str, str] = {}
    for copy in (unchanged(features), *copies):
        turns = manifest.without({name: Refusal("", why) for name, why in refused.items()})
        turns = copied(turns, copy) if copy.name else turns
        recipe = recipe_digest(copy.features, features.sampling_rate, copy.change)
        plan = plan_extraction(turns.table, recipe, progress, features=copy.features)
        settings = stored_settings(features) | copy_settings(copy, recipe)
        use = StoreUse(manifest.dataset, location or {}, settings, plan.keys)
        known = known_refusals(frames, use)
        faults += _missing(stored, use, uses.get(use.name), known)
        if not copy.name:
            refused = known | {name: refusal.reason for name, refusal in plan.refused.items()}
    sets = [("", features)] if reads_text(features) else []  # the transcripts, beside the turns
    for name, each in [*sets, *streams.items()]:
        with of_stream(name) if name else nullcontext():
            use = _stream_use(manifest, each, location or {}, progress)
        known = known_refusals(frames, use) | refused
        faults += _missing(stored, use, uses.get(use.name), known)
    faults += _damaged(frames, uses, progress)
    return Verification(manifest.dataset, len(manifest.table), len(stored), tuple(faults), refused)


def _stream_use(
    manifest: Manifest, features: FeaturesConfig, location: Mapping[str, Any], progress: Progress
) -> StoreUse:
    """Return the use of the store by a stream of a corpus."""
    chosen, settings = feature_set(features), stored_settings(features)
    if isinstance(chosen, TextSet):
        keys = plan_texts(manifest.table, chosen).keys
        return StoreUse(manifest.dataset, location, settings | BY_TRANSCRIPT, keys)
    recipe = recipe_digest(chosen, features.sampling_rate)
    keys = plan_extraction(manifest.table, recipe, progress, features=chosen).keys
    return StoreUse(manifest.dataset, location, settings, keys)


def _missing(
    stored: Set[str], use: StoreUse, recorded: StoreUse | None, refused: Mapping[str, str]
) -> Iterator[Fault]:
    before = recorded.keys if recorded else {}
    for utterance, key in use.keys.items():
        if key in stored or utterance in refused:
            continue
        if before.get(utterance, key) != key and before[utterance] in stored:
            reason = "stale: audio, configuration or library changed since; run `sercli extract`"
        else:
            reason = "missing: run `sercli extract`"
        yield Fault(f"{use.corpus}: {utterance}", reason)


def _damaged(
    store: FeatureStore, uses: Mapping[str, StoreUse], progress: Progress
) -> Iterator[Fault]:
    names = {
        key: f"{use.corpus}: {utterance}"
        for use in uses.values()
        for utterance, key in use.keys.items()
    }
    for key, problem in damaged_keys(store, progress):
        remedy = "`sercli extract --prune` removes it, and the next `sercli extract` makes it anew"
        yield Fault(names.get(key, f"frames {key[:12]}…"), f"{problem}; {remedy}")
