"""Context turns of a target: one of its own speaker, one of an interlocutor.

IAAN takes the last turn of each among a few preceding turns of any label (Yeh, Lin & Lee 2019;
8 in their code). Its ablation RandIAAN takes random turns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sercli.config.schema import ContextConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError, counted, nearest

ORDERS = {"transcript": "turn", "start_time": "start"}
"""Order of the turns in a dialogue → column of the manifest.

The two differ: on IEMOCAP, transcripts are out of temporal order in 56 of the 151 dialogues.
"""

CHOICES = ("last", "random", "random_any", "none")

PAD_STEPS = 9
"""Length of the pad turn of zeros that stands for a missing context turn (IAAN's code)."""

_BATCH = 1024
"""Targets that are compared with all turns of their dialogue at once; bounds the memory."""

Mask = npt.NDArray[np.bool_]  # (targets, turns of the dialogue)
Places = npt.NDArray[np.intp]


def find_context(manifest: Manifest, context: ContextConfig) -> pd.DataFrame:
    """Find the context turns of every target.

    With ``context.choose``

    - ``last``, they are the last turn of the same and of another speaker among the
      ``context.window`` preceding turns of the dialogue, in ``context.order``;
    - ``random``, they are a random turn of the same and one of another speaker, from anywhere in
      the dialogue: context then still comes from the session of its target;
    - ``random_any``, they are two different random turns of the dialogue, whoever speaks;
    - ``none``, there are none.

    With ``context.past_only``, a turn can be chosen only if it has ended when the target starts.
    The draws for a target depend only on ``context.seed``, its id and its dialogue.

    >>> from sercli.config.schema import ContextConfig
    >>> from sercli.corpora.manifest import build_manifest
    >>> said = [("u0", "F"), ("u1", "M"), ("u2", "F")]
    >>> rows = [
    ...     dict(utterance=name, audio="x.wav", speaker=who, emotion="A", dialogue="d", turn=turn)
    ...     for turn, (name, who) in enumerate(said)
    ... ]
    >>> find_context(build_manifest("mine", rows, {"A": "anger"}), ContextConfig()).loc["u2"]
    own             u0
    interlocutor    u1
    Name: u2, dtype: str

    Args:
        manifest: All turns. Context turns may be of any emotion.
        context: Rule of the choice.

    Returns:
        One row per target, indexed by its id, in the manifest's order. Column ``own``: id of
        the turn of the same speaker. Column ``interlocutor``: id of the turn of another
        speaker. Missing where no turn can be chosen, and in corpora without dialogues.

    Raises:
        RequestError: The choice or order is unknown, the window negative, or a turn lacks its
            position in the order or, with ``past_only``, its times.
    """
    _check(context)
    found: dict[str, dict[str, str]] = {"own": {}, "interlocutor": {}}
    for dialogue in _dialogues(manifest, context):
        for first in range(0, len(dialogue.targets), _BATCH):
            targets = dialogue.targets[first : first + _BATCH]
            masks = _candidates(dialogue, targets, context)
            for column, mask in masks.items():
                there = mask.any(axis=1)
                asking = dialogue.utterances[targets[there]]
                chosen = _choose(mask[there], asking, context, column)
                found[column].update(zip(asking, dialogue.utterances[chosen], strict=True))
                if column == "own":  # the two turns of a target are different ones
                    masks["interlocutor"][np.flatnonzero(there), chosen] = False
    rows = pd.Index(manifest.targets["utterance"], name="utterance")
    columns = {column: rows.map(turns) for column, turns in found.items()}
    return pd.DataFrame(columns, index=rows, dtype="str")


def turns_until(manifest: Manifest, context: ContextConfig) -> dict[str, list[str]]:
    """Return the turns of its dialogue before every utterance, and the utterance, in order.

    The turns before it may have any label, and ``context.window`` does not limit their number. With
    ``context.past_only``, they end before the utterance starts. With ``context.choose=none``, or
    outside of a dialogue, there are none.

    Raises:
        RequestError: The corpus does not state the order or, with ``past_only``, times.

    >>> from sercli.config.schema import ContextConfig
    >>> from sercli.corpora.manifest import build_manifest
    >>> rows = [
    ...     dict(utterance=f"u{n}", audio="x.wav", speaker="F", emotion="A", dialogue="d", turn=n)
    ...     for n in range(3)
    ... ]
    >>> turns_until(build_manifest("mine", rows, {"A": "anger"}), ContextConfig())["u1"]
    ['u0', 'u1']
    """
    _check(context)
    found = {name: [name] for name in manifest.table["utterance"]}
    for dialogue in _dialogues(manifest, context):
        for place, name in enumerate(dialogue.utterances):
            before = np.arange(place)
            if context.past_only:
                before = before[dialogue.ends[:place] <= dialogue.starts[place]]
            found[name] = [*dialogue.utterances[before], name]
    return found


@dataclass(frozen=True)
class ContextCounts:
    """Numbers of targets without a context turn.

    Attributes:
        choose: Rule of the choice.
        order: Order of the turns.
        window: Preceding turns that were searched.
        past_only: True if only turns that had ended could be chosen.
        no_same_speaker: Targets without a turn of their speaker.
        no_interlocutor: Targets without a turn of another speaker.
        neither: Targets without both.
        not_over: Targets whose interlocutor's turn ends after they start, so that a model in
            real time could not use all of it; None where times are unknown.
    """

    choose: str
    order: str
    window: int
    past_only: bool
    no_same_speaker: int
    no_interlocutor: int
    neither: int
    not_over: int | None


def count_missing_context(
    manifest: Manifest, context: ContextConfig, found: pd.DataFrame
) -> ContextCounts:
    """Count the missing turns of ``found``, the result of `find_context`."""
    return ContextCounts(
        choose=context.choose,
        order=context.order,
        window=context.window,
        past_only=context.past_only,
        **missing_counts(found),
        not_over=_not_over(manifest, found),
    )


def missing_counts(found: pd.DataFrame) -> dict[str, int]:
    """Count the missing turns of a context; the keys are attributes of `ContextCounts`."""
    missing = found.isna()
    return {
        "no_same_speaker": int(missing["own"].sum()),
        "no_interlocutor": int(missing["interlocutor"].sum()),
        "neither": int(missing.all(axis="columns").sum()),
    }


def _not_over(manifest: Manifest, found: pd.DataFrame) -> int | None:
    times = manifest.table.set_index("utterance")[["start", "end"]]
    heard = found["interlocutor"].dropna()
    starts = times["start"].reindex(heard.index).to_numpy()
    ends = times["end"].reindex(heard).to_numpy()
    if pd.isna(starts).any() or pd.isna(ends).any():
        return None
    return int((ends > starts).sum())


@dataclass(frozen=True)
class _Dialogue:
    """The turns of a dialogue in order, and the positions of its targets."""

    utterances: npt.NDArray[Any]
    speakers: npt.NDArray[Any]
    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    targets: Places


def _check(context: ContextConfig) -> None:
    known = {"choose": CHOICES, "order": tuple(ORDERS)}
    for key, choices in known.items():
        value = getattr(context, key)
        if value not in choices:
            raise RequestError(f"unknown dataset.context.{key} '{value}'.{nearest(value, choices)}")
    if context.window < 0:
        raise RequestError(f"dataset.context.window must be 0 or more, not {context.window}")


def _dialogues(manifest: Manifest, context: ContextConfig) -> Iterator[_Dialogue]:
    if context.choose == "none":
        return
    turns = manifest.table[manifest.table["dialogue"].notna()]
    order = ORDERS[context.order]
    _check_filled(manifest.dataset, turns, order, f"order={context.order}")
    if context.past_only:
        for column in ("start", "end"):
            _check_filled(manifest.dataset, turns, column, "past_only=true")
    turns = turns.sort_values(["dialogue", order], kind="stable")
    names = turns["dialogue"].to_numpy(object)
    columns = {
        "utterances": turns["utterance"].to_numpy(object),
        # Numbers compare faster than names.
        "speakers": pd.factorize(turns["speaker"])[0],
        "starts": turns["start"].to_numpy(),
        "ends": turns["end"].to_numpy(),
    }
    is_target = manifest.is_target[turns.index].to_numpy()
    borders = np.flatnonzero(names[1:] != names[:-1]) + 1
    for places in np.split(np.arange(len(turns)), borders):
        of_dialogue = {name: values[places] for name, values in columns.items()}
        yield _Dialogue(**of_dialogue, targets=np.flatnonzero(is_target[places]))


def _check_filled(dataset: str, turns: pd.DataFrame, column: str, setting: str) -> None:
    lost = turns.loc[turns[column].isna(), "utterance"]
    if not lost.empty:
        raise RequestError(
            f"{dataset}: dataset.context.{setting} needs the column '{column}', "
            f"which is empty for {counted(len(lost), 'turn')}, the first one '{lost.iloc[0]}'"
        )


def _candidates(dialogue: _Dialogue, targets: Places, context: ContextConfig) -> dict[str, Mask]:
    """Return a mask of the turns that can be chosen, for each column of the result."""
    ago = targets[:, None] - np.arange(len(dialogue.utterances))
    allowed = (ago > 0) & (ago <= context.window) if context.choose == "last" else ago != 0
    if context.past_only:
        allowed &= dialogue.ends <= dialogue.starts[targets, None]
    if context.choose == "random_any":
        return {"own": allowed, "interlocutor": allowed}
    same = dialogue.speakers == dialogue.speakers[targets, None]
    return {"own": allowed & same, "interlocutor": allowed & ~same}


def _choose(mask: Mask, asking: npt.NDArray[Any], context: ContextConfig, column: str) -> Places:
    """Return the position of one candidate per row; every row has at least one."""
    if context.choose == "last":
        return np.asarray(mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1))
    draws = np.array([_draw(context.seed, column, name) for name in asking], np.uint64)
    candidate = draws % mask.sum(axis=1).astype(np.uint64)
    return np.asarray((mask.cumsum(axis=1) > candidate[:, None]).argmax(axis=1))


def _draw(seed: int, column: str, utterance: str) -> int:
    """Return a pseudo-random integer below 2⁶⁴ that depends only on the arguments."""
    text = f"{seed} {column} {utterance}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
