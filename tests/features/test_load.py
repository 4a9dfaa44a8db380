from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sercli.config.schema import FeaturesConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.errors import RequestError, SercliError
from sercli.features.load import load_features
from sercli.features.preprocess import frame_statistics, mean_pool, z_normalise
from sercli.features.store import FeatureStore

_FACTS = AudioFacts(1.0, 16000, 1, peak=0.5, clipped_share=0.0, content="")


def _manifest(speakers: Mapping[str, str]) -> Manifest:
    rows = [
        {"utterance": name, "audio": "-", "speaker": speaker, "emotion": "neutral"}
        for name, speaker in speakers.items()
    ]
    return build_manifest("made", rows, {"neutral": "neutral"})


def _fill(store: Path, lengths: Sequence[int]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    frames = {
        f"u{each}": random.normal(3, 2, (length, 4)).astype(np.float32)
        for each, length in enumerate(lengths)
    }
    opened = FeatureStore(store, create=True)
    for name, values in frames.items():
        opened.put(f"key of {name}", values, _FACTS)
    return frames


def _keys(names: Mapping[str, object]) -> dict[str, str]:
    return {name: f"key of {name}" for name in names}


def test_each_speaker_is_normalised_over_all_of_its_turns(tmp_path: Path) -> None:
    frames = _fill(tmp_path, [20, 30, 40])
    manifest = _manifest({"u0": "a", "u1": "b", "u2": "a"})
    steps = load_features(manifest, _keys(frames), tmp_path, FeaturesConfig(pool=1))
    assert list(steps) == ["u0", "u1", "u2"]
    speaker_a = np.concatenate([steps["u0"], steps["u2"]])
    np.testing.assert_allclose(speaker_a.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(speaker_a.std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(steps["u1"].mean(axis=0), 0, atol=1e-6)
    assert abs(steps["u0"].mean()) > 1e-3  # of one turn alone they are not 0


def test_each_corpus_is_normalised_over_all_of_its_turns(tmp_path: Path) -> None:
    frames = _fill(tmp_path, [20, 30, 40])
    whole = _manifest({"u0": "a", "u1": "b", "u2": "c"})
    manifest = replace(whole, table=whole.table.assign(corpus=["x", "y", "x"]))
    steps = load_features(
        manifest, _keys(frames), tmp_path, FeaturesConfig(pool=1, normalise="corpus")
    )
    for utterances in (["u0", "u2"], ["u1"]):
        statistics = frame_statistics([frames[name] for name in utterances])
        for name in utterances:
            np.testing.assert_allclose(
                steps[name], z_normalise(frames[name], statistics), atol=1e-6
            )


def test_frames_are_normalised_then_clipped_then_pooled(tmp_path: Path) -> None:
    frames = _fill(tmp_path, [23, 8])
    manifest = _manifest({"u0": "a", "u1": "a"})
    settings = FeaturesConfig(max_frames=12, pool=5)
    steps = load_features(manifest, _keys(frames), tmp_path, settings)
    statistics = frame_statistics(list(frames.values()))
    for name, values in frames.items():
        expected = mean_pool(z_normalise(values, statistics)[:12], 5)
        np.testing.assert_array_equal(steps[name], expected)
    assert [steps[name].shape for name in steps] == [(3, 4), (2, 4)]


def test_without_normalisation_the_frames_are_only_pooled(tmp_path: Path) -> None:
    frames = _fill(tmp_path, [10])
    settings = FeaturesConfig(normalise="none")
    steps = load_features(_manifest({"u0": "a"}), _keys(frames), tmp_path, settings)
    np.testing.assert_array_equal(steps["u0"], mean_pool(frames["u0"], 5))


def test_utterances_without_a_key_are_left_out(tmp_path: Path) -> None:
    frames = _fill(tmp_path, [10, 10])
    manifest = _manifest({"u0": "a", "u1": "a", "refused": "a"})
    assert list(load_features(manifest, _keys(frames), tmp_path, FeaturesConfig())) == ["u0", "u1"]


def test_frames_that_the_store_lacks_are_named(tmp_path: Path) -> None:
    _fill(tmp_path, [10])
    with pytest.raises(SercliError, match="no frames of utterance 'u1'; run `sercli extract`"):
        load_features(
            _manifest({"u0": "a", "u1": "a"}), _keys({"u0": 0, "u1": 0}), tmp_path, FeaturesConfig()
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (FeaturesConfig(normalise="speakr"), "Did you mean 'speaker'"),
        (FeaturesConfig(pool=0), "features.pool=0; it must be at least 1"),
        (FeaturesConfig(max_frames=0), "features.max_frames=0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    tmp_path: Path, settings: FeaturesConfig, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        load_features(_manifest({"u0": "a"}), {}, tmp_path, settings)


def test_lengths_are_known_without_reading_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = _fill(tmp_path, [23, 8, 1])
    manifest = _manifest(dict.fromkeys(frames, "a"))
    settings = FeaturesConfig(max_frames=12, pool=5, normalise="none")
    with monkeypatch.context() as patch:
        patch.delattr(FeatureStore, "get")
        steps = load_features(manifest, _keys(frames), tmp_path, settings)
        assert steps.lengths == {"u0": 3, "u1": 2, "u2": 1}
    assert {name: len(steps[name]) for name in steps} == steps.lengths


def test_another_process_gets_the_way_to_the_steps_and_not_the_steps(tmp_path: Path) -> None:
    frames = _fill(tmp_path, [5000, 5000])
    manifest = _manifest(dict.fromkeys(frames, "a"))
    steps = load_features(manifest, _keys(frames), tmp_path, FeaturesConfig(pool=1))
    expected = steps["u0"]
    sent = pickle.dumps(steps)
    assert len(sent) < expected.nbytes / 10
    copy = pickle.loads(sent)
    np.testing.assert_array_equal(copy["u0"], expected)
    assert (list(copy), len(copy), "u1" in copy, "u2" in copy) == (["u0", "u1"], 2, True, False)
    assert copy.lengths == steps.lengths
