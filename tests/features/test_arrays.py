from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.errors import RequestError
from sercli.features.copies import audio_copies
from sercli.features.extract import Extraction, extract
from sercli.features.sets import column_names, feature_set, frame_seconds
from sercli.features.store import FeatureStore
from sercli.features.verify import verify

NAMES = (
    "good",
    "sub/good",
    "short",
    "nan",
    "wide",
    "flat",
    "cut",
    "pickled",
    "open",
    "no_literal",
    "missing",
    "../out",
)


@pytest.fixture(name="manifest")
def _manifest(tmp_path: Path) -> Manifest:
    audio = tmp_path / "one.wav"
    soundfile.write(audio, np.sin(np.arange(16000) / 20), 16000)
    rows = [
        {"utterance": name, "audio": str(audio), "speaker": "s", "emotion": "joy"} for name in NAMES
    ]
    return build_manifest("mine", rows, {"joy": "happy"})


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "arrays"
    (folder / "sub").mkdir(parents=True)
    good = np.arange(100, dtype=np.float64).reshape(50, 2)
    arrays: dict[str, Any] = {
        "good": good,
        "sub/good": good + 1,
        "short": good[:40],
        "nan": np.where(good == 7, np.nan, good),
        "wide": good.reshape(-1, 4)[:25].repeat(2, axis=0),
        "flat": good.ravel(),
        "cut": good,
        "../out": good,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "pickled.npy", np.array([[{}]]), allow_pickle=True)
    cut = folder / "cut.npy"
    cut.write_bytes(cut.read_bytes()[:-8])
    header = (folder / "flat.npy").read_bytes().replace(b"(100,)", b"((10,)")
    (folder / "open.npy").write_bytes(header)
    (folder / "no_literal.npy").write_bytes(header.replace(b"((10,)", b"1 100,"))
    return folder


def settings(folder: Path, **options: Any) -> FeaturesConfig:
    return FeaturesConfig("arrays", path=str(folder), options={"rate": 50.0, **options})


def extracted(manifest: Manifest, folder: Path, store: Path) -> Extraction:
    return extract(manifest, settings(folder), store)


def test_arrays_are_frames_and_each_bad_one_is_refused_by_name(
    manifest: Manifest, folder: Path, tmp_path: Path
) -> None:
    first = folder / "a_first.npy"
    np.save(first, np.ones((1, 2)))
    done = extracted(manifest, folder, tmp_path / "store")
    assert set(done.keys) == {"good", "sub/good"}
    frames = FeatureStore(tmp_path / "store").get(done.keys["good"])
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, np.arange(100).reshape(50, 2))
    reasons = {name: refusal.reason for name, refusal in done.refused.items()}
    for name, reason in {
        "short": "short.npy has 40 frames; 1.00 s of audio at 50 frames per second have about 50",
        "nan": "nan.npy has NaN or infinite values",
        "wide": "wide.npy has 4 features, others 2",
        "flat": "has the shape (100,) of float64; must be numbers (frames, features)",
        "cut": "is truncated",
        "pickled": "of object; must be numbers",
        "open": "is no array in NumPy's format: ",
        "no_literal": "is no array in NumPy's format: ",
        "missing": "no array missing.npy in features.path=",
        "../out": "its array is not below features.path=",
    }.items():
        assert reason in reasons[name], name


def test_a_changed_array_is_read_again_and_a_moved_folder_is_not(
    manifest: Manifest, folder: Path, tmp_path: Path
) -> None:
    np.save(folder / "a_first.npy", np.ones((1, 2)))
    store = tmp_path / "store"
    extracted(manifest, folder, store)
    moved = folder.rename(tmp_path / "moved")
    np.save(moved / "sub/good.npy", np.zeros((50, 2)))
    found = extracted(manifest, moved, store)
    assert (found.extracted, found.reused) == (1, 1)
    assert not FeatureStore(store).get(found.keys["sub/good"]).any()
    assert verify(manifest, settings(moved), store).faults == ()


def test_names_rate_and_one_row(folder: Path) -> None:
    np.save(folder / "a_first.npy", np.ones((1, 2)))
    assert column_names(settings(folder)) == ("arrays[0]", "arrays[1]")
    assert frame_seconds(settings(folder)) == 0.02
    one_row = FeaturesConfig("arrays", level="functionals", path=str(folder))
    reader: Any = feature_set(one_row).extractor(16000)
    assert reader.read(folder / "a_first.npy", 1.0).shape == (1, 2)


def test_invalid_requests_are_one_clear_line(tmp_path: Path) -> None:
    for config, message in (
        (FeaturesConfig("arrays"), "add features.path=FOLDER"),
        (settings(tmp_path / "nowhere"), "no such folder"),
        (settings(tmp_path, rate=0.0), "rate=0: must be above 0"),
        (FeaturesConfig("arrays", level="lld_delta", path=str(tmp_path)), "lld .* or functionals"),
    ):
        with pytest.raises(RequestError, match=message):
            feature_set(config)
    with pytest.raises(RequestError, match="augment=speed changes audio, and features=arrays"):
        audio_copies({"speed": {}}, settings(tmp_path))
    with pytest.raises(RequestError, match=r"it holds no \.npy files"):
        column_names(settings(tmp_path))
