"""Folds: who trains, who chooses the step, who tests."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.config.schema import ProtocolConfig
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.errors import RequestError
from sercli.training.folds import make_folds

SESSION = ProtocolConfig(name="loso_session", unit="session")
SPEAKER = ProtocolConfig(name="loso_speaker", unit="speaker")


def manifest(rows: Sequence[Mapping[str, Any]]) -> Manifest:
    """Number the rows and complete them; emotion "xxx" is no class of the task."""
    complete = [
        {"utterance": f"u{n}", "audio": f"u{n}.wav", "emotion": "ang", **row}
        for n, row in enumerate(rows)
    ]
    return build_manifest("corpus", complete, {"ang": "anger", "sad": "sadness"})


@st.composite
def corpora(draw: st.DrawFn) -> Manifest:
    """Three to six sessions of one to three speakers, each with one target at least."""
    rows = []
    for session in range(draw(st.integers(3, 6))):
        for speaker in range(draw(st.integers(1, 3))):
            emotions = draw(st.lists(st.sampled_from(["ang", "sad", "xxx"]), max_size=4))
            rows += [
                {"session": f"s{session}", "speaker": f"s{session}-{speaker}", "emotion": emotion}
                for emotion in ["ang", *emotions]
            ]
    random.Random(draw(st.integers(0, 99))).shuffle(rows)
    return manifest(rows)


@settings(max_examples=40)
@given(corpora(), st.sampled_from([SESSION, SPEAKER]))
def test_every_target_is_tested_once_and_nothing_else_is(
    corpus: Manifest, protocol: ProtocolConfig
) -> None:
    tested = [name for fold in make_folds(corpus, protocol) for name in fold.test]

    assert sorted(tested) == sorted(corpus.targets["utterance"])


@settings(max_examples=40)
@given(corpora(), st.sampled_from([SESSION, SPEAKER]))
def test_train_dev_and_test_share_no_utterance_and_no_speaker(
    corpus: Manifest, protocol: ProtocolConfig
) -> None:
    speaker = dict(zip(corpus.table["utterance"], corpus.table["speaker"], strict=True))

    for fold in make_folds(corpus, protocol):
        parts = [fold.train, fold.dev, fold.test]
        assert all(parts)
        assert sorted(name for part in parts for name in part) == sorted(
            corpus.targets["utterance"]
        )
        speakers = [{speaker[name] for name in part} for part in parts]
        assert len(set.union(*speakers)) == sum(len(part) for part in speakers)


@settings(max_examples=40)
@given(corpora(), st.sampled_from([SESSION, SPEAKER]))
def test_the_next_unit_chooses_the_step_and_the_first_follows_the_last(
    corpus: Manifest, protocol: ProtocolConfig
) -> None:
    folds = make_folds(corpus, protocol)

    assert [fold.name for fold in folds] == sorted(corpus.targets[protocol.unit].unique())
    assert [fold.dev for fold in folds] == [fold.test for fold in [*folds[1:], folds[0]]]


def test_a_corpus_that_does_not_state_the_unit_is_refused_with_another_protocol() -> None:
    corpus = manifest([{"speaker": f"p{n}"} for n in range(4)])

    with pytest.raises(RequestError, match=r"on corpus: 4 utterances state no session"):
        make_folds(corpus, SESSION)
    with pytest.raises(RequestError, match=r"protocol=loso_speaker"):
        make_folds(corpus, SESSION)
    assert len(make_folds(corpus, SPEAKER)) == 4


def test_fewer_than_three_units_are_refused() -> None:
    corpus = manifest([{"speaker": f"p{n}", "session": f"s{n % 2}"} for n in range(4)])

    with pytest.raises(RequestError, match=r"needs 3 sessions \(test, dev, train\).* there are 2"):
        make_folds(corpus, SESSION)


def test_a_unit_without_targets_does_not_count() -> None:
    rows = [{"speaker": f"p{n}", "session": f"s{n}"} for n in range(3)]

    with pytest.raises(RequestError, match=r"there are 2"):
        make_folds(manifest([*rows[:2], rows[2] | {"emotion": "xxx"}]), SESSION)


def test_a_speaker_on_both_sides_is_refused_by_name() -> None:
    rows = [{"speaker": f"p{n}", "session": f"s{n}"} for n in range(4)]
    corpus = manifest([*rows, {"speaker": "p1", "session": "s3"}])

    with pytest.raises(RequestError, match=r"speaker 'p1' would stand on both sides.* 2 sessions"):
        make_folds(corpus, SESSION)
    assert len(make_folds(corpus, SPEAKER)) == 4
