from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.config.schema import ContextConfig, DatasetConfig
from sercli.corpora.audit import audit, save_audit
from sercli.corpora.manifest import Manifest, Refusal, build_manifest

CLASSES = {"ang": "anger", "exc": "happiness", "hap": "happiness", "sad": "sadness"}


@pytest.fixture
def manifest() -> Manifest:
    spoken = [
        ("a", "S1_F", "Session1", "ang"),
        ("b", "S1_M", "Session1", "xxx"),
        ("c", "S1_F", "Session1", "exc"),
        ("d", "S2_M", "Session2", "hap"),
        ("e", "S2_F", "Session2", "xxx"),
        ("f", "S2_F", "Session2", "xxx"),
    ]
    rows = [
        {
            "utterance": utterance,
            "audio": f"{utterance}.wav",
            "speaker": speaker,
            "session": session,
            "dialogue": session,
            "turn": turn,
            "emotion": emotion,
        }
        for turn, (utterance, speaker, session, emotion) in enumerate(spoken)
    ]
    return build_manifest("mine", rows, CLASSES, [Refusal("x.txt:3", "is stray")])


def dataset(**more: Any) -> DatasetConfig:
    return DatasetConfig(name="mine", **more)


def test_the_audit_is_json_in_the_form_of_the_design(manifest: Manifest) -> None:
    found = audit(manifest, dataset()).to_json()
    assert json.loads(json.dumps(found)) == found
    assert found == {
        "dataset": "mine",
        "synthetic": False,
        "utterances": 6,
        "targets": 3,
        "hours": None,
        "classes": {"anger": 1, "happiness": 2, "sadness": 0},
        "emotions": {"xxx": 3, "ang": 1, "exc": 1, "hap": 1},
        "corpora": {},
        "speakers": {
            "S1_F": {"anger": 1, "happiness": 1, "sadness": 0},
            "S1_M": {"anger": 0, "happiness": 0, "sadness": 0},
            "S2_F": {"anger": 0, "happiness": 0, "sadness": 0},
            "S2_M": {"anger": 0, "happiness": 1, "sadness": 0},
        },
        "sessions": {
            "Session1": {"anger": 1, "happiness": 1, "sadness": 0},
            "Session2": {"anger": 0, "happiness": 1, "sadness": 0},
        },
        "splits": {},
        "context": {
            "choose": "last",
            "order": "transcript",
            "window": 8,
            "past_only": False,
            "no_same_speaker": 2,
            "no_interlocutor": 2,
            "neither": 2,
            "not_over": None,
        },
        "audio": None,
        "expected": None,
        "findings": [],
        "refused": [{"file": "x.txt:3", "reason": "is stray"}],
    }


def test_classes_are_in_the_order_of_the_outputs_of_a_model(manifest: Manifest) -> None:
    assert tuple(audit(manifest, dataset()).classes) == manifest.classes


def test_the_window_of_the_context_counts(manifest: Manifest) -> None:
    narrow = audit(manifest, dataset(context=ContextConfig(window=1))).context
    assert (narrow.no_same_speaker, narrow.no_interlocutor, narrow.neither) == (3, 2, 2)


def test_context_that_is_not_over_when_the_target_starts_is_counted(manifest: Manifest) -> None:
    times = manifest.table.assign(start=[0, 1, 2, 0, 1, 2], end=[1, 9, 3, 1, 2, 3])
    timed = replace(manifest, table=times.astype({"start": "float64", "end": "float64"}))
    assert audit(timed, dataset()).context.not_over == 1
    past = dataset(context=ContextConfig(past_only=True))
    assert audit(timed, past).context.not_over == 0


def test_the_duration_is_unknown_until_it_is_measured(manifest: Manifest) -> None:
    assert audit(manifest, dataset()).hours is None
    assert audit(manifest, dataset(), {}).hours is None


def test_targets_are_counted_by_part_of_the_official_split(manifest: Manifest) -> None:
    splits = pd.Series(["train", "train", "train", "test", "test", None], dtype="str")
    found = audit(replace(manifest, table=manifest.table.assign(split=splits)), dataset())
    assert found.splits == {
        "test": {"anger": 0, "happiness": 1, "sadness": 0},
        "train": {"anger": 1, "happiness": 1, "sadness": 0},
    }


def test_a_corpus_without_sessions_has_none(manifest: Manifest) -> None:
    table = manifest.table.assign(session=None, dialogue=None, turn=None)
    found = audit(replace(manifest, table=table), dataset())
    assert found.sessions == {}
    assert found.context.neither == found.targets


CONFIG = DatasetConfig(name="mine", reader="nemo", root="corpus", classes={"ang": "anger"})


@pytest.fixture
def little() -> Manifest:
    rows: list[dict[str, Any]] = [
        {
            "utterance": "a",
            "audio": "a.wav",
            "speaker": "S1",
            "emotion": "ang",
            "turn": 3,
            "ratings": [("E1", "ang"), ("E2", "xxx")],
        },
        {"utterance": "b", "audio": "b.wav", "speaker": "S1", "emotion": "xxx", "gender": "male"},
    ]
    return build_manifest("mine", rows, CONFIG.classes, [Refusal("é.wav", "is empty")])


def save(manifest: Manifest, config: DatasetConfig, data: Path) -> Path:
    return save_audit(manifest, audit(manifest, config), config, data)


def test_the_manifest_the_refusals_and_the_audit_are_kept(little: Manifest, tmp_path: Path) -> None:
    folder = save(little, CONFIG, tmp_path)
    assert folder.parent == tmp_path / "manifests"
    assert folder.name.startswith("mine-")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "manifest.parquet"), little.table)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "ratings.parquet"), little.ratings)
    assert little.ratings["label"].fillna("none").tolist() == ["anger", "none"]
    refused = pd.read_parquet(folder / "refused.parquet")
    assert refused.to_dict("records") == [{"file": "é.wav", "reason": "is empty"}]
    page = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    assert page["configuration"]["classes"] == {"ang": "anger"}
    assert {name: page[name] for name in page if name != "configuration"} == audit(
        little, CONFIG
    ).to_json()


def test_nothing_refused_is_an_empty_table(little: Manifest, tmp_path: Path) -> None:
    folder = save(replace(little, refused=()), CONFIG, tmp_path)
    refused = pd.read_parquet(folder / "refused.parquet")
    assert refused.columns.tolist() == ["file", "reason"]
    assert refused.empty


def test_the_same_corpus_takes_the_place_of_what_was_kept(little: Manifest, tmp_path: Path) -> None:
    first = save(little, CONFIG, tmp_path)
    again = save(replace(little, refused=()), CONFIG, tmp_path)
    assert again == first
    assert len(pd.read_parquet(first / "refused.parquet")) == 0
    assert sorted(path.name for path in first.iterdir()) == [
        *("audit.json", "manifest.parquet", "ratings.parquet", "refused.parquet")
    ]


def test_another_place_or_another_task_is_another_corpus(little: Manifest, tmp_path: Path) -> None:
    others = (
        CONFIG,
        replace(CONFIG, root="elsewhere"),
        replace(CONFIG, classes={"xxx": "anger"}),
    )
    assert len({save(little, config, tmp_path) for config in others}) == 3


def test_a_name_that_is_no_file_name_is_one_all_the_same(little: Manifest, tmp_path: Path) -> None:
    folder = save(little, replace(CONFIG, name="../lab: speech"), tmp_path)
    assert folder.parent == tmp_path / "manifests"
    assert folder.name.startswith("_lab__speech-")
