"""Batches: nothing lost, little padded, context in its place."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.toy import batch_of
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.context import PAD_STEPS
from sercli.corpora.manifest import build_manifest
from sercli.models.interface import Batch, Turns
from sercli.training.batches import CUT_TO_LAST, evaluation_batches, targets, training_batches
from sercli.training.data import Data

CPU = torch.device("cpu")


def data_of(lengths: Sequence[int]) -> Data:
    """Make utterances u0, u1, … of these numbers of steps, without context."""
    names = [f"u{n}" for n in range(len(lengths))]
    rows = [{"utterance": n, "audio": "a", "speaker": "p", "emotion": "e"} for n in names]
    return Data(
        manifest=build_manifest("lengths", rows, {"e": "class"}),
        steps={
            name: np.ones((length, 1), dtype=np.float32)
            for name, length in zip(names, lengths, strict=True)
        },
        context=pd.DataFrame({"own": None, "interlocutor": None}, index=names, dtype="str"),
        fingerprint="",
    )


def turns_of(batch: Batch) -> tuple[Turns, ...]:
    return batch.current, batch.own, batch.interlocutor


def epochs(data: Data, batch_size: int, number: int, seed: int = 0) -> list[list[list[str]]]:
    """Draw the batches of the first epochs: as many as hold each utterance once."""
    turns = data.packed
    random = np.random.default_rng(seed)
    rows = turns.rows(data.steps)
    every = training_batches(turns.lengths[rows], batch_size, random)
    batches = (rows[items] for items in every)
    drawn = []
    for _ in range(number):
        epoch: list[list[str]] = []
        while sum(map(len, epoch)) < len(data.steps):
            epoch.append(turns.names[next(batches)].tolist())
        drawn.append(epoch)
    return drawn


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 7))
def test_every_epoch_gives_each_utterance_once(lengths: list[int], batch_size: int) -> None:
    data = data_of(lengths)

    for epoch in epochs(data, batch_size, 3):
        assert sorted(name for batch in epoch for name in batch) == sorted(data.steps)
        assert all(0 < len(batch) <= batch_size for batch in epoch)


def test_epochs_and_seeds_differ_and_a_seed_repeats() -> None:
    data = data_of(list(range(1, 41)))

    first, second = epochs(data, 4, 2)
    assert first != second
    assert epochs(data, 4, 2) == [first, second]
    assert epochs(data, 4, 1, seed=1) != [first]


def test_utterances_of_a_length_meet_others_in_every_epoch() -> None:
    first, second = epochs(data_of([3, 7] * 20), 4, 2)

    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_at_most_15_per_cent_of_the_steps_are_padding() -> None:
    # IEMOCAP: 585 ms to 34 s with a median of 3.6 s and a mean of 4.5 s; steps of 50 ms
    random = np.random.default_rng(0)
    seconds = random.lognormal(np.log(3.6), np.sqrt(2 * np.log(4.5 / 3.6)), 3300)
    lengths = np.ceil(seconds.clip(0.585, 34) / 0.05).astype(int)
    data = data_of(lengths.tolist())

    (epoch,) = epochs(data, 32, 1)
    padded = sum(max(len(data.steps[name]) for name in batch) * len(batch) for batch in epoch)
    assert 1 - lengths.sum() / padded <= 0.15


def test_short_and_long_batches_come_in_no_order() -> None:
    data = data_of(list(range(1, 101)))

    (epoch,) = epochs(data, 10, 1)
    longest = [max(len(data.steps[name]) for name in batch) for batch in epoch]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 7))
def test_evaluation_gives_each_utterance_once(lengths: list[int], size: int) -> None:
    data = data_of(lengths)

    rows = data.packed.rows(data.steps)
    batches = evaluation_batches(rows, data.packed, size)
    assert sorted(np.concatenate(batches)) == sorted(rows)
    assert all(len(batch) == size for batch in batches[:-1])


def test_a_batch_holds_the_frames_their_lengths_and_zeros_after_them(toy: Data) -> None:
    names = ["s1a0", "s1a1", "s2b3"]

    turns = batch_of(names, toy).current

    assert turns.lengths.tolist() == [len(toy.steps[name]) for name in names]
    assert turns.frames.shape == (3, max(turns.lengths.tolist()), toy.features)
    for row, name in zip(turns.frames.numpy(), names, strict=True):
        np.testing.assert_array_equal(row[: len(toy.steps[name])], toy.steps[name])
        assert not row[len(toy.steps[name]) :].any()


def test_the_context_of_each_turn_stands_beside_it(toy: Data) -> None:
    batch = batch_of(["s1a3", "s2b5"], toy)

    for turns, context in ((batch.own, ("s1a1", "s2b3")), (batch.interlocutor, ("s1a2", "s2b4"))):
        assert turns.lengths.tolist() == [len(toy.steps[name]) for name in context]
        for row, name in zip(turns.frames.numpy(), context, strict=True):
            np.testing.assert_array_equal(row[: len(toy.steps[name])], toy.steps[name])


def test_a_missing_context_turn_is_a_pad_turn_of_zeros(toy: Data) -> None:
    batch = batch_of(["s1a0", "s1a1"], toy)

    assert batch.own.lengths.tolist() == [PAD_STEPS, PAD_STEPS]
    assert not batch.own.frames.any()
    assert batch.interlocutor.lengths.tolist() == [PAD_STEPS, len(toy.steps["s1a0"])]
    assert not batch.interlocutor.frames[0].any()


def test_targets_are_positions_among_the_classes(toy: Data) -> None:
    names = list(islice(toy.labels, 8))

    found = targets(toy.packed.rows(names), toy.packed, CPU)
    assert [toy.manifest.classes[i] for i in found] == [toy.labels[name] for name in names]


def test_an_unknown_utterance_is_an_error_and_no_pad_turn(toy: Data) -> None:
    with pytest.raises(KeyError):
        batch_of(["nobody"], toy)


@given(st.integers(1, 40), st.integers(1, 7))
def test_random_batches_are_full_and_drop_what_does_not_fill_one(number: int, size: int) -> None:
    data = data_of(list(range(1, number + 1)))
    random = np.random.default_rng(0)
    rows = data.packed.rows(data.steps)
    every = training_batches(data.packed.lengths[rows], size, random, CUT_TO_LAST)
    batches = (rows[items] for items in every)

    epoch = list(islice(batches, max(number // size, 1)))
    drawn = np.concatenate(epoch)
    assert len(drawn) == len(set(drawn)) == (number - number % size or number)
    assert all(len(batch) == min(size, number) for batch in epoch)


def test_three_turns_are_padded_and_cut_to_the_longest_turn_of_the_last_example(
    toy: Data,
) -> None:
    turns_of = {name: [name, *toy.context.loc[name].dropna()] for name in toy.labels}
    longest_of = {
        name: max(len(toy.steps[turn]) for turn in turns)
        for name, turns in turns_of.items()
        if len(turns) == 3
    }
    last, longest = min(longest_of.items(), key=lambda pair: pair[1])
    names = ["s1a3", "s2b5", "s1a0", last]
    assert len(toy.steps[last]) < longest < max(len(toy.steps[name]) for name in names)

    batch = batch_of(names, toy, CUT_TO_LAST)

    own = [*toy.context["own"][names]]
    for turns, ids in ((batch.current, names), (batch.own, own)):
        assert turns.frames.shape[:2] == (4, longest)
        for row, length, name in zip(turns.frames.numpy(), turns.lengths, ids, strict=True):
            frames = toy.steps.get(name, np.zeros((PAD_STEPS, toy.features)))[:longest]
            assert length == len(frames)
            np.testing.assert_array_equal(row[:length], frames)
            assert not row[length:].any()


def test_nothing_is_cut_in_evaluation(toy: Data) -> None:
    names = list(toy.labels)

    packed = toy.packed
    batches = evaluation_batches(packed.rows(names), packed, 8, CUT_TO_LAST)

    assert sorted(packed.names[np.concatenate(batches)]) == sorted(names)
    for rows in batches:
        batch = packed.names[rows].tolist()
        collated = batch_of(batch, toy, CUT_TO_LAST)
        for turns, ids in (
            (collated.current, batch),
            (collated.own, toy.context["own"][batch]),
            (collated.interlocutor, toy.context["interlocutor"][batch]),
        ):
            lengths = [len(toy.steps[name]) if name in toy.steps else PAD_STEPS for name in ids]
            assert turns.lengths.tolist() == lengths


def test_what_does_not_fit_into_memory_is_read_again_and_gives_the_same_batches(
    toy: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["s1a3", "s2b5", "s1a0", "s2b6"]
    frames = [t.frames for t in turns_of(batch_of(names, toy))]
    read: list[str] = []

    class Steps(dict[str, np.ndarray]):
        def __getitem__(self, name: str) -> np.ndarray:
            read.append(name)
            return super().__getitem__(name)

    steps = 4 * toy.features * (PAD_STEPS + toy.lengths["s1a3"])
    monkeypatch.setattr("sercli.training.packed._KEPT_BYTES", steps)
    narrow = replace(toy, steps=Steps(toy.steps))
    batch_of(["s1a3"], narrow)
    for _ in range(2):
        read.clear()
        again = [t.frames for t in turns_of(batch_of(names, narrow))]
        assert all(map(torch.equal, frames, again))
        assert {"s2b5", "s1a0"} <= set(read)


def test_a_batch_keeps_its_frames_while_others_are_gathered(toy: Data) -> None:
    first = batch_of(["s1a3", "s2b5"], toy)
    before = [t.frames.clone() for t in turns_of(first)]
    second = batch_of(["s1a5", "s2b3"], toy)
    for turns in turns_of(second):
        turns.frames.fill_(7)

    assert all(map(torch.equal, before, (t.frames for t in turns_of(first))))
    third = batch_of(["s1a3", "s2b5"], toy)
    assert all(map(torch.equal, before, (t.frames for t in turns_of(third))))


def test_another_process_reads_the_steps_itself(toy: Data) -> None:
    large = replace(toy, steps={n: np.ones((9000, 5), np.float32) for n in toy.steps})
    batch_of(["s1a3"], large)
    given = len(pickle.dumps(large.steps))

    copy = pickle.loads(pickle.dumps(large.packed))

    assert len(pickle.dumps(large)) < 1.1 * given
    assert copy.rows(["s1a3"]) == large.packed.rows(["s1a3"])
    assert (copy.kept.offsets[1:] < 0).all()
