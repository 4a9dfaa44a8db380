"""Refit of a run: networks trained on all of its utterances, for use, not for evaluation."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

import numpy as np

from sercli.config.schema import Config
from sercli.errors import RequestError, SercliError
from sercli.files import held_alone
from sercli.progress import SILENT, Progress
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.results.run_record import Record
from sercli.training.data import Data, read_data
from sercli.training.fold_pool import FoldPool, pool_size
from sercli.training.rerun import check_corpus, configuration_of
from sercli.training.run import announce_backend, train_folds, training_statistics
from sercli.training.validate import validate_run

ALL = "all"
"""Name of the fold that trains on all utterances."""


@dataclass(frozen=True)
class Refit:
    """Networks trained on all utterances of a run.

    Attributes:
        config: The configuration on this machine.
        results: A result for each seed, with weights alone.
        normalisation: Mean and deviation of all speakers; None without normalisation.
        utterances: Number of utterances trained on.
        steps: Number of steps.
    """

    config: Config
    results: Sequence[FoldResult]
    normalisation: Mapping[str, np.ndarray] | None
    utterances: int
    steps: int


def chosen_steps(record: Record) -> int:
    """Return the lower median of the selected steps of a run's folds and seeds.

    Of a model that is fitted, a step is one of its trials. The lower median is a step that was
    evaluated (our choice).

    Raises:
        SercliError: No fold run has a selected step.
    """
    rows = record.metrics.get("by_fold", ())
    steps = [row["selected_step"] for row in rows if row["selected_step"] is not None]
    if not steps:
        raise SercliError(f"{record.path} has no selected step: every seed diverged; give --steps")
    return int(median_low(steps))


def refit(
    record: Record,
    seeds: Sequence[int],
    *,
    steps: int | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Refit:
    """Train a network for each seed on train, dev and test of a run together.

    A stopped refit resumes with the seeds that it lacks. The record is not changed.

    Args:
        record: The run.
        seeds: The seeds.
        steps: Number of steps; None: `chosen_steps`.
        overrides: Settings of this machine (`sercli.training.rerun.HOW_TO_RUN`).
        workers: Number of processes; None: one per core, one on a GPU.
        progress: Progress bars and notes.

    Raises:
        RequestError: An override would make another run, the corpus has changed, the learning
            rate depends on dev, or another process is at work on the same refit.
        SercliError: A network diverged.
    """
    steps = chosen_steps(record) if steps is None else steps
    config = replace(configuration_of(record, overrides), seeds=list(seeds))
    _check_schedule(config, steps)
    size = pool_size(config, workers)
    data = read_data(config, workers=size, progress=progress)
    with FoldPool(data, size) as pool:
        return refit_on(record, config, data, pool, steps, progress=progress)


def refit_on(
    record: Record,
    config: Config,
    data: Data,
    pool: FoldPool,
    steps: int,
    *,
    progress: Progress = SILENT,
) -> Refit:
    """Refit the seeds of a configuration on data already read; see `refit`."""
    check_corpus(record, data)
    run = validate_run(config, data)
    announce_backend(config, run.model, progress)
    fold = _everything(data, run.folds)
    initial = None if run.initial is None else run.initial.of_one_fold(ALL)
    partial = record.path.with_name(f".{record.key}.refit{steps}.partial")
    busy = f"run {record.path} is being refitted by another process"
    with held_alone(partial.with_suffix(".lock"), busy):
        results = train_folds(
            run.config, [fold], partial, pool, progress, steps=steps, initial=initial
        )
        for result in results:
            if result.diverged_at is not None:
                raise SercliError(
                    f"the refit of seed {result.seed} diverged at step {result.diverged_at} of "
                    f"{steps}; give fewer --steps, or another --seed"
                )
        shutil.rmtree(partial, ignore_errors=True)
    normalisation = training_statistics(data, [fold])
    return Refit(config, results, normalisation, len(fold.train), steps)


def _everything(data: Data, folds: Sequence[Fold]) -> Fold:
    """Return a fold that trains on all utterances of others, in the order of the corpus."""
    used = {name for fold in folds for part in (fold.train, fold.dev, fold.test) for name in part}
    names = tuple(name for name in data.manifest.targets["utterance"] if name in used)
    return Fold(ALL, train=names, dev=(), test=names)


def _check_schedule(config: Config, steps: int) -> None:
    name, last = config.schedule.name, config.trainer.steps
    if name == "plateau":
        raise RequestError("--refit: schedule=plateau follows dev UA, and a refit has no dev")
    if name in ("cosine", "linear") and steps > last:
        raise RequestError(f"--steps {steps}: schedule={name} ends at trainer.steps={last}")
