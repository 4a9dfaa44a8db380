"""Folds: who trains, who chooses the step, who tests."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.compose import compose
from sercli.config.schema import ProtocolConfig
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.errors import RequestError
from sercli.resources import packaged
from sercli.results.folds import Fold, shared_speakers
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


@given(corpora(), st.sampled_from([SESSION, SPEAKER]))
def test_every_target_is_tested_once_by_folds_that_share_no_speaker_and_follow_each_other(
    corpus: Manifest, protocol: ProtocolConfig
) -> None:
    folds = make_folds(corpus, protocol)
    targets = sorted(corpus.targets["utterance"])
    speaker = speakers(corpus)

    assert [fold.name for fold in folds] == sorted(corpus.targets[protocol.unit].unique())
    assert [fold.dev for fold in folds] == [fold.test for fold in [*folds[1:], folds[0]]]
    assert sorted(name for fold in folds for name in fold.test) == targets
    for fold in folds:
        parts = [fold.train, fold.dev, fold.test]
        assert all(parts)
        assert sorted(name for part in parts for name in part) == targets
        sides = [{speaker[name] for name in part} for part in parts]
        assert len(set.union(*sides)) == sum(len(side) for side in sides)


def test_a_corpus_that_does_not_state_the_unit_is_refused_with_another_protocol() -> None:
    corpus = manifest([{"speaker": f"p{n}"} for n in range(4)])

    with pytest.raises(RequestError, match=r"on corpus: 4 utterances without a session"):
        make_folds(corpus, SESSION)
    with pytest.raises(RequestError, match=r"protocol=loso_speaker"):
        make_folds(corpus, SESSION)
    assert len(make_folds(corpus, SPEAKER)) == 4


def test_fewer_than_three_units_are_refused() -> None:
    corpus = manifest([{"speaker": f"p{n}", "session": f"s{n % 2}"} for n in range(4)])

    with pytest.raises(RequestError, match=r"needs 3 sessions \(test, dev, train\), found 2"):
        make_folds(corpus, SESSION)


def test_a_unit_without_targets_does_not_count() -> None:
    rows = [{"speaker": f"p{n}", "session": f"s{n}"} for n in range(3)]

    with pytest.raises(RequestError, match=r"found 2"):
        make_folds(manifest([*rows[:2], rows[2] | {"emotion": "xxx"}]), SESSION)


def test_a_speaker_on_both_sides_is_refused_by_name() -> None:
    rows = [{"speaker": f"p{n}", "session": f"s{n}"} for n in range(4)]
    corpus = manifest([*rows, {"speaker": "p1", "session": "s3"}])

    with pytest.raises(
        RequestError, match=r"speaker 'p1' would be in training and test.* 2 sessions"
    ):
        make_folds(corpus, SESSION)
    assert len(make_folds(corpus, SPEAKER)) == 4


COLUMN = ProtocolConfig(name="predefined_split", folds="column", dev="column")
PAIR = ProtocolConfig(name="tao2018", folds="speaker_pair", dev="utterances")
DEVS = ("next", "speaker", "dialogues", "utterances")


def speakers(corpus: Manifest) -> dict[str, str]:
    return dict(zip(corpus.table["utterance"], corpus.table["speaker"], strict=True))


def speakers_of(corpus: Manifest, side: Sequence[str]) -> set[str]:
    return {speakers(corpus)[name] for name in side}


@st.composite
def dialogues(draw: st.DrawFn) -> Manifest:
    """Three to five sessions of a woman and a man, with two to four dialogues of both."""
    rows = []
    for session in range(draw(st.integers(3, 5))):
        for dialogue in range(draw(st.integers(2, 4))):
            for turn in range(draw(st.integers(2, 5))):
                sex = ("female", "male")[turn % 2]
                rows.append(
                    {
                        "session": f"s{session}",
                        "dialogue": f"s{session}d{dialogue}",
                        "speaker": f"s{session}{sex}",
                        "gender": sex,
                        "turn": turn,
                    }
                )
    return manifest(rows)


@given(dialogues(), st.sampled_from(["session", "speaker"]), st.sampled_from(DEVS), st.integers(0))
def test_whatever_chooses_the_step_the_sides_share_no_utterance_and_test_no_speaker(
    corpus: Manifest, unit: str, dev: str, seed: int
) -> None:
    protocol = ProtocolConfig(name="any", unit=unit, dev=dev, dev_share=0.2, seed=seed)
    speaker = speakers(corpus)

    for fold in make_folds(corpus, protocol):
        sides = [fold.train, fold.dev, fold.test]
        assert all(sides)
        assert sorted(name for side in sides for name in side) == sorted(
            corpus.targets["utterance"]
        )
        train, chosen, test = ({speaker[name] for name in side} for side in sides)
        assert not test & (train | chosen)
        if dev == "speaker":
            assert len(chosen) == 1
            assert not chosen & train


@given(dialogues(), st.floats(0.05, 0.6), st.integers(0, 9))
def test_dialogues_for_dev_are_whole_and_are_their_share(
    corpus: Manifest, share: float, seed: int
) -> None:
    protocol = ProtocolConfig(name="any", dev="dialogues", dev_share=share, seed=seed)
    dialogue = corpus.table.set_index("utterance")["dialogue"]

    for fold in make_folds(corpus, protocol):
        assert not set(dialogue[list(fold.dev)]) & set(dialogue[list(fold.train)])
        wanted = share * (len(fold.dev) + len(fold.train))
        assert wanted <= len(fold.dev) < wanted + dialogue.value_counts().max()


def test_what_is_drawn_depends_on_the_seed_and_the_fold_alone() -> None:
    rows = [
        {"session": f"s{s}", "speaker": f"s{s}{n % 4}", "dialogue": f"s{s}{n}"}
        for s in range(4)
        for n in range(20)
    ]
    corpus, turned = manifest(rows), manifest(rows[::-1])

    def devs(corpus: Manifest, seed: int) -> list[list[str]]:
        protocol = ProtocolConfig(name="any", dev="dialogues", seed=seed)
        names = corpus.table.set_index("utterance")["dialogue"]
        return [sorted(names[list(fold.dev)]) for fold in make_folds(corpus, protocol)]

    assert devs(corpus, 0) == devs(turned, 0)
    assert devs(corpus, 0) != devs(corpus, 1)


@given(dialogues(), st.integers(0))
def test_a_speaker_of_each_gender_tests_and_a_tenth_of_the_rest_is_dev(
    corpus: Manifest, seed: int
) -> None:
    (fold,) = make_folds(corpus, replace(PAIR, seed=seed))

    pair = speakers_of(corpus, fold.test)
    assert fold.name == "+".join(sorted(pair, key=lambda name: "female" not in name))
    assert {name[2:] for name in pair} == {"female", "male"}
    assert len(fold.dev) == -(-(len(fold.train) + len(fold.dev)) // 10)
    assert not pair & speakers_of(corpus, (*fold.train, *fold.dev))


def test_all_pairs_of_speakers_can_test() -> None:
    rows = [
        {"speaker": f"{sex}{n}", "gender": sex}
        for n in range(3)
        for sex in ("female", "male")
        for _ in range(4)
    ]
    corpus = manifest(rows)

    pairs = {make_folds(corpus, replace(PAIR, seed=seed))[0].name for seed in range(60)}
    assert len(pairs) == 9


def split_corpus(*sides: str | None, speakers: Sequence[str] = ()) -> Manifest:
    names = speakers or [f"p{n}" for n in range(len(sides))]
    return manifest(
        [{"speaker": name, "split": side} for name, side in zip(names, sides, strict=True)]
    )


def test_a_column_states_the_sides_and_what_has_another_value_is_left_out() -> None:
    corpus = split_corpus("test", "train", None, "dev", "test2", "train")

    (fold,) = make_folds(corpus, COLUMN)
    assert fold == Fold("test", ("u1", "u5"), ("u3",), ("u0",))
    sides = {"train": ["train", "dev"], "dev": ["test2"], "test": ["test"]}
    (fold,) = make_folds(corpus, replace(COLUMN, sides=sides))
    assert fold == Fold("test", ("u1", "u3", "u5"), ("u4",), ("u0",))


def test_a_split_without_a_dev_side_can_draw_one() -> None:
    corpus = split_corpus("train", "test", "train", "train")

    with pytest.raises(RequestError, match=r"no utterance for dev; .*split \(test, train\)"):
        make_folds(corpus, COLUMN)
    (fold,) = make_folds(corpus, replace(COLUMN, dev="utterances"))
    assert (len(fold.train), len(fold.dev)) == (2, 1)
    assert fold.test == ("u1",)


def test_another_column_can_state_the_sides() -> None:
    corpus = manifest([{"speaker": f"p{n}", "session": f"s{n}"} for n in range(4)])
    sides = {"train": ["s0", "s1"], "dev": ["s2"], "test": ["s3"]}

    (fold,) = make_folds(corpus, replace(COLUMN, column="session", sides=sides))
    assert fold == Fold("test", ("u0", "u1"), ("u2",), ("u3",))


@pytest.mark.parametrize(
    "sides", [("train", "dev", "train", "test"), ("train", "test", "dev", "dev")]
)
def test_a_speaker_on_two_sides_of_a_split_is_refused_unless_the_split_is_meant_so(
    sides: tuple[str, ...],
) -> None:
    corpus = split_corpus(*sides, speakers=["a", "b", "c", "a"])

    with pytest.raises(
        RequestError, match=r"speaker 'a' would be in training and test \(1 speaker in all\)"
    ):
        make_folds(corpus, COLUMN)
    official = replace(COLUMN, same_speakers=True)
    (fold,) = make_folds(corpus, official)
    assert shared_speakers(fold, speakers(corpus), official) == {"a"}


def test_a_split_with_speakers_of_their_own_shares_none() -> None:
    corpus = split_corpus("train", "dev", "test")

    (fold,) = make_folds(corpus, COLUMN)
    assert shared_speakers(fold, speakers(corpus), COLUMN) == set()


def test_the_official_code_of_iaan_chooses_the_step_on_test() -> None:
    corpus = manifest([{"speaker": f"p{n}", "session": f"s{n // 2}"} for n in range(8)])

    for fold in make_folds(corpus, replace(SESSION, dev="test")):
        assert fold.dev == fold.test
        assert sorted(fold.train + fold.test) == sorted(corpus.targets["utterance"])
        assert shared_speakers(fold, speakers(corpus), replace(SESSION, dev="test")) == set()


@pytest.mark.parametrize(
    ("corpus", "protocol", "message"),
    [
        (split_corpus(None, None), COLUMN, "the corpus states no split; try protocol=loso_speaker"),
        (split_corpus("train", "test"), COLUMN, "no utterance for dev"),
        (split_corpus("train", "dev"), COLUMN, "no utterance for test"),
        (
            split_corpus("train", "dev"),
            replace(COLUMN, sides={"train": ["a"], "dev": ["b"], "test": ["a"]}),
            "'a' cannot be both train and test",
        ),
        (split_corpus("train", "dev"), PAIR, "2 utterances without a gender"),
        (manifest([{"speaker": "a", "gender": "male"}]), PAIR, "there is no female speaker"),
        (
            manifest([{"speaker": n, "gender": s} for n, s in (("a", "male"), ("b", "female"))]),
            PAIR,
            "0 utterances, too few for train and dev",
        ),
        (
            manifest([{"speaker": n, "session": n} for n in "abc"]),
            replace(SESSION, dev="dialogues"),
            "2 utterances without a dialogue; try protocol.dev=utterances",
        ),
        (
            manifest([{"speaker": n, "session": n} for n in "ab"]),
            replace(SESSION, dev="speaker"),
            "fold a: 1 utterance, too few for train and dev",
        ),
        (
            manifest([{"speaker": "a", "session": "a"}]),
            replace(SESSION, dev="test"),
            r"needs 2 sessions \(test, train\), found 1",
        ),
    ],
)
def test_a_corpus_that_a_protocol_cannot_divide_is_refused(
    corpus: Manifest, protocol: ProtocolConfig, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        make_folds(corpus, protocol)


@pytest.mark.parametrize("path", sorted((packaged("conf") / "protocol").glob("*.yaml")))
def test_every_shipped_protocol_divides_a_corpus_that_states_everything(path: Path) -> None:
    rows = [
        {
            "session": f"s{session}",
            "speaker": f"{sex}{session}",
            "gender": sex,
            "split": ("train", "train", "dev", "test")[session],
            "corpus": f"c{session // 2}",
        }
        for session in range(4)
        for sex in ("female", "male")
        for _ in range(5)
    ]

    sides = ("protocol.sides.train=[c0]", "protocol.sides.test=[c1]")
    given = sides if path.stem == "cross_corpus" else ()
    protocol = compose([f"protocol={path.stem}", *given]).protocol
    folds = make_folds(manifest(rows), protocol)
    assert protocol.name == path.stem
    several = {"loso_speaker": 8, "loso_session": 4, "iaan_repo": 4, "loso_corpus": 2}
    assert len(folds) == several.get(path.stem, 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["protocol.dev=column"], "protocol.dev=column needs protocol.folds=column"),
        (["protocol=tao2018", "protocol.dev=next"], "needs protocol.folds=leave_one_out"),
        (["protocol=iaan_repo", "protocol.refit=true"], "would train on test"),
        (["protocol.dev_share=1"], "protocol.dev_share=1.0: must be between 0 and 1"),
        (["protocol.column=transcript"], "protocol.column=transcript is not known"),
        (["protocol.folds=leave"], "protocol.folds=leave is not known"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        compose(overrides)
