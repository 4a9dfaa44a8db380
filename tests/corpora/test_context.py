from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pytest
from helpers.reference_context import Said, every_choice, reference_context
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.schema import ContextConfig
from sercli.corpora.context import find_context
from sercli.corpora.manifest import Manifest, build_manifest
from sercli.errors import RequestError


@dataclass(frozen=True)
class Spoken:
    utterance: str
    speaker: str
    dialogue: str | None = "d"
    turn: int | None = None
    start: float | None = None
    end: float | None = None
    emotion: str = "neu"


def manifest_of(turns: list[Spoken]) -> Manifest:
    rows = [{**vars(turn), "audio": f"{turn.utterance}.wav"} for turn in turns]
    return build_manifest("mine", rows, {"neu": "neutral"})


def context_of(turns: list[Spoken], **context: object) -> dict[str, tuple[str | None, str | None]]:
    config = ContextConfig(**context)  # type: ignore[arg-type]
    found = find_context(manifest_of(turns), config)
    return {
        str(utterance): (own if pd.notna(own) else None, other if pd.notna(other) else None)
        for utterance, own, other in found.itertuples()
    }


def speak(*speakers: str, emotions: str = "") -> list[Spoken]:
    """Make a dialogue; an 'x' in ``emotions`` is a turn that the task leaves out."""
    marks = emotions or "n" * len(speakers)
    return [
        Spoken(f"u{i}", speaker, turn=i, start=i, emotion="xxx" if mark == "x" else "neu")
        for i, (speaker, mark) in enumerate(zip(speakers, marks, strict=True))
    ]


def test_the_last_turn_of_each_speaker_is_the_context() -> None:
    assert context_of(speak("F", "M", "M", "F", "F"))["u4"] == ("u3", "u2")


def test_the_first_turn_has_no_context() -> None:
    assert context_of(speak("F", "M"))["u0"] == (None, None)


def test_a_turn_of_any_label_may_be_context_but_only_targets_have_one() -> None:
    found = context_of(speak("F", "M", "F", emotions="xxn"))
    assert found == {"u2": ("u0", "u1")}


def test_turns_beyond_the_window_are_not_seen() -> None:
    turns = speak("M", *"FFFFFFFFF")
    assert context_of(turns)["u8"] == ("u7", "u0")
    assert context_of(turns)["u9"] == ("u8", None)
    assert context_of(turns, window=0)["u9"] == (None, None)


def test_turns_of_another_dialogue_are_not_seen() -> None:
    turns = [Spoken("a", "F", "d1", 0), Spoken("b", "F", "d2", 0), Spoken("c", "F", "d1", 1)]
    assert context_of(turns) == {"a": (None, None), "b": (None, None), "c": ("a", None)}


def test_any_other_speaker_is_an_interlocutor() -> None:
    assert context_of(speak("A", "B", "C"))["u2"] == (None, "u1")


def test_an_isolated_utterance_has_no_context() -> None:
    turns = [Spoken("a", "F", None), Spoken("b", "F", None)]
    assert context_of(turns) == {"a": (None, None), "b": (None, None)}


def test_the_order_is_that_of_the_transcript_or_that_of_time() -> None:
    turns = [
        Spoken("a", "F", turn=0, start=0),
        Spoken("b", "M", turn=1, start=9),
        Spoken("c", "F", turn=2, start=5),
    ]
    assert context_of(turns)["c"] == ("a", "b")
    assert context_of(turns, order="start_time")["c"] == ("a", None)
    assert context_of(turns, order="start_time")["b"] == (None, "c")


def test_the_order_of_the_table_does_not_matter() -> None:
    turns = speak("F", "M", "M", "F", "F")
    assert context_of(turns[::-1]) == context_of(turns)


def test_rows_follow_the_targets_of_the_manifest() -> None:
    manifest = manifest_of(speak("F", "M", "F", emotions="nxn")[::-1])
    found = find_context(manifest, ContextConfig())
    assert found.index.tolist() == ["u2", "u0"]
    assert found.columns.tolist() == ["own", "interlocutor"]


def test_an_unknown_order_names_the_nearest_one() -> None:
    with pytest.raises(RequestError, match=r"context\.order 'start'.*mean 'start_time'"):
        context_of(speak("F"), order="start")


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(RequestError, match=r"context\.window must be 0 or more, not -1"):
        context_of(speak("F"), window=-1)


def test_a_turn_without_a_place_in_the_order_is_named() -> None:
    with pytest.raises(RequestError, match=r"order=start_time needs the column 'start'.*'b'"):
        context_of([Spoken("a", "F", start=0), Spoken("b", "F")], order="start_time")


def past(*ends: float) -> list[Spoken]:
    """Make a dialogue of turns that start at 0, 1, 2 … and end as given."""
    return [Spoken(f"u{i}", "FM"[i % 2], turn=i, start=i, end=end) for i, end in enumerate(ends)]


def test_a_turn_that_is_not_over_may_be_left_out() -> None:
    turns = past(0.5, 3.5, 2.5, 4.0)
    assert context_of(turns)["u3"] == ("u1", "u2")
    assert context_of(turns, past_only=True)["u3"] == (None, "u2")


def test_a_turn_that_ends_when_the_target_starts_is_over() -> None:
    assert context_of(past(1.0, 2.0), past_only=True)["u1"] == (None, "u0")


def test_the_window_counts_turns_that_are_not_over() -> None:
    turns = past(1.0, 9.0, 9.0, 9.0)
    assert context_of(turns, past_only=True, window=2)["u3"] == (None, None)
    assert context_of(turns, past_only=True, window=3)["u3"] == (None, "u0")


def test_a_turn_without_times_is_named_where_only_the_past_counts() -> None:
    with pytest.raises(RequestError, match=r"past_only=true needs the column 'end'.*'u0'"):
        context_of(speak("F", "M"), past_only=True)


def test_without_context_no_turn_is_chosen_and_none_needs_a_place() -> None:
    turns = [Spoken("a", "F"), Spoken("b", "M")]
    assert context_of(turns, choose="none") == {"a": (None, None), "b": (None, None)}


def test_random_turns_are_of_the_right_speaker_and_never_the_target() -> None:
    turns = speak(*"FMFMFMMFFM")
    speakers = {turn.utterance: turn.speaker for turn in turns}
    for seed in range(20):
        for target, (own, other) in context_of(turns, choose="random", seed=seed).items():
            assert own is not None
            assert other is not None
            assert own != target
            assert speakers[own] == speakers[target]
            assert speakers[other] != speakers[target]


def test_random_turns_of_whatever_speaker_are_of_both() -> None:
    manifest = manifest_of(speak(*"FMFM"))
    configs = [ContextConfig(choose="random_any", seed=seed) for seed in range(120)]
    found = pd.concat([find_context(manifest, config).loc[["u0"]] for config in configs])
    for column in ("own", "interlocutor"):
        counts = found[column].value_counts()
        assert set(counts.index) == {"u1", "u2", "u3"}
        assert counts.min() > 22  # of 40 expected
    assert (found["own"] != found["interlocutor"]).all()


def test_a_seed_is_a_choice_and_another_seed_another() -> None:
    turns = speak(*"FMFMFMFMFM")
    assert context_of(turns, choose="random", seed=1) == context_of(turns, choose="random", seed=1)
    assert context_of(turns, choose="random", seed=1) != context_of(turns, choose="random", seed=2)


def test_a_draw_depends_on_the_dialogue_of_the_target_alone() -> None:
    turns = speak(*"FMFMFM")
    more = [Spoken("z", "F", "other", 0), *turns[::-1], Spoken("y", "M", "other", 1)]
    alone, among = (context_of(each, choose="random") for each in (turns, more))
    assert alone.items() <= among.items()


def test_who_is_alone_in_a_dialogue_has_no_random_context() -> None:
    assert context_of([Spoken("a", "F", turn=0)], choose="random")["a"] == (None, None)
    assert context_of([Spoken("a", "F", turn=0)], choose="random_any")["a"] == (None, None)
    two = context_of(speak("F", "M"), choose="random_any")
    assert two["u0"] == ("u1", None)  # no second turn is left


def test_an_unknown_choice_names_the_nearest_one() -> None:
    with pytest.raises(RequestError, match=r"context\.choose 'randm'.*mean 'random'"):
        context_of(speak("F"), choose="randm")


@st.composite
def conversations(draw: st.DrawFn) -> list[Spoken]:
    times = st.floats(0, 100)
    return [
        Spoken(
            utterance=f"u{i}",
            speaker=draw(st.sampled_from("ABC")),
            dialogue=draw(st.sampled_from(["d1", "d2", None])),
            turn=draw(st.integers(0, 20)),
            start=draw(times),
            end=draw(times),
            emotion=draw(st.sampled_from(["neu", "xxx"])),
        )
        for i in range(draw(st.integers(1, 15)))
    ]


@given(conversations(), st.sampled_from(every_choice((*range(11), 1000))))
def test_the_context_is_what_a_look_turn_by_turn_finds(
    turns: list[Spoken], config: ContextConfig
) -> None:
    said = [
        Said(t.utterance, t.speaker, t.dialogue, t.turn, t.start, t.end, t.emotion == "neu")
        for t in turns
    ]
    assert context_of(turns, **vars(config)) == reference_context(said, config)


def test_a_dialogue_may_have_any_length() -> None:
    turns = [Spoken(f"u{i}", "FM"[i % 2], turn=i) for i in range(3000)]
    found = context_of(turns, window=5)
    assert found["u0"] == (None, None)
    assert found["u1"] == (None, "u0")
    assert all(found[f"u{i}"] == (f"u{i - 2}", f"u{i - 1}") for i in range(2, 3000))
