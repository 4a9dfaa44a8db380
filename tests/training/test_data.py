"""What training reads, and the fingerprint that a run's key takes from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from sercli.config.schema import Config, FeaturesConfig, PathsConfig
from sercli.corpora.manifest import Manifest, Refusal, build_manifest
from sercli.errors import SercliError
from sercli.features.extract import Extraction
from sercli.training.data import Data, read_data

Read = Callable[..., Data]


@pytest.fixture(name="read")
def _read(toy: Data, toy_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read the toy corpus as if it had been extracted; key of an utterance: its own name."""

    def read(
        manifest: Manifest = toy.manifest, refused: tuple[str, ...] = (), **options: Any
    ) -> Data:
        keys = options.pop("keys", {name: name for name in manifest.table["utterance"]})
        extraction = Extraction(
            keys={name: key for name, key in keys.items() if name not in refused},
            refused={name: Refusal(f"{name}.wav", "empty") for name in refused},
            facts={},
            reused=0,
            extracted=0,
            extracted_seconds=0.0,
            elapsed=0.0,
        )
        for name, answer in (
            ("read_corpus", manifest),
            ("extract", extraction),
            ("load_features", toy.steps),
        ):
            monkeypatch.setattr(f"sercli.training.data.{name}", lambda *_, a=answer, **__: a)
        return read_data(toy_config(), **options)

    return read


def changed(manifest: Manifest, column: str, value: object) -> Manifest:
    """Change one cell, in the row of the third utterance."""
    values = manifest.table[column].tolist()
    values[2] = value
    kind = manifest.table[column].dtype
    table = manifest.table.assign(**{column: pd.Series(values, dtype=kind)})
    return replace(manifest, table=table)


@pytest.mark.parametrize(
    ("column", "value"),
    [("label", "anger"), ("speaker", "p9"), ("turn", 77), ("session", "s9"), ("label", None)],
)
def test_the_fingerprint_changes_with_what_a_result_depends_on(
    toy: Data, read: Read, column: str, value: object
) -> None:
    assert read(changed(toy.manifest, column, value)).fingerprint != read().fingerprint


@pytest.mark.parametrize("column", ["audio", "transcript"])
def test_the_fingerprint_does_not_change_with_paths_and_words(
    toy: Data, read: Read, column: str
) -> None:
    assert read(changed(toy.manifest, column, "elsewhere")).fingerprint == read().fingerprint


def test_the_fingerprint_changes_with_the_audio_itself(toy: Data, read: Read) -> None:
    keys = {name: name for name in toy.steps}

    assert read(keys={**keys, "s1a0": "other audio"}).fingerprint != read().fingerprint


def test_the_fingerprint_changes_with_the_order_from_which_batches_are_drawn(
    toy: Data, read: Read
) -> None:
    backwards = toy.manifest.table.iloc[::-1].reset_index(drop=True)

    assert read(replace(toy.manifest, table=backwards)).fingerprint != read().fingerprint


def test_copies_of_the_targets_are_read_beside_them_and_are_part_of_the_fingerprint(
    tmp_path: Path,
    toy_config: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
    watching: Any,
) -> None:
    rows = []
    for name, seconds, emotion in (("a", 0.5, "ang"), ("b", 0.065, "hap"), ("c", 0.4, "xxx")):
        time = np.arange(round(seconds * 16000))
        wavfile.write(tmp_path / f"{name}.wav", 16000, np.sin(time / 9).astype(np.float32) / 2)
        audio = str(tmp_path / f"{name}.wav")
        rows.append({"utterance": name, "audio": audio, "speaker": "s", "emotion": emotion})
    manifest = build_manifest("toy", rows, {"ang": "anger", "hap": "happiness"})
    monkeypatch.setattr("sercli.training.data.read_corpus", lambda *given: manifest)
    progress = watching()
    config = replace(
        toy_config(),
        features=FeaturesConfig("log_mel", options={"bands": 8}, pool=1),
        augment={"speed": {"factors": [0.8, 1.25]}, "noise": {"snr": [9, 9], "copies": 1}},
        paths=PathsConfig(store=str(tmp_path / "store")),
    )
    plain = read_data(replace(config, augment={}))
    data = read_data(config, progress=progress)
    turns = data.packed

    assert data.copies is not None
    assert dict(data.copies.of) == {
        "a (speed 0.8)": "a",
        "a (speed 1.25)": "a",
        "a (noise 1)": "a",
        "b (speed 0.8)": "b",
        "b (noise 1)": "b",
    }
    assert (
        "1 of 6 copies cannot be made; the first, 'b (speed 1.25)': shorter" in progress.notes[-1]
    )
    assert data.fingerprint != plain.fingerprint
    assert read_data(config).fingerprint == data.fingerprint
    lengths = dict(zip(turns.names, turns.lengths.tolist(), strict=True))
    assert lengths["a (speed 0.8)"] > lengths["a"] > lengths["a (speed 1.25)"]
    np.testing.assert_array_equal(plain.steps["a"], data.steps["a"])
    noisy = data.copies.steps["a (noise 1)"]
    assert np.isfinite(noisy).all()
    assert abs(noisy.mean()) > 0.1  # by the statistics of the clean turns
    assert turns.kept.read(np.array([turns.names.tolist().index("a (noise 1)")])) == {}


def test_refused_utterances_are_left_out_everywhere_and_noted(
    toy: Data, read: Read, watching: Any
) -> None:
    progress = watching()

    data = read(refused=("s1a0", "s1a1"), progress=progress)

    assert set(toy.labels) - set(data.labels) == {"s1a0", "s1a1"}
    assert data.manifest.refused == (Refusal("s1a0.wav", "empty"), Refusal("s1a1.wav", "empty"))
    assert data.context["own"].isna()["s1a2"]
    assert data.fingerprint != read().fingerprint
    (note,) = progress.notes
    assert note.startswith("2 utterances of toy refused")


def test_rows_that_the_reader_refused_are_noted_too(toy: Data, read: Read, watching: Any) -> None:
    progress = watching()
    manifest = replace(toy.manifest, refused=(Refusal("mine.csv:7", "gone.wav is missing"),))
    used = len(read(manifest=manifest, refused=("s1a0",), progress=progress).manifest.table)
    (note,) = progress.notes
    assert note.startswith(f"2 utterances of toy refused and left out, {used} used")


def test_a_corpus_of_which_no_target_can_be_read_is_an_error(toy: Data, read: Read) -> None:
    reason = r"toy: none of the 64 target utterances could be read \(\w+\.wav: empty\); `sercli"
    with pytest.raises(SercliError, match=reason):
        read(refused=tuple(toy.labels))
