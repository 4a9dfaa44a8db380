from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.config.schema import DatasetConfig
from sercli.corpora.audit import audit, save_audit
from sercli.corpora.manifest import Manifest, Refusal, build_manifest

CONFIG = DatasetConfig(name="mine", reader="nemo", root="corpus", classes={"ang": "anger"})


@pytest.fixture
def manifest() -> Manifest:
    rows: list[dict[str, Any]] = [
        {"utterance": "a", "audio": "a.wav", "speaker": "S1", "emotion": "ang", "turn": 3},
        {"utterance": "b", "audio": "b.wav", "speaker": "S1", "emotion": "xxx", "gender": "male"},
    ]
    return build_manifest("mine", rows, CONFIG.classes, [Refusal("é.wav", "is empty")])


def keep(manifest: Manifest, config: DatasetConfig, data: Path) -> Path:
    return save_audit(manifest, audit(manifest, config), config, data)


def test_the_manifest_the_refusals_and_the_audit_are_kept(
    manifest: Manifest, tmp_path: Path
) -> None:
    folder = keep(manifest, CONFIG, tmp_path)
    assert folder.parent == tmp_path / "manifests"
    assert folder.name.startswith("mine-")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "manifest.parquet"), manifest.table)
    refused = pd.read_parquet(folder / "refused.parquet")
    assert refused.to_dict("records") == [{"file": "é.wav", "reason": "is empty"}]
    page = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    assert page["configuration"]["classes"] == {"ang": "anger"}
    assert {name: page[name] for name in page if name != "configuration"} == audit(
        manifest, CONFIG
    ).to_json()


def test_nothing_refused_is_an_empty_table(manifest: Manifest, tmp_path: Path) -> None:
    folder = keep(replace(manifest, refused=()), CONFIG, tmp_path)
    refused = pd.read_parquet(folder / "refused.parquet")
    assert refused.columns.tolist() == ["file", "reason"]
    assert refused.empty


def test_the_same_corpus_takes_the_place_of_what_was_kept(
    manifest: Manifest, tmp_path: Path
) -> None:
    first = keep(manifest, CONFIG, tmp_path)
    again = keep(replace(manifest, refused=()), CONFIG, tmp_path)
    assert again == first
    assert len(pd.read_parquet(first / "refused.parquet")) == 0
    assert sorted(path.name for path in first.iterdir()) == [
        *("audit.json", "manifest.parquet", "refused.parquet")
    ]


def test_another_place_or_another_task_is_another_corpus(
    manifest: Manifest, tmp_path: Path
) -> None:
    others = (
        CONFIG,
        replace(CONFIG, root="elsewhere"),
        replace(CONFIG, classes={"xxx": "anger"}),
    )
    assert len({keep(manifest, config, tmp_path) for config in others}) == 3


def test_a_name_that_is_no_file_name_is_one_all_the_same(
    manifest: Manifest, tmp_path: Path
) -> None:
    folder = keep(manifest, replace(CONFIG, name="../lab: speech"), tmp_path)
    assert folder.parent == tmp_path / "manifests"
    assert folder.name.startswith("_lab__speech-")
