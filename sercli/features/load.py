"""Load the frames of a corpus as the steps that a model sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError, SercliError, nearest
from sercli.features.preprocess import (
    Statistics,
    frame_statistics,
    mean_pool,
    stack_statistics,
    unstack_statistics,
    z_normalise,
)
from sercli.features.store import FeatureStore
from sercli.files import write_atomically

_NORMALISATIONS = ("speaker", "corpus", "none")


class StoredSteps(Mapping[str, np.ndarray]):
    """A mapping from utterance id to steps, which are read from the store on access.

    Nothing is kept: the corpus may be larger than the memory.

    Args:
        store: Folder of the feature store.
        keys: Utterance id → key in the store.
        lengths: Utterance id → number of steps.
        statistics: Utterance id → mean and deviation to normalise by; None: no normalisation.
        features: The settings for normalising, clipping and pooling.

    Attributes:
        lengths: Utterance id → number of steps, known without reading frames.
        statistics: As given.
    """

    def __init__(
        self,
        store: Path,
        keys: Mapping[str, str],
        lengths: Mapping[str, int],
        statistics: Mapping[str, Statistics] | None,
        features: FeaturesConfig,
    ) -> None:
        self.lengths = lengths
        self.statistics = statistics
        self._keys, self._features = keys, features
        self._store = FeatureStore(store)

    def __getitem__(self, utterance: str) -> np.ndarray:
        return self._prepare(utterance, self._store.get(self._keys[utterance]))

    def key(self, utterance: str) -> str:
        """Return the key of an utterance in the store."""
        return self._keys[utterance]

    def __contains__(self, utterance: object) -> bool:
        return utterance in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def _prepare(self, utterance: str, frames: np.ndarray) -> np.ndarray:
        functionals = self._features.level == "functionals"  # one row: nothing to clip or to pool
        if not functionals:
            frames = frames[: self._features.max_frames]
        if self.statistics is not None:
            frames = z_normalise(frames, self.statistics[utterance])
        return frames if functionals else mean_pool(frames, self._features.pool)


def load_features(
    manifest: Manifest,
    keys: Mapping[str, str],
    store: Path,
    features: FeaturesConfig,
    statistics: Mapping[str, Statistics] | None = None,
    counts: Mapping[str, int] | None = None,
) -> StoredSteps:
    """Load the frames of all utterances: normalise, clip and pool them.

    With ``features.normalise=speaker``, frames are z-normalised by the mean and deviation of all
    frames of the speaker, whatever their label. For test speakers these include test frames,
    without labels: results are transductive in that sense, as in the published code of IAAN. (That
    code groups by the first six letters of an IEMOCAP file, the session and the wearer of the
    motion capture, and so mixes the two speakers of a dialogue; here a group is a speaker.) As
    there, the frames beyond ``features.max_frames`` count in the statistics and are then dropped.
    With ``features.normalise=corpus`` a group is a corpus (``dataset=several``), test corpora
    included, as in cross-corpus studies since Schuller et al. (2010, IEEE TAC).

    Args:
        manifest: The corpus.
        keys: Utterance id → key in the store. Utterances without a key are left out.
        store: Folder of the feature store.
        features: The settings for normalising, clipping and pooling.
        statistics: Utterance id → mean and deviation to use instead of those of its group.
        counts: Utterance id → number of frames, where known; of others the store is asked.

    Returns:
        Utterance id → float32 (steps, features), in the order of the manifest. The statistics
        are computed at once, the steps on access.

    Raises:
        RequestError: A value of ``features`` is invalid.
        SercliError: The store lacks a key.

    Example:
        >>> import tempfile
        >>> from sercli.corpora.audio_stats import AudioFacts
        >>> from sercli.corpora.manifest import build_manifest
        >>> row = {"utterance": "a", "audio": "a.wav", "speaker": "s", "emotion": "joy"}
        >>> manifest = build_manifest("mine", [row], {"joy": "happy"})
        >>> facts = AudioFacts(0.1, 16000, 1, peak=0.5, clipped_share=0.0, content="…")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     frames = np.array([[1.0], [2.0], [3.0], [4.0]])
        ...     FeatureStore(Path(folder), create=True).put("ab12", frames, facts)
        ...     settings = FeaturesConfig(normalise="none", pool=2)
        ...     steps = load_features(manifest, {"a": "ab12"}, Path(folder), settings)
        ...     print(steps.lengths, steps["a"].ravel())
        {'a': 2} [1.5 3.5]
    """
    _check(features)
    kept = manifest.table[manifest.table["utterance"].isin(list(keys))]
    wanted = {name: keys[name] for name in kept["utterance"]}
    frames, counts = FeatureStore(store), counts or {}
    lengths = {
        name: _steps(counts.get(name) or _count(frames, key, name), features)
        for name, key in wanted.items()
    }
    if features.normalise == "none":
        statistics = None
    elif statistics is None:
        statistics = grouped_statistics(frames, kept, wanted, features.normalise)
    return StoredSteps(store, wanted, lengths, statistics, features)


def _check(features: FeaturesConfig) -> None:
    if features.normalise not in _NORMALISATIONS:
        raise RequestError(
            f"unknown features.normalise '{features.normalise}'."
            f"{nearest(features.normalise, _NORMALISATIONS)}"
        )
    for name in ("max_frames", "pool"):
        if getattr(features, name) < 1:
            raise RequestError(f"features.{name}={getattr(features, name)}; it must be at least 1")


def _count(store: FeatureStore, key: str, utterance: str) -> int:
    """Return the number of frames of an utterance."""
    stored = store.find(key)
    if stored is None:
        raise SercliError(
            f"the feature store has no frames of utterance '{utterance}'; run `sercli extract`"
        )
    return stored.frames


def _steps(frames: int, features: FeaturesConfig) -> int:
    """Return the number of steps of a number of frames."""
    if features.level == "functionals":
        return frames
    return -(-min(frames, features.max_frames) // features.pool)


def grouped_statistics(
    store: FeatureStore, table: pd.DataFrame, keys: Mapping[str, str], column: str
) -> dict[str, Statistics]:
    """Find the statistics of each group of utterances, for each utterance of the group.

    They are computed once, and kept in the store under a hash of all keys. One turn is in memory
    at a time, because those of one speaker may not fit.

    Args:
        store: The feature store.
        table: `sercli.corpora.manifest.Manifest.table`.
        keys: Utterance id → key in the store.
        column: Column whose values are the groups: ``speaker``, ``corpus`` or ``audio``.
    """
    groups = {
        tuple(turns["utterance"]): tuple(map(keys.__getitem__, turns["utterance"]))
        for _, turns in table.groupby(column, sort=False)
    }
    found = zip(groups, _kept_statistics(store, list(groups.values())), strict=True)
    return {name: statistics for names, statistics in found for name in names}


def _kept_statistics(
    store: FeatureStore, groups: Sequence[tuple[str, ...]]
) -> Sequence[Statistics]:
    name = hashlib.sha256(json.dumps(groups).encode()).hexdigest()
    path = store.folder / "statistics" / f"{name}.safetensors"
    with suppress(OSError, SafetensorError, KeyError, ValueError):
        return unstack_statistics(load_file(path))
    computed = [frame_statistics(map(store.get, keys)) for keys in groups]
    with suppress(OSError):  # a store that cannot be written is only read
        arrays = stack_statistics(computed)
        write_atomically(path, lambda temporary: temporary.write_bytes(save(arrays)))
    return computed
