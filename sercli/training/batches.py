"""Batches of utterances of similar length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sercli.models.interface import Batch, Criterion, Turns
from sercli.training.packed import KeptSteps, PackedTurns

POOL_BATCHES = 30
"""Batches that are drawn at random together and then sorted by length.

Our choice: at the lengths of IEMOCAP and 32 in a batch, 10 to 14 % of all steps are padding
(25 % with 10 batches together, and 9 % with 50, which leave less to chance).
"""


CUT_TO_LAST = "cut_to_last"
"""The rule of IAAN's official code, for ``trainer.batches``; the other rule is ``similar``."""


def seed_fold_run(seed: int, fold: str) -> np.random.Generator:
    """Seed PyTorch for a fold run, and return the random generator of its batches.

    Args:
        seed: The seed.
        fold: Name of the fold.
    """
    random = np.random.default_rng([seed, *fold.encode()])
    torch.manual_seed(int(random.integers(2**62)))
    return random


def training_batches(
    lengths: np.ndarray,
    batch_size: int,
    random: np.random.Generator,
    rule: str = "similar",
) -> Iterator[np.ndarray]:
    """Yield batches of positions of items for ever, epoch after epoch, each shuffled.

    ``similar``: stretches of `POOL_BATCHES` batches are sorted by length, so that little is
    padded; and the batches are shuffled again, so that length has no order in time.
    ``cut_to_last``: batches are taken in random order, whatever the lengths, and what does not
    fill a batch is left to the next epoch (of less than one batch, all is taken).

    Args:
        lengths: Number of steps of each item, (items,).
        batch_size: Items of a batch.
        random: Random generator of the order.
        rule: ``similar`` or ``cut_to_last``.
    """
    pool = batch_size * POOL_BATCHES
    while True:
        order = random.permutation(len(lengths))
        if rule == CUT_TO_LAST:
            for start in range(0, max(len(order) - batch_size, 0) + 1, batch_size):
                yield order[start : start + batch_size]
            continue
        batches = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
        for index in random.permutation(len(batches)):
            yield batches[index]


def evaluation_batches(
    rows: np.ndarray, turns: PackedTurns, size: int, rule: str = "similar"
) -> list[np.ndarray]:
    """Divide utterances into batches of similar length.

    The length is that of the utterance; with ``cut_to_last`` that of the longest turn beside it,
    context included, so that nothing is cut.
    """
    lengths = turns.lengths[turns.beside[:, rows]]
    by = lengths.max(axis=0) if rule == CUT_TO_LAST else lengths[0]
    ordered = rows[np.argsort(by, kind="stable")]
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def collate(
    rows: np.ndarray,
    turns: PackedTurns,
    device: torch.device,
    rule: str = "similar",
    criterion: Criterion | None = None,
) -> Batch:
    """Gather the turns of a batch and of their context, and the streams of the turns.

    ``similar``: each of the three is padded to its own longest turn. ``cut_to_last``: all three
    are padded, and cut, to the longest of the three turns of the last example. So in training
    IAAN's official code cuts whatever is longer than one example taken at random. Streams are
    padded to their own longest turn, and never cut.
    """
    beside = turns.beside.take(rows, axis=1)
    lengths = turns.lengths[beside]
    longest = lengths.max(axis=1)
    if rule == CUT_TO_LAST:
        longest[:] = lengths[:, -1].max()
        lengths = np.minimum(lengths, longest[0])
    of_turns = _gather(beside, lengths, longest, turns.kept, device)
    originals = turns.original[rows][None]
    streams = {}
    for name, kept in turns.streams.items():
        lengths = kept.lengths[originals]
        (streams[name],) = _gather(originals, lengths, lengths.max(axis=1), kept, device)
    return Batch(*of_turns, criterion=criterion, streams=streams)


def _gather(
    rows: np.ndarray,
    lengths: np.ndarray,
    longest: np.ndarray,
    kept: KeptSteps,
    device: torch.device,
) -> list[Turns]:
    """Gather the steps of several parts of a batch at once.

    Args:
        rows: Row of each turn, (parts, B).
        lengths: Number of its steps, (parts, B).
        longest: Number of steps to which the turns of a part are padded, (parts,).
        kept: The steps.
        device: Device of the batch.
    """
    other = kept.read(rows)
    offsets = kept.offsets[rows]
    there = np.where(offsets < 0, 0, lengths)
    index = [
        _positions(*each).ravel() for each in zip(offsets, there, longest.tolist(), strict=True)
    ]
    gathered = kept.frames_on(device).index_select(
        0, torch.from_numpy(np.concatenate(index)).to(device)
    )
    frames = [
        part.view(rows.shape[1], -1, part.shape[1])
        for part in gathered.split_with_sizes([len(each) for each in index])
    ]
    for part, turn in np.argwhere(offsets < 0):
        steps = torch.from_numpy(other[rows[part, turn]][: lengths[part, turn]])
        frames[part][turn, : len(steps)] = steps.to(device)
    counts = torch.from_numpy(lengths).to(device)
    return list(map(Turns, frames, counts.unbind()))


def _positions(offsets: np.ndarray, lengths: np.ndarray, longest: int) -> np.ndarray:
    """Index of each step of padded turns, (B, longest); after the end 0, a step of zeros."""
    steps = np.arange(longest)
    return np.where(steps < lengths[:, None], offsets[:, None] + steps, 0)


def targets(rows: np.ndarray, turns: PackedTurns, device: torch.device) -> Tensor:
    """Return the class indices of a batch, (B,)."""
    return torch.from_numpy(turns.labels[rows]).to(device)
