from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sercli.config.schema import ContextConfig, DatasetConfig
from sercli.corpora.audit import audit
from sercli.corpora.expected_counts import CountComparison, ExpectedCounts
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.errors import RequestError

CLASSES = {"ang": "anger", "sad": "sadness"}


@pytest.fixture
def manifest() -> Manifest:
    """Two sessions; each begins with a turn that is no target, then come F, M, M."""
    emotions = ("xxx", "ang", "ang", "sad")
    rows = [
        {
            "utterance": f"{session}{turn}",
            "audio": f"{session}{turn}.wav",
            "speaker": f"{session}{'FFMM'[turn]}",
            "session": session,
            "dialogue": session,
            "turn": turn,
            "emotion": emotion,
            "split": "train",
        }
        for session in ("S1", "S2")
        for turn, emotion in enumerate(emotions)
    ]
    return build_manifest("mine", rows, CLASSES)


def compared(manifest: Manifest, **more: Any) -> ExpectedCounts:
    expected = audit(manifest, DatasetConfig(name="mine", **more)).expected
    assert expected is not None
    return expected


def test_classes_are_compared_one_by_one(manifest: Manifest) -> None:
    found = compared(manifest, expected={"anger": 4, "sadness": 9})
    assert found.counts == (
        CountComparison(None, "anger", 4, 4),
        CountComparison(None, "sadness", 9, 2),
    )
    assert not found.ok
    assert compared(manifest, expected={"anger": 4, "sadness": 2}).ok


def test_a_published_class_that_the_task_lacks_is_not_met(manifest: Manifest) -> None:
    assert compared(manifest, expected={"fear": 4}).counts == (CountComparison(None, "fear", 4, 0),)


def test_parts_are_compared_in_every_count(manifest: Manifest) -> None:
    counts = {
        "utterances": 4,
        "targets": 3,
        "anger": 2,
        "sadness": 1,
        "no_same_speaker": 1,
        "no_interlocutor": 1,
        "neither": 0,
    }
    found = compared(
        manifest, expected={"anger": 4, "sadness": 2}, expected_in={"session": {"S1": counts}}
    )
    assert {each.count: each.found for each in found.counts if each.part == "S1"} == counts
    assert found.ok


def test_any_column_can_make_the_parts(manifest: Manifest) -> None:
    parts = {"split": {"train": {"targets": 6}}, "speaker": {"S2F": {"utterances": 5}}}
    found = compared(manifest, expected_in=parts)
    assert found.counts == (
        CountComparison("train", "targets", 6, 6),
        CountComparison("S2F", "utterances", 5, 2),
    )


def test_a_part_that_is_not_there_has_nothing(manifest: Manifest) -> None:
    found = compared(manifest, expected_in={"session": {"S3": {"utterances": 7, "targets": 5}}})
    assert [each.found for each in found.counts] == [0, 0]


def test_a_class_that_is_no_longer_expected_is_not_compared_in_the_parts(
    manifest: Manifest,
) -> None:
    parts = {"session": {"S1": {"anger": 2, "sadness": 1}}}
    found = compared(manifest, expected={"anger": 4}, expected_in=parts)
    assert [each.count for each in found.counts] == ["anger", "anger"]


@pytest.mark.parametrize(
    "context", [ContextConfig(window=1), ContextConfig(choose="random"), ContextConfig(seed=1)]
)
def test_missing_context_is_known_for_the_usual_choice_only(
    manifest: Manifest, context: ContextConfig
) -> None:
    parts = {"session": {"S1": {"utterances": 4, "neither": 1}}}
    found = compared(manifest, expected_in=parts, context=context)
    assert [each.count for each in found.counts] == ["utterances"]


def test_nothing_known_is_nothing_compared(manifest: Manifest) -> None:
    assert audit(manifest, DatasetConfig(name="mine")).expected is None


def test_a_column_that_no_manifest_has_is_refused(manifest: Manifest) -> None:
    with pytest.raises(RequestError, match=r"expected_in\.sesion: .* mean 'session'"):
        compared(manifest, expected_in={"sesion": {"S1": {"utterances": 4}}})


def test_every_count_that_differs_is_a_finding(manifest: Manifest) -> None:
    dataset = DatasetConfig(
        name="mine",
        expected={"anger": 5, "sadness": 2},
        expected_in={"session": {"S1": {"utterances": 4, "anger": 3}}},
    )
    assert [finding.text for finding in audit(manifest, dataset).findings] == [
        "anger 4, published 5",
        "S1: anger 2, published 3",
    ]


def test_the_comparison_is_in_the_json(manifest: Manifest) -> None:
    dataset = DatasetConfig(name="mine", expected={"anger": 5})
    assert audit(manifest, dataset).to_json()["expected"] == {
        "ok": False,
        "counts": [{"part": None, "count": "anger", "expected": 5, "found": 4}],
    }


def test_a_corpus_that_lost_a_session_is_compared_with_all_of_them(manifest: Manifest) -> None:
    rest = replace(manifest, table=manifest.table.query("session == 'S1'").reset_index(drop=True))
    parts = {"session": {name: {"utterances": 4} for name in ("S1", "S2")}}
    assert [each.found for each in compared(rest, expected_in=parts).counts] == [4, 0]
