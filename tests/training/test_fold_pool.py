"""The fold pool: the same results with any number of processes, and none lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
import pytest

from sercli.config.schema import Config
from sercli.errors import Interrupted, SercliError
from sercli.results.fold_result import read_fold_result
from sercli.training.data import Data
from sercli.training.fold_pool import FoldJob, FoldPool, pool_size
from sercli.training.folds import make_folds

ENDLESS = "trainer.steps=1000000"


@pytest.fixture(name="order")
def _order(toy: Data, toy_config: Callable[..., Config], tmp_path: Path) -> Callable[..., FoldJob]:
    """Order the training of a fold; its folder is ``name``."""

    def order(name: str, *overrides: str, fold: int = 0) -> FoldJob:
        config = toy_config("trainer.steps=8", "trainer.eval_every=4", *overrides)
        folds = make_folds(toy.manifest, config.protocol)
        return FoldJob(config, folds[fold], seed=0, folder=tmp_path / name)

    return order


def test_two_workers_give_the_units_of_one_to_the_bit_and_count_all_steps(
    toy: Data,
    order: Callable[..., FoldJob],
    watching: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    progress = watching()
    augment = "augment=[copy_paste,spec_augment]", "augment.spec_augment.band_masks=0"
    with FoldPool(toy, workers=1) as pool:
        pool.train([order(f"one{n}", *augment, fold=n) for n in range(3)])
    with FoldPool(toy, workers=2) as pool:
        pool.train([order(f"two{n}", *augment, fold=n) for n in range(3)], progress)

    for n in range(3):
        one, two = (read_fold_result(order(f"{name}{n}").folder) for name in ("one", "two"))
        pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)
        pd.testing.assert_frame_equal(one.history, two.history, check_exact=True)
        assert all((one.weights[name] == two.weights[name]).all() for name in one.weights)
    assert progress.counts == {"training 3 folds × seeds, steps": 24}
    assert capfd.readouterr() == ("", "")  # workers print nothing


def test_a_killed_worker_is_a_clear_error_and_the_pool_trains_the_next_jobs(
    toy: Data, order: Callable[..., FoldJob], watching: Any
) -> None:
    short, endless = order("short"), order("endless", ENDLESS)

    killed: list[int] = []

    def kill_a_worker(task: str, count: float) -> None:
        if short.folder.is_dir() and not killed:
            killed.append(multiprocessing.active_children()[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    with FoldPool(toy, workers=2) as pool:
        with pytest.raises(SercliError, match=r"training process was killed.* fewer --workers"):
            pool.train([short, endless], watching(kill_a_worker))
        assert read_fold_result(short.folder).selected_step
        assert not endless.folder.exists()

        following = [order("next"), order("last")]
        pool.train(following)
        assert all(read_fold_result(each.folder).selected_step for each in following)


def test_an_interrupt_stops_the_workers_in_the_middle_of_their_work(
    toy: Data, order: Callable[..., FoldJob], watching: Any
) -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    def at_first_step(task: str, count: float) -> None:
        if count == 1:
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted), FoldPool(toy, workers=2) as pool:
            pool.train([order("one", ENDLESS), order("two", ENDLESS)], watching(at_first_step))
    finally:
        signal.signal(signal.SIGUSR1, before)
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert multiprocessing.active_children() == []


def test_no_process_is_started_that_has_nothing_to_train(
    toy: Data, order: Callable[..., FoldJob]
) -> None:
    seen = []
    with FoldPool(toy, workers=3) as pool:
        for jobs in ([order("a")], [order("b"), order("c")], [order("d")]):
            pool.train(jobs)
            seen.append(len(multiprocessing.active_children()))
    assert seen == [0, 2, 2]


def test_after_a_divergence_no_further_unit_is_trained(
    toy: Data, order: Callable[..., FoldJob], watching: Any
) -> None:
    good, diverging = order("good"), order("diverging", "activation=relu", "optim.lr=1e20")
    after = order("after")

    with FoldPool(toy) as pool:
        pool.train([good, diverging, after])

    assert read_fold_result(good.folder).diverged_at is None
    assert read_fold_result(diverging.folder).diverged_at
    assert not after.folder.exists()


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_a_divergence_ends_its_seed_and_the_others_go_on(
    toy: Data, order: Callable[..., FoldJob], workers: int
) -> None:
    diverging = order("diverging", "activation=relu", "optim.lr=1e20")
    same = [order(f"same{n}", fold=n % 4) for n in range(12)]
    others = [replace(order(f"other{n}", fold=n), seed=1) for n in range(3)]

    with FoldPool(toy, workers) as pool:
        pool.train([diverging, *same, *others])

    assert read_fold_result(diverging.folder).diverged_at
    assert all(read_fold_result(each.folder).diverged_at is None for each in others)
    assert not same[-1].folder.exists()


def test_no_orders_are_no_work(toy: Data, watching: Any) -> None:
    progress = watching()

    with FoldPool(toy, workers=2) as pool:
        pool.train([], progress)

    assert progress.counts == {}
    assert multiprocessing.active_children() == []


def test_a_pool_has_as_many_workers_as_asked_for_else_one_per_core(
    toy_config: Callable[..., Config],
) -> None:
    config = toy_config("device=cpu")

    assert pool_size(config, 3) == 3
    assert pool_size(config, None) == len(os.sched_getaffinity(0))
    assert pool_size(toy_config("device=cuda"), None) == 1
