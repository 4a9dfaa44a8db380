"""Which corpora use what of a store: so that what none uses can be removed, and nothing else.

Every extraction notes its manifest in the store before it begins: the keys of all utterances.
The note of the same corpus with the same features takes its place; those of other corpora, and
of the same corpus with other features, stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sercli.config.schema import DatasetConfig, FeaturesConfig
from sercli.features.store import FeatureStore, damaged_keys
from sercli.progress import SILENT, Progress

_LOADING = frozenset({"max_frames", "pool", "normalise"})
"""Settings of the features that do not change what is stored."""


@dataclass(frozen=True)
class StoreUse:
    """A manifest, as the store knows it.

    Attributes:
        corpus: Name of the corpus.
        location: What tells it from others of that name: where it lies, how it was read.
        features: The settings that the frames depend on.
        keys: Utterance id → key in the store.
    """

    corpus: str
    location: Mapping[str, Any]
    features: Mapping[str, Any]
    keys: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the note is called in the store."""
        parts = json.dumps([self.corpus, self.location, self.features], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def text(self) -> bytes:
        """The note itself."""
        return json.dumps(asdict(self)).encode()

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.features.items() if value)
        return f"{self.corpus} at {self.location.get('root', 'an unknown place')} ({settings})"


def stored_settings(features: FeaturesConfig) -> dict[str, Any]:
    """Return the settings that the frames in the store depend on."""
    return {name: value for name, value in vars(features).items() if name not in _LOADING}


def corpus_location(dataset: DatasetConfig) -> dict[str, Any]:
    """Return what tells a corpus from others of its name: where it lies, how it is read."""
    root = None if dataset.root is None else str(Path(dataset.root).expanduser().absolute())
    return {"root": root, "reader": dataset.reader, "options": dataset.options}


def known_uses(store: FeatureStore) -> dict[str, StoreUse]:
    """Return every manifest that the store knows, by the name of its note."""
    return {name: StoreUse(**json.loads(text)) for name, text in store.notes().items()}


def used_keys(uses: Mapping[str, StoreUse]) -> set[str]:
    """Return the keys that any of the manifests uses."""
    return {key for use in uses.values() for key in use.keys.values()}


@dataclass(frozen=True)
class Pruning:
    """What was removed, and what stays.

    Attributes:
        unused: Utterances' frames that no known manifest used.
        damaged: Those that could not be read; they are made anew by the next extraction.
        freed: Bytes of both.
        kept: Utterances' frames that stay.
        uses: The manifests that they stay for, and how many utterances each has.
    """

    unused: int
    damaged: int
    freed: int
    kept: int
    uses: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as what ``json`` can write, under the names of the attributes."""
        return asdict(self)


def prune(store: Path, progress: Progress = SILENT) -> Pruning:
    """Remove what no manifest uses, of all that were ever extracted into the store.

    The file keeps its size: what is freed takes up what is extracted next.

    Args:
        store: Folder of the feature store.
        progress: Where to show how far it is.

    Raises:
        SercliError: There is no store, or it cannot be written.
    """
    FeatureStore(store).close()  # a store that is not there is not made
    with FeatureStore(store, write=True) as frames:
        damaged = {key for key, _ in damaged_keys(frames, progress)}
        with frames.alone():  # nothing is noted and nothing put between the look and the removal
            uses = known_uses(frames)
            unused = set(frames.keys()) - used_keys(uses) - damaged
            freed = sum(frames.size(key) for key in unused | damaged)
            frames.remove(unused | damaged)
            return Pruning(
                unused=len(unused),
                damaged=len(damaged),
                freed=freed,
                kept=len(frames),
                uses={str(use): len(use.keys) for use in uses.values()},
            )
