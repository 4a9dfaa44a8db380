"""Augmentation: of training alone, drawn from the seed, exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.schema import Config, FeaturesConfig
from sercli.errors import RequestError
from sercli.features.copies import TurnCopies
from sercli.models.interface import Turns
from sercli.training.augment import Augmenter, Versions, check_augmentation, check_partners
from sercli.training.batches import collate
from sercli.training.copy_paste import CopyPaste, Paster
from sercli.training.data import Data
from sercli.training.evaluation import Evaluation
from sercli.training.folds import make_folds
from sercli.training.loss import TrainingLoss, read_targets
from sercli.training.spec_augment import Masker, SpecAugment
from sercli.training.trainer import train_fold
from sercli.training.validate import new_model

CPU = torch.device("cpu")
EVERY = (
    *("augment=[copy_paste,spec_augment]", "augment.spec_augment.bands=2"),
    *("features=log_mel", "features.options.bands=5"),
)
STEPS = FeaturesConfig(pool=1)


@pytest.fixture(name="copied", scope="module")
def _copied(toy: Data) -> Data:
    """The toy corpus with a copy of every other target, twice as long, and a second of one."""
    of = {f"{name} (1)": name for name in toy.labels if name[-1] in "02468"}
    of["s1a0 (2)"] = "s1a0"
    steps = {copy: np.repeat(toy.steps[name], 2, axis=0) for copy, name in of.items()}
    lengths = {name: len(each) for name, each in steps.items()}
    return replace(toy, copies=TurnCopies(of, steps, lengths))


@pytest.fixture(name="draw")
def _draw(copied: Data, toy_config: Callable[..., Config]) -> Callable[..., list[Any]]:
    """Draw the batches of some rows, again and again, as training does."""

    def draw(*overrides: str, seed: int = 0, number: int = 20) -> list[Any]:
        config = toy_config(*overrides)
        turns, train = copied.packed, make_folds(copied.manifest, config.protocol)[0].train
        augmenter = Augmenter(config, copied, train, np.random.default_rng(seed))
        loss = TrainingLoss(config.trainer, copied, train, CPU)

        def gather(rows: np.ndarray, rule: str = "similar", criterion: Any = None) -> Any:
            return collate(rows, turns, CPU, rule, criterion)

        return [
            augmenter.batch(turns.rows(train[:9]), gather, loss.criterion) for _ in range(number)
        ]

    return draw


def equal(one: Turns, other: Turns) -> bool:
    return bool(torch.equal(one.frames, other.frames) and torch.equal(one.lengths, other.lengths))


def test_a_seed_repeats_its_batches_and_another_draws_others(draw: Callable[..., Any]) -> None:
    first, again, other = draw(*EVERY), draw(*EVERY), draw(*EVERY, seed=1)

    assert all(equal(a.current, b.current) for a, b in zip(first, again, strict=True))
    assert not any(equal(a.current, b.current) for a, b in zip(first, other, strict=True))
    assert len({batch.current.frames.sum().item() for batch in first}) == len(first)


def test_context_is_not_augmented(draw: Callable[..., Any]) -> None:
    plain, *_ = draw("augment=none", number=1)
    for batch in draw(*EVERY):
        assert equal(batch.own, plain.own)
        assert equal(batch.interlocutor, plain.interlocutor)


def test_dev_test_and_initial_weights_are_those_of_training_without_augmentation(
    toy: Data, copied: Data, toy_config: Callable[..., Config]
) -> None:
    short = "trainer.steps=4", "trainer.eval_every=2"
    config, augmented = toy_config(*EVERY[2:], *short), toy_config(*EVERY, *short)
    fold = make_folds(toy.manifest, config.protocol)[0]
    plain = train_fold(config, toy, fold, seed=0)
    one, two = (train_fold(augmented, copied, fold, seed=0) for _ in range(2))

    pd.testing.assert_frame_equal(one.history, two.history, check_exact=True)
    pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)
    pd.testing.assert_series_equal(plain.history.iloc[0], one.history.iloc[0], check_exact=True)
    assert plain.history["loss"].iloc[1] != one.history["loss"].iloc[1]
    model = new_model(config, toy).eval()
    for part in (fold.dev, fold.test):
        with_copies, without = (
            Evaluation(part, data, config.trainer).predict(model, CPU) for data in (copied, toy)
        )
        pd.testing.assert_frame_equal(with_copies.table(), without.table(), check_exact=True)


def test_each_use_of_a_turn_draws_it_or_one_of_its_copies(copied: Data) -> None:
    turns, versions = copied.packed, Versions(copied.packed)
    rows = turns.rows(["s1a0", "s1a1", "s1a2"])
    drawn = [versions.draw(rows, random) for random in map(np.random.default_rng, range(300))]

    found = [pd.Series(turns.names[each]).value_counts() for each in np.transpose(drawn)]
    assert [set(each.index) for each in found] == [
        {"s1a0", "s1a0 (1)", "s1a0 (2)"},
        {"s1a1"},
        {"s1a2", "s1a2 (1)"},
    ]
    assert all(each.min() > 0.7 * 300 / len(each) for each in found)
    every = turns.names[versions.all(rows)].tolist()
    assert sorted(every) == sorted(name for each in found for name in each.index)
    one = collate(np.array(drawn[0]), turns, CPU)
    assert one.current.lengths.tolist() == turns.lengths[drawn[0]].tolist()
    assert equal(one.own, collate(rows, turns, CPU).own)
    assert (turns.labels[turns.original] == turns.labels).all()


@pytest.mark.parametrize("scheme", ["n", "se", "n_se"])
@pytest.mark.parametrize("speaker", ["any", "same"])
def test_pasted_turns_have_the_class_and_the_speaker_that_the_scheme_says(
    toy: Data, scheme: str, speaker: str
) -> None:
    turns, train = toy.packed, [name for name in toy.labels if not name.startswith("s4")]
    paster = Paster(CopyPaste(scheme, share=1.0, speaker=speaker), toy, train, STEPS)
    rows, random = turns.rows(train), np.random.default_rng(0)
    neutral = toy.manifest.classes.index("neutral")
    allowed = {"n": {"neutral"}, "se": {"own"}, "n_se": {"neutral", "own"}}[scheme]

    seen = set()
    for _ in range(12):
        others = paster.others(rows, random)
        assert others is not None
        assert set(turns.names[others]) <= set(train)
        pasted = others != rows
        labels, given = turns.labels[rows[pasted]], turns.labels[others[pasted]]
        is_neutral = (given == neutral).all()
        assert is_neutral or (labels == given).all()
        seen.add("neutral" if is_neutral else "own")
        if speaker == "same":
            names = turns.names[rows[pasted]], turns.names[others[pasted]]
            assert all(toy.speakers[a] == toy.speakers[b] for a, b in zip(*names, strict=True))
        else:
            assert pasted.all()
    assert seen == allowed


def test_the_share_is_that_of_the_batches(toy: Data) -> None:
    turns = toy.packed
    paster, random = Paster(CopyPaste(), toy, list(toy.labels), STEPS), np.random.default_rng(0)
    drawn = [paster.others(turns.rows(["s1a0"]), random) for _ in range(1000)]
    assert np.mean([each is not None for each in drawn]) == pytest.approx(0.8, abs=0.04)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans()), min_size=1),
    st.integers(0, 99),
)
def test_a_pasted_turn_is_a_piece_of_each_in_either_order(
    turns: list[tuple[int, int, bool]], seed: int
) -> None:
    longest = 4
    ones, others, pasted = map(np.array, zip(*turns, strict=True))

    def numbered(lengths: np.ndarray, sign: int) -> Turns:
        steps = np.arange(1, 12)
        frames = np.where(steps <= lengths[:, None], sign * steps, 0)[..., None]
        return Turns(torch.from_numpy(frames).float(), torch.from_numpy(lengths))

    paster = object.__new__(Paster)
    paster._steps = longest
    made = paster.paste(
        numbered(ones, 1), numbered(others, -1), pasted, np.random.default_rng(seed)
    )

    pieces = np.minimum(ones, longest) + np.minimum(others, longest)
    assert made.lengths.tolist() == np.where(pasted, pieces, ones).tolist()
    for row, (one, other, is_pasted) in enumerate(turns):
        frames = made.frames[row, :, 0].numpy()
        real, rest = np.split(frames, [int(made.lengths[row])])
        assert not rest.any()
        own, given = real[real > 0], -real[real < 0]
        assert len(own) == (min(one, longest) if is_pasted else one)
        assert len(given) == is_pasted * min(other, longest)
        assert (np.diff(own) == 1).all()
        assert (np.diff(given) == 1).all()
        assert (np.diff(np.sign(real)) != 0).sum() == is_pasted  # one seam


def test_an_auxiliary_label_counts_where_both_turns_have_it(
    toy: Data, toy_config: Callable[..., Config]
) -> None:
    train = ["s1a0", "s1a1", "s1a2"]  # speakers F, M, F
    loss = TrainingLoss(toy_config().trainer, toy, train, CPU)
    rows = toy.packed.rows(train)
    logits = torch.randn(3, len(toy.values("speaker")))
    every = loss.criterion(rows)("speaker", logits)
    others = toy.packed.rows(["s1a1", "s1a1", "s1a0"])  # the first has another speaker's

    found = loss.criterion(rows, others)("speaker", logits)
    assert found == loss.criterion(rows[1:])("speaker", logits[1:])
    assert found != every
    assert len(read_targets(toy, "speaker", train, CPU).outputs) == 2
    assert loss.criterion(rows, others)("label", logits[:, :4]) == loss.criterion(rows)(
        "label", logits[:, :4]
    )


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.integers(1, 30),
    st.floats(0.01, 1),
    st.integers(0, 3),
    st.integers(1, 8),
    st.integers(0, 99),
)
def test_masks_lie_inside_a_turn_and_are_no_wider_than_allowed(
    lengths: list[int], steps: int, share: float, number: int, bands: int, seed: int
) -> None:
    settings = SpecAugment(number, steps / 100, share, 1, bands)
    features = FeaturesConfig("log_mel", options={"bands": 8}, pool=1)
    masker = Masker(settings, features)
    time, of_bands = masker.masks(np.array(lengths), np.random.default_rng(seed))

    assert time.shape == (len(lengths), max(lengths))
    assert of_bands.shape == (len(lengths), 8)
    for row, length in enumerate(lengths):
        assert not time[row, length:].any()
        assert time[row].sum() <= number * min(steps, int(share * length))
        assert of_bands[row].sum() <= bands
        assert (np.diff(of_bands[row].astype(int), prepend=0) == 1).sum() <= 1  # one stretch


@pytest.mark.parametrize("normalise", ["speaker", "none"])
def test_what_a_mask_hides_becomes_the_mean(normalise: str) -> None:
    features = FeaturesConfig("log_mel", "lld_delta", options={"bands": 4}, normalise=normalise)
    masker = Masker(SpecAugment(seconds=1.0, time_share=0.5, bands=2), features)
    frames = torch.randn(6, 12, 8) + 5
    turns = Turns(frames, torch.tensor([12, 10, 8, 6, 2, 1]))
    turns = replace(turns, frames=turns.real_frames)
    random = np.random.default_rng(3)
    time, bands = masker.masks(turns.lengths.numpy(), np.random.default_rng(3))
    made = masker(turns, random)

    hidden = torch.from_numpy(time[..., None] | np.tile(bands, 2)[:, None]) & turns.valid[..., None]
    mean = turns.frames.sum(dim=1, keepdim=True) / turns.lengths[:, None, None]
    filled = torch.zeros(()) if normalise == "speaker" else mean
    assert hidden.any()
    assert not hidden.all()
    assert torch.equal(made.frames, torch.where(hidden, filled, turns.frames))
    assert torch.equal(made.lengths, turns.lengths)


LOG_MEL, IAAN45 = FeaturesConfig("log_mel"), FeaturesConfig()


@pytest.mark.parametrize(
    ("name", "settings", "features", "message"),
    [
        ("copy_past", {}, IAAN45, "unknown key 'augment.copy_past'. Did you mean 'copy_paste'"),
        ("copy_paste", {"share": 1.5}, IAAN45, "share=1.5: must be above 0 and at most 1"),
        ("copy_paste", {"scheme": "ncp"}, IAAN45, "Known: n, n_se, se"),
        ("copy_paste", {"speaker": "sam"}, IAAN45, "Did you mean 'same'"),
        ("copy_paste", {"seconds": 0}, IAAN45, "seconds=0: must be above 0"),
        ("copy_paste", {}, replace(IAAN45, level="functionals"), "acts on frames"),
        ("spec_augment", {}, IAAN45, "features=iaan45 has none; set .*band_masks=0"),
        ("spec_augment", {}, FeaturesConfig("mfcc"), "features=mfcc has none"),
        ("spec_augment", {"bands": 81}, LOG_MEL, "not be above the 80 bands"),
        ("spec_augment", {"time_masks": 0, "band_masks": 0}, LOG_MEL, "has no mask"),
        ("vtlp", {}, IAAN45, "features=iaan45 has none that can be warped; use features=log_mel"),
        ("vtlp", {}, replace(LOG_MEL, sampling_rate=8000), "4000 Hz"),
        ("vtlp", {"factors": [0.5]}, LOG_MEL, "nearer to 1"),
        ("speed", {"factors": [1]}, IAAN45, "from 0.5 to 2 without 1"),
        ("speed", {"factors": []}, IAAN45, "at least one factor"),
        ("speed", {"factors": 0.9}, IAAN45, r"write augment.speed.factors=\[0.9\]"),
        ("noise", {"snr": [20, 0]}, IAAN45, r"write augment.noise.snr=\[0,20\]"),
        ("noise", {"snr": [20]}, IAAN45, r"must be \[LOWEST,HIGHEST\]"),
        ("noise", {"folder": "nowhere"}, IAAN45, "nowhere is not a folder"),
        ("noise", 3, IAAN45, "must be a mapping"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(
    name: str,
    settings: Any,
    features: FeaturesConfig,
    message: str,
    toy_config: Callable[..., Config],
) -> None:
    config = replace(toy_config(), augment={name: settings}, features=features)
    with pytest.raises(RequestError, match=message):
        check_augmentation(config)


def test_pasting_neutral_turns_needs_such_a_class(toy_config: Callable[..., Config]) -> None:
    config = toy_config("augment=copy_paste", "~dataset.classes.neu")
    with pytest.raises(RequestError, match=r"sadness; set augment\.copy_paste\.scheme=se"):
        check_augmentation(config)
    check_augmentation(replace(config, augment={"copy_paste": {"scheme": "se"}}))


def test_a_speaker_rule_that_pairs_nothing_is_refused(
    toy: Data, toy_config: Callable[..., Config]
) -> None:
    table = toy.manifest.table
    alone = replace(
        toy, manifest=replace(toy.manifest, table=table.assign(speaker=table.utterance))
    )
    config = toy_config("augment=copy_paste", "augment.copy_paste.speaker=same")

    check_partners(config, toy)
    with pytest.raises(RequestError, match=r"no turn of toy has another of the same speaker .*any"):
        check_partners(config, alone)
