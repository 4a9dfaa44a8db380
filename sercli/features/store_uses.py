"""The corpora that use a store, so that frames that none of them uses can be removed.

Every extraction records its use before it looks for frames: the keys of all utterances of a
corpus. The record of the same corpus with the same feature settings is replaced; those of other
corpora, and of the same corpus with other settings, stay.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sercli.config.schema import DatasetConfig, FeaturesConfig
from sercli.errors import SercliError
from sercli.features.store import FeatureStore, damaged_keys
from sercli.files import absolute, write_text
from sercli.progress import SILENT, Progress
from sercli.untrusted import read_json

_LOADING = frozenset({"max_frames", "pool", "normalise"})
"""Feature settings that do not change what is stored."""

BY_TRANSCRIPT = {"keyed": "by transcript"}
"""Setting that distinguishes the use of transcripts from the use of utterances."""

_ABANDONED = 24 * 3600
"""Seconds after which a temporary file belongs to no running process (our choice)."""


@dataclass(frozen=True)
class StoreUse:
    """The frames that a corpus uses.

    Attributes:
        corpus: Name of the corpus.
        location: Root, reader and options, which tell apart corpora of one name.
        features: The settings that the frames depend on.
        keys: Utterance id → key in the store.
        refused: Utterance id → reason why no frames can be made of it, as the extraction found.
    """

    corpus: str
    location: Mapping[str, Any]
    features: Mapping[str, Any]
    keys: Mapping[str, str]
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its file: a hash of everything but the keys."""
        parts = json.dumps([self.corpus, self.location, self.features], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.features.items() if value)
        return f"{self.corpus} at {self.location.get('root', 'an unknown place')} ({settings})"


def stored_settings(features: FeaturesConfig) -> dict[str, Any]:
    """Return the settings that the frames in the store depend on."""
    every = {name: value for name, value in vars(features).items() if name not in _LOADING}
    # Defaults of newer settings are left out, so that recorded uses keep their names.
    if features.path is None:
        del every["path"]
    if features.options.get("dtype") == "float32":
        every["options"] = {name: x for name, x in features.options.items() if name != "dtype"}
    return every


def corpus_location(dataset: DatasetConfig) -> dict[str, Any]:
    """Return root, reader and options of a corpus, which tell apart corpora of one name."""
    root = None if dataset.root is None else str(absolute(dataset.root))
    location = {"root": root, "reader": dataset.reader, "options": dataset.options}
    parts = {name: part["root"] for name, part in dataset.parts.items()}
    return location | ({"parts": parts} if parts else {})


def record_use(store: FeatureStore, use: StoreUse) -> None:
    """Record a use in the store; a use that is recorded already is not written again.

    Raises:
        SercliError: The store cannot be written.
    """
    path = store.folder / "uses" / f"{use.name}.json"
    text = json.dumps(asdict(use))
    try:
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    except OSError as error:
        raise SercliError(
            f"the feature store {store.folder} cannot be written: {error.strerror}; make room, or "
            "set paths.store to a writable folder"
        ) from None


def recorded_uses(store: FeatureStore) -> dict[str, StoreUse]:
    """Return all recorded uses, by name.

    Raises:
        SercliError: A record cannot be read.
    """
    uses = {}
    for path in sorted((store.folder / "uses").glob("*.json")):
        try:
            uses[path.stem] = _read(path)
        except (OSError, ValueError, TypeError) as error:
            raise SercliError(
                f"the record of use {path} cannot be read: {error}; remove it, and run `sercli "
                "extract` of that corpus again"
            ) from None
    return uses


def known_refusals(store: FeatureStore, use: StoreUse) -> dict[str, str]:
    """Return the refusals of the same audio that an earlier extraction recorded."""
    try:
        before = _read(store.folder / "uses" / f"{use.name}.json")
    except (OSError, ValueError, TypeError):
        return {}
    return {
        utterance: reason
        for utterance, reason in before.refused.items()
        if utterance in use.keys and before.keys.get(utterance) == use.keys[utterance]
    }


def _read(path: Path) -> StoreUse:
    return StoreUse(**read_json(path))


def used_keys(uses: Mapping[str, StoreUse]) -> set[str]:
    """Return the keys that any of the uses names."""
    return {key for use in uses.values() for key in use.keys.values()}


@dataclass(frozen=True)
class Pruning:
    """The frames that were removed, and those that were kept.

    Attributes:
        unused: Number of utterances removed because no recorded use names them.
        damaged: Number of utterances removed because their frames are damaged; the next
            extraction makes them anew.
        freed: Bytes of both.
        kept: Number of utterances kept.
        uses: The recorded uses, with the number of utterances of each.
    """

    unused: int
    damaged: int
    freed: int
    kept: int
    uses: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a dictionary for ``json``."""
        return asdict(self)


def prune(folder: Path, progress: Progress = SILENT) -> Pruning:
    """Remove frames that no recorded use names, and damaged ones.

    Extractions may run meanwhile, here and on other nodes. Files are first moved aside, and then
    the uses are read again. An extraction records its use before it looks for frames: either its
    use is seen here, and the frames are moved back, or it finds them gone.

    Args:
        folder: Folder of the feature store.
        progress: The progress bar to advance.

    Raises:
        SercliError: There is no store, or it cannot be written.
    """
    store = FeatureStore(folder)
    _remove_abandoned(store)
    for derived in ("known", "statistics"):  # of corpora that may be gone; made anew when needed
        shutil.rmtree(folder / derived, ignore_errors=True)
    damaged = {key for key, _ in damaged_keys(store, progress)}
    unused = set(store.keys()) - used_keys(recorded_uses(store)) - damaged
    aside = FeatureStore(folder / "removed" / uuid.uuid4().hex, create=True)
    store.move(unused | damaged, aside)
    uses = recorded_uses(store)
    removed = set(aside.keys())
    restored = {key for key in removed & used_keys(uses) if not aside.damage(key)}
    aside.move(restored, store)
    removed -= restored
    freed = sum(path.stat().st_size for path in aside.folder.glob("*/*"))
    shutil.rmtree(aside.folder)
    return Pruning(
        unused=len(unused & removed),
        damaged=len(damaged & removed),
        freed=freed,
        kept=len(store),
        uses={str(use): len(use.keys) for use in uses.values()},
    )


def _remove_abandoned(store: FeatureStore) -> None:
    """Delete what killed extractions and prunings have left."""
    left = [*store.folder.glob("*/.*.tmp"), *store.folder.glob("removed/*")]
    for path in left:
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink() if path.is_file() else shutil.rmtree(path)
