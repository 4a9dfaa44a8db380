"""Reference implementation of context turns: slow, turn by turn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sercli.config.schema import ContextConfig

Context = dict[str, tuple[str | None, str | None]]


class Said(NamedTuple):
    """The properties of a turn that determine its context."""

    utterance: str
    speaker: str
    dialogue: str | None
    turn: int | None
    start: float | None
    end: float | None
    target: bool


def reference_context(turns: Sequence[Said], config: ContextConfig) -> Context:
    """Return target → its own speaker's turn and the interlocutor's, in any order."""
    dialogues: dict[str, list[Said]] = {}
    for turn in turns:
        if turn.dialogue is not None:
            dialogues.setdefault(turn.dialogue, []).append(turn)
    column = "turn" if config.order == "transcript" else "start"
    for dialogue in dialogues.values():
        dialogue.sort(key=lambda turn: getattr(turn, column))
    return {
        target.utterance: _of(target, dialogues.get(target.dialogue or "", []), config)
        for target in turns
        if target.target
    }


def _of(target: Said, dialogue: list[Said], config: ContextConfig) -> tuple[str | None, str | None]:
    if config.choose == "none" or target not in dialogue:
        return None, None
    at = dialogue.index(target)
    if config.choose == "last":
        others = dialogue[max(at - config.window, 0) : at]
    else:
        others = dialogue[:at] + dialogue[at + 1 :]
    if config.past_only:
        others = [turn for turn in others if _before(turn.end, target.start)]
    own, interlocutor = others, others
    if config.choose != "random_any":
        own = [turn for turn in others if turn.speaker == target.speaker]
        interlocutor = [turn for turn in others if turn.speaker != target.speaker]
    first = _one(own, target, "own", config)
    left = [turn for turn in interlocutor if turn.utterance != first]
    return first, _one(left, target, "interlocutor", config)


def _before(end: float | None, start: float | None) -> bool:
    assert end is not None
    assert start is not None
    return end <= start


def _one(turns: list[Said], target: Said, role: str, config: ContextConfig) -> str | None:
    if not turns:
        return None
    if config.choose == "last":
        return turns[-1].utterance
    # Written out, because draws must not change between versions: published results depend on them.
    text = f"{config.seed} {role} {target.utterance}".encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return turns[number % len(turns)].utterance


def every_choice(windows: Iterable[int]) -> list[ContextConfig]:
    """Return every combination of the options, with each window for the choice that has one."""
    return [
        ContextConfig(choose, window, order, past_only, seed)
        for order in ("transcript", "start_time")
        for past_only in (False, True)
        for choose, window, seed in (
            *(("last", window, 0) for window in windows),
            ("random", 8, 3),
            ("random_any", 8, 4),
            ("none", 8, 0),
        )
    ]
