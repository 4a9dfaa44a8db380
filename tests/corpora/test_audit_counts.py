from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sercli.config.schema import ContextConfig, DatasetConfig
from sercli.corpora.audit import audit
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
    found = audit(manifest, dataset(), dict.fromkeys("abcdef", 600.0)).to_json()
    assert json.loads(json.dumps(found)) == found
    assert found == {
        "dataset": "mine",
        "synthetic": False,
        "utterances": 6,
        "targets": 3,
        "hours": 1.0,
        "classes": {"anger": 1, "happiness": 2, "sadness": 0},
        "emotions": {"xxx": 3, "ang": 1, "exc": 1, "hap": 1},
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
        "context": {
            "order": "transcript",
            "window": 8,
            "no_same_speaker": 2,
            "no_interlocutor": 2,
            "neither": 2,
        },
        "expected": None,
        "refused": [{"file": "x.txt:3", "reason": "is stray"}],
    }


def test_classes_are_in_the_order_of_the_outputs_of_a_model(manifest: Manifest) -> None:
    assert tuple(audit(manifest, dataset()).classes) == manifest.classes


def test_the_window_of_the_context_counts(manifest: Manifest) -> None:
    narrow = audit(manifest, dataset(context=ContextConfig(window=1))).context
    assert (narrow.no_same_speaker, narrow.no_interlocutor, narrow.neither) == (3, 2, 2)


def test_the_duration_is_unknown_until_it_is_measured(manifest: Manifest) -> None:
    assert audit(manifest, dataset()).hours is None


def test_only_the_utterances_of_the_manifest_have_a_duration(manifest: Manifest) -> None:
    seconds = {"a": 1800.0, "nobody's": 3600.0}
    assert audit(manifest, dataset(), seconds).hours == 0.5


def test_published_counts_are_compared_class_by_class(manifest: Manifest) -> None:
    found = audit(manifest, dataset(expected={"anger": 1, "happiness": 9})).to_json()["expected"]
    assert found == {
        "ok": False,
        "classes": {
            "anger": {"expected": 1, "found": 1},
            "happiness": {"expected": 9, "found": 2},
        },
    }


def test_the_published_counts_are_met(manifest: Manifest) -> None:
    expected = audit(manifest, dataset(expected={"anger": 1, "happiness": 2})).expected
    assert expected is not None
    assert expected.ok


def test_a_published_class_that_the_task_lacks_is_not_met(manifest: Manifest) -> None:
    expected = audit(manifest, dataset(expected={"fear": 4})).expected
    assert expected is not None
    assert not expected.ok
    assert expected.classes["fear"].found == 0


def test_a_corpus_without_sessions_has_none(manifest: Manifest) -> None:
    table = manifest.table.assign(session=None, dialogue=None, turn=None)
    found = audit(replace(manifest, table=table), dataset())
    assert found.sessions == {}
    assert found.context.neither == found.targets
