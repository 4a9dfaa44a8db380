"""Batches of utterances of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sercli.models.interface import Batch, Criterion, Turns
from sercli.training.data import Data

PAD_STEPS = 9
"""Length of the pad turn of zeros that stands for a missing context turn (IAAN's code)."""

POOL_BATCHES = 30
"""Batches that are drawn at random together and then sorted by length.

Our choice: at the lengths of IEMOCAP and 32 in a batch, 10 to 14 % of all steps are padding
(25 % with 10 batches together, and 9 % with 50, which leave less to chance).
"""


CUT_TO_LAST = "cut_to_last"
"""The rule of IAAN's official code, for ``trainer.batches``; the other rule is ``similar``."""


def training_batches(
    utterances: Sequence[str],
    data: Data,
    batch_size: int,
    random: np.random.Generator,
    rule: str = "similar",
) -> Iterator[list[str]]:
    """Yield batches for ever, epoch after epoch, each shuffled.

    ``similar``: stretches of `POOL_BATCHES` batches are sorted by length, so that little is
    padded; and the batches are shuffled again, so that length has no order in time.
    ``cut_to_last``: batches are taken in random order, whatever the lengths, and what does not
    fill a batch is left to the next epoch (of less than one batch, all is taken).
    """
    ids = np.array(utterances, dtype=object)
    lengths = np.array([data.lengths[name] for name in utterances])
    pool = batch_size * POOL_BATCHES
    while True:
        order = random.permutation(len(ids))
        if rule == CUT_TO_LAST:
            for start in range(0, max(len(order) - batch_size, 0) + 1, batch_size):
                yield list(ids[order[start : start + batch_size]])
            continue
        batches = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
        for index in random.permutation(len(batches)):
            yield list(ids[batches[index]])


def evaluation_batches(
    utterances: Sequence[str], data: Data, size: int, rule: str = "similar"
) -> Iterator[list[str]]:
    """Yield every utterance once, in batches of similar length.

    The length is that of the utterance; with ``cut_to_last`` that of the longest turn beside it,
    context included, so that nothing is cut.
    """
    key: Callable[[str], int] = data.lengths.__getitem__
    if rule == CUT_TO_LAST:
        key = partial(_longest_turn, data)
    ordered = sorted(utterances, key=key)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def collate(
    utterances: Sequence[str],
    data: Data,
    device: torch.device,
    rule: str = "similar",
    criterion: Criterion | None = None,
) -> Batch:
    """Put the turns of a batch and the turns of their context together.

    ``similar``: each of the three is padded to its own longest turn. ``cut_to_last``: all three
    are padded, and cut, to the longest of the three turns of the last example. So in training
    IAAN's official code cuts whatever is longer than one example taken at random.
    """
    steps = _longest_turn(data, utterances[-1]) if rule == CUT_TO_LAST else None
    context = data.context.loc[list(utterances)]
    return Batch(
        current=_turns(utterances, data, device, steps),
        own=_turns(context["own"].tolist(), data, device, steps),
        interlocutor=_turns(context["interlocutor"].tolist(), data, device, steps),
        criterion=criterion,
    )


def targets(utterances: Sequence[str], data: Data, device: torch.device) -> Tensor:
    """Return the class indices of a batch, (B,)."""
    index = {label: i for i, label in enumerate(data.manifest.classes)}
    labels = data.labels
    return torch.tensor([index[labels[name]] for name in utterances], device=device)


def _longest_turn(data: Data, utterance: str) -> int:
    turns = [utterance, *data.context.loc[utterance]]
    return max(data.lengths.get(str(name), PAD_STEPS) for name in turns)


def _turns(utterances: Sequence[str], data: Data, device: torch.device, steps: int | None) -> Turns:
    features = data.features
    pad = np.zeros((PAD_STEPS, features), dtype=np.float32)
    turns = [data.steps.get(name, pad)[:steps] for name in utterances]
    lengths = [len(turn) for turn in turns]
    frames = np.zeros((len(turns), steps or max(lengths), features), dtype=np.float32)
    for row, turn in zip(frames, turns, strict=True):
        row[: len(turn)] = turn
    return Turns(torch.from_numpy(frames).to(device), torch.tensor(lengths, device=device))
