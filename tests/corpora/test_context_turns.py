from __future__ import annotations

import time
from dataclasses import dataclass

import pandas as pd
import pytest
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


def obvious(
    turns: list[Spoken], window: int, column: str
) -> dict[str, tuple[str | None, str | None]]:
    """Find the context by looking back from every target, turn by turn."""
    found = {}
    for target in turns:
        if target.emotion != "neu":
            continue
        dialogue = [t for t in turns if t.dialogue == target.dialogue and t.dialogue is not None]
        dialogue.sort(key=lambda turn: getattr(turn, column))
        own = interlocutor = None
        if target in dialogue:
            at = dialogue.index(target)
            for turn in dialogue[max(at - window, 0) : at]:
                if turn.speaker == target.speaker:
                    own = turn.utterance
                else:
                    interlocutor = turn.utterance
        found[target.utterance] = (own, interlocutor)
    return found


@st.composite
def conversations(draw: st.DrawFn) -> list[Spoken]:
    return [
        Spoken(
            utterance=f"u{i}",
            speaker=draw(st.sampled_from("ABC")),
            dialogue=draw(st.sampled_from(["d1", "d2", None])),
            turn=draw(st.integers(0, 20)),
            start=draw(st.floats(0, 100)),
            emotion=draw(st.sampled_from(["neu", "xxx"])),
        )
        for i in range(draw(st.integers(1, 15)))
    ]


@given(conversations(), st.integers(0, 10), st.sampled_from(["transcript", "start_time"]))
def test_the_context_is_what_a_look_back_turn_by_turn_finds(
    turns: list[Spoken], window: int, order: str
) -> None:
    column = {"transcript": "turn", "start_time": "start"}[order]
    assert context_of(turns, window=window, order=order) == obvious(turns, window, column)


def test_ten_thousand_turns_take_well_under_a_second() -> None:
    turns = [
        Spoken(f"u{i}", "FM"[i % 2], f"d{i // 66}", turn=i % 66, start=i % 66)
        for i in range(10_000)
    ]
    manifest = manifest_of(turns)
    began = time.perf_counter()
    find_context(manifest, ContextConfig())
    assert time.perf_counter() - began < 1
