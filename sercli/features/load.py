"""From the frames in the store to the steps that a model sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError, SercliError, nearest
from sercli.features.normalise import frame_statistics, z_normalise
from sercli.features.pooling import mean_pool
from sercli.features.store import FeatureStore

_NORMALISATIONS = ("speaker", "none")


def load_features(
    manifest: Manifest, keys: Mapping[str, str], store: Path, features: FeaturesConfig
) -> dict[str, np.ndarray]:
    """Normalise, clip and pool the frames of all utterances.

    With ``features.normalise=speaker`` the mean and deviation of a speaker come from all frames
    of all turns of that speaker, whatever their label. They include the test speakers' own
    frames, without labels: results are transductive in that sense, as in the published code of
    IAAN. (That code groups by the first six letters of an IEMOCAP file, session and wearer of
    the motion capture, and so mixes the two speakers of a dialogue; here a group is a speaker.)
    As there, the frames beyond ``features.max_frames`` count in the statistics and are then
    left out.

    Args:
        manifest: The corpus.
        keys: Utterance id → key in the store. Utterances without one are left out.
        store: Folder of the feature store.
        features: What is done to the frames.

    Returns:
        Utterance id → float32 (steps, features), in the order of the manifest.

    Raises:
        RequestError: A value of ``features`` makes no sense.
        SercliError: The store lacks a key.
    """
    _check(features)
    kept = manifest.table[manifest.table["utterance"].isin(list(keys))]
    steps: dict[str, np.ndarray] = {}
    with FeatureStore(store) as frames:
        for _, turns in kept.groupby("speaker", sort=False):
            # one speaker at a time, because the frames of a whole corpus may not fit in memory
            by_utterance = {name: _get(frames, keys[name], name) for name in turns["utterance"]}
            steps.update(_steps(by_utterance, features))
    return {name: steps[name] for name in kept["utterance"]}


def _check(features: FeaturesConfig) -> None:
    if features.normalise not in _NORMALISATIONS:
        raise RequestError(
            f"unknown features.normalise '{features.normalise}'."
            f"{nearest(features.normalise, _NORMALISATIONS)}"
        )
    for name in ("max_frames", "pool"):
        if getattr(features, name) < 1:
            raise RequestError(f"features.{name}={getattr(features, name)}; it must be at least 1")


def _get(store: FeatureStore, key: str, utterance: str) -> np.ndarray:
    try:
        return store.get(key)
    except KeyError:
        raise SercliError(
            f"the feature store has no frames of utterance '{utterance}'; run `sercli extract`"
        ) from None


def _steps(
    turns: Mapping[str, np.ndarray], features: FeaturesConfig
) -> Iterator[tuple[str, np.ndarray]]:
    """Prepare the turns of one speaker."""
    if features.normalise == "speaker":
        statistics = frame_statistics(list(turns.values()))
        turns = {name: z_normalise(frames, statistics) for name, frames in turns.items()}
    for utterance, frames in turns.items():
        yield utterance, mean_pool(frames[: features.max_frames], features.pool)
