"""From each level of features to what a model sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sercli.config.compose import compose
from sercli.config.run_key import run_key
from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError
from sercli.features.extract import extract
from sercli.features.load import load_features

FUNCTIONALS = FeaturesConfig(name="eGeMAPSv02", level="functionals")


@pytest.fixture(scope="module")
def manifest(corpus: Callable[..., Manifest], tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus(tmp_path_factory.mktemp("audio"), 6, seconds=0.5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def steps_of(manifest: Manifest, store: Path, features: FeaturesConfig) -> dict[str, np.ndarray]:
    done = extract(manifest, features, store)
    assert done.refused == {}
    return dict(load_features(manifest, done.keys, store, features))


@pytest.mark.parametrize(
    ("name", "level", "columns"),
    [
        ("iaan45", "lld", 45),
        ("emobase", "lld_delta", 52),
        ("ComParE_2016", "lld", 65),
        ("log_mel", "lld", 80),
        ("mfcc", "lld_delta", 26),
    ],
)
def test_frames_of_every_kind_are_clipped_pooled_and_normalised(
    manifest: Manifest, store: Path, name: str, level: str, columns: int
) -> None:
    features = FeaturesConfig(name=name, level=level, max_frames=38, pool=4)
    steps = steps_of(manifest, store, features)
    assert {each.shape for each in steps.values()} == {(10, columns)}
    whole = steps_of(manifest, store, replace(features, max_frames=2500, pool=1))
    for speaker in ("s0", "s1"):
        turns = manifest.table.loc[manifest.table["speaker"] == speaker, "utterance"]
        frames = np.concatenate([whole[each] for each in turns])
        np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)


def test_functionals_are_one_step_that_is_neither_clipped_nor_pooled(
    manifest: Manifest, store: Path
) -> None:
    steps = steps_of(manifest, store, FUNCTIONALS)
    assert {each.shape for each in steps.values()} == {(1, 88)}
    other = steps_of(manifest, store, replace(FUNCTIONALS, pool=1, max_frames=1))
    for name, each in steps.items():
        np.testing.assert_array_equal(each, other[name])
    plain = steps_of(manifest, store, replace(FUNCTIONALS, normalise="none"))
    speaker = np.concatenate([plain[name] for name in ("u000", "u002", "u004")])
    varied = speaker.std(axis=0) > 1e-3
    expected = ((speaker - speaker.mean(axis=0)) / speaker.std(axis=0).clip(1e-9))[:, varied]
    np.testing.assert_allclose(steps["u000"][0, varied], expected[0], atol=1e-2)


def test_pooling_of_functionals_does_not_make_another_run() -> None:
    def key(*overrides: str) -> str:
        chosen = ["features=eGeMAPSv02", *overrides]
        return run_key(compose(["dataset=iemocap", *chosen]), "data")

    assert key("features.level=functionals", "features.pool=1") == key(
        "features.level=functionals", "features.pool=5"
    )
    assert key("features.pool=1") != key("features.pool=5")
    assert key("features.level=functionals") != key()


def test_where_an_own_configuration_lies_does_not_make_another_run() -> None:
    def key(path: str) -> str:
        return run_key(compose(["features=custom", f"features.config={path}"]), "data")

    assert key("a.conf") == key("b.conf")


def test_an_unknown_level_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="Did you mean 'lld_delta'"):
        compose(["features.level=lld_deltas"])
