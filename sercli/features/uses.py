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
from sercli.features.store import FeatureStore

_LOADING = frozenset({"max_frames", "pool", "normalise"})
"""Settings of the features that do not change what is stored."""


@dataclass(frozen=True)
class Use:
    """A manifest, as the store knows it.

    Attributes:
        corpus: Name of the corpus.
        place: What tells it from others of that name: where it lies, how it was read.
        features: The settings that the frames depend on.
        keys: Utterance id → key in the store.
    """

    corpus: str
    place: Mapping[str, Any]
    features: Mapping[str, Any]
    keys: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the note is called in the store."""
        parts = json.dumps([self.corpus, self.place, self.features], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def text(self) -> bytes:
        """The note itself."""
        return json.dumps(asdict(self)).encode()

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.features.items() if value)
        return f"{self.corpus} at {self.place.get('root', 'an unknown place')} ({settings})"


def stored_settings(features: FeaturesConfig) -> dict[str, Any]:
    """Return the settings that the frames in the store depend on."""
    return {name: value for name, value in vars(features).items() if name not in _LOADING}


def corpus_place(dataset: DatasetConfig) -> dict[str, Any]:
    """Return what tells a corpus from others of its name: where it lies, how it is read."""
    root = None if dataset.root is None else str(Path(dataset.root).expanduser().absolute())
    return {"root": root, "reader": dataset.reader, "options": dataset.options}


def known_uses(store: FeatureStore) -> dict[str, Use]:
    """Return every manifest that the store knows, by the name of its note."""
    return {name: Use(**json.loads(text)) for name, text in store.notes().items()}


def used_keys(uses: Mapping[str, Use]) -> set[str]:
    """Return the keys that any of the manifests uses."""
    return {key for use in uses.values() for key in use.keys.values()}
