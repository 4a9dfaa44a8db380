"""Features of real speech: the nEMO slice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.features.extract import extract
from sercli.features.load import load_features
from sercli.features.sets import column_names
from sercli.features.store import FeatureStore

_REPOSITORY = Path(__file__).parents[2]
NEMO = Path(os.environ.get("SERCLI_NEMO", _REPOSITORY.parent / "shared" / "data" / "nemo"))

pytestmark = pytest.mark.skipif(
    not NEMO.is_dir(), reason=f"real speech is absent: no {NEMO} (set SERCLI_NEMO)"
)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    rows = [
        {
            "utterance": audio.stem,
            "audio": str(audio),
            "speaker": audio.stem.split("_")[0],
            "emotion": audio.stem.split("_")[1],
        }
        for audio in sorted((NEMO / "samples").glob("*.flac"))[::17]
    ]
    return build_manifest("nemo", rows, {"anger": "anger", "sadness": "sadness"})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def test_real_speech_is_extracted_60_times_faster_than_it_was_spoken(
    manifest: Manifest, store: Path
) -> None:
    began = time.process_time()
    done = extract(manifest, FeaturesConfig(), store)
    spent = time.process_time() - began
    assert done.refused == {}
    assert done.extracted == len(manifest.table)
    assert sum(done.seconds.values()) / spent >= 60


def test_real_speech_has_100_frames_a_second_and_a_human_voice(
    manifest: Manifest, store: Path
) -> None:
    done = extract(manifest, FeaturesConfig(), store)
    f0 = column_names(FeaturesConfig()).index("F0_sma")
    for name, key in done.keys.items():
        frames = FeatureStore(store).get(key)
        assert abs(len(frames) - 100 * done.seconds[name]) <= 2
        assert np.isfinite(frames).all()
        voiced = frames[frames[:, f0] > 0, f0]
        assert len(voiced) > 0.2 * len(frames)
        assert 60 < np.median(voiced) < 500


def test_steps_of_real_speech_are_50_ms_long_and_normalised(
    manifest: Manifest, store: Path
) -> None:
    done = extract(manifest, FeaturesConfig(), store)
    steps = load_features(manifest, done.keys, store, FeaturesConfig())
    assert list(steps) == list(manifest.table["utterance"])
    assert all(each.shape[1] == 45 for each in steps.values())
    assert all(abs(len(steps[name]) - 20 * done.seconds[name]) <= 1 for name in steps)
    everything = np.concatenate(list(steps.values()))
    assert abs(everything.mean()) < 0.05
    assert 0.5 < everything.std() < 1
