"""A run: all folds and seeds of one configuration, and its record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sercli.config.compose import to_yaml
from sercli.config.run_key import result_relevant
from sercli.config.schema import Config
from sercli.errors import SercliError
from sercli.features.load import StoredSteps
from sercli.features.preprocess import pooled_statistics, stack_statistics
from sercli.files import held_alone, remove_at_once
from sercli.nn.recurrence.backend import describe_backend, use_backend
from sercli.progress import SILENT, Progress
from sercli.results.environment import describe_environment
from sercli.results.fold_result import FoldResult, read_fold_result
from sercli.results.folds import Fold
from sercli.results.run_record import Record, adopt, fold_run_name, is_record, write_record
from sercli.results.summary import best_evaluation, summarise
from sercli.results.sweep_summary import set_apart
from sercli.training.card import protocol_card, with_caveats
from sercli.training.caveats import context_caveat, frozen_caveat
from sercli.training.data import Data, describe_utterances, read_data
from sercli.training.device import choose_device, describe_device
from sercli.training.fold_pool import FoldPool, pool_size
from sercli.training.stacks import FoldJob, Outcome
from sercli.training.validate import ValidatedRun, check_settings, validate_run

OnFoldFinished = Callable[[Mapping[int, float], int], None]
"""Callback after each fold run: position in the order of seeds and folds → UA on dev of all that
are finished, and the number of fold runs."""


def train_configuration(
    config: Config,
    *,
    workers: int | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> Record:
    """Read the data of a configuration and train its run; see `train_run`.

    A search in the same experiment does not seal the run, unless it is one of its trials too.
    """
    check_settings(config)
    size = pool_size(config, workers)
    data = read_data(config, workers=size, progress=progress)
    with FoldPool(data, size) as pool:
        run = validate_run(config, data)
        folder = Path(config.paths.runs) / config.experiment
        known = is_record(folder / run.key)
        record, new = train_run(run, pool, force=force, progress=progress)
    if not known:
        set_apart(folder, [record.key])
    if not new:
        progress.note(f"run {record.key} already exists; use --force to retrain")
    return record


def train_run(
    run: ValidatedRun,
    pool: FoldPool,
    *,
    force: bool = False,
    progress: Progress = SILENT,
    finished: OnFoldFinished = lambda dev_uas, fold_runs: None,
    origin: Mapping[str, Any] | None = None,
) -> tuple[Record, bool]:
    """Train all folds and seeds of a configuration, unless that was done before.

    Folds that an earlier, stopped process finished are reused. A divergence ends its seed; the
    others go on, and the record says which diverged. Before training, notes state the backend of
    the recurrences and the caveats of the run.

    Args:
        run: The validated configuration and its corpus.
        pool: Trains the folds.
        force: Train again although there is a record, which is replaced in the end.
        progress: Progress bars and notes.
        finished: Called after each fold run; an exception that it raises ends training.
        origin: Sweep and plan that asked for the run, for the record.

    Returns:
        The record, and True if it is new.

    Raises:
        RequestError: The device or backend is not available here, or another process is at work
            on the same run.
    """
    with open_run(run, force=force, progress=progress, finished=finished, origin=origin) as opened:
        if opened.record is not None:
            return opened.record, False
        pool.train(opened.jobs, progress, opened.fold_finished)
        return opened.write(), True


@contextmanager
def open_run(
    run: ValidatedRun,
    *,
    force: bool = False,
    progress: Progress = SILENT,
    finished: OnFoldFinished = lambda dev_uas, fold_runs: None,
    origin: Mapping[str, Any] | None = None,
) -> Iterator[OpenRun]:
    """Prepare a run, which no other process can train within the block; see `train_run`."""
    path = Path(run.config.paths.runs) / run.config.experiment / run.key
    busy = f"run {path} is being trained by another process"
    with held_alone(path.with_name(f".{run.key}.lock"), busy):
        yield OpenRun(run, path, force, progress, finished, origin)


class OpenRun:
    """A run that this process trains.

    Attributes:
        record: The record, where there is one already; then there are no jobs.
        jobs: The fold runs that no earlier process has finished.
    """

    def __init__(
        self,
        run: ValidatedRun,
        path: Path,
        force: bool,
        progress: Progress,
        finished: OnFoldFinished,
        origin: Mapping[str, Any] | None,
    ) -> None:
        self._run, self._path, self._progress, self._finished = run, path, progress, finished
        self._origin = origin
        self._partial = path.with_name(f".{path.name}.partial")
        self._together = 1
        self.jobs: list[FoldJob] = []
        self.record = None if force else adopt(path.parent.parent, path.parent.name, path.name)
        if self.record is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        config, model = run.config, run.model
        self._backend = _announce_backend(config, model, progress)
        self._card = protocol_card(config, run.data, run.folds, model)
        for caveat in (*self._card["caveats"], context_caveat(config, run.data, model)):
            if caveat is not None:
                progress.note_once(caveat)
        self._all = [
            FoldJob(config, fold, seed, self._partial / fold_run_name(seed, number))
            for seed in config.seeds
            for number, fold in enumerate(run.folds)
        ]
        self._places = {job.folder: place for place, job in enumerate(self._all)}
        self._resume()

    def _resume(self) -> None:
        """Find the fold runs of an earlier process; the others are the jobs."""
        found = {job.folder: _finished(job.folder, self._progress) for job in self._all}
        done = {folder: result for folder, result in found.items() if result is not None}
        self._dev_uas = {self._places[folder]: result.dev_ua for folder, result in done.items()}
        if done:
            self._progress.note(
                f"{len(done)} of {len(self._all)} folds × seeds were finished before: resuming"
            )
            self._finished(self._dev_uas, len(self._all))
        lost = {result.seed for result in done.values() if result.diverged_at is not None}
        self.jobs = [job for job in self._all if job.folder not in done and job.seed not in lost]

    def fold_finished(self, job: FoldJob, outcome: Outcome) -> None:
        """Take note of a fold run."""
        self._together = max(self._together, outcome.together)
        self._dev_uas[self._places[job.folder]] = outcome.dev_ua
        self._finished(self._dev_uas, len(self._all))

    def write(self) -> Record:
        """Write the record, when its jobs are done."""
        config = self._run.config
        results = [read_fold_result(job.folder) for job in self._all if job.folder.is_dir()]
        card = self._card
        if (frozen := frozen_caveat(results)) is not None:
            self._progress.note(frozen)
            card = with_caveats(card, [frozen])
        made = describe_environment(recurrence=self._backend, origin=self._origin)
        made["device"] = describe_device(config.device)
        made["together"] = self._together
        record = _write(self._path, config, self._run.data, self._run.folds, results, card, made)
        shutil.rmtree(self._partial, ignore_errors=True)
        return record


def _announce_backend(config: Config, model: nn.Module, progress: Progress) -> str:
    """Return the backend of the recurrences, and compile its kernel before workers start."""
    use_backend(config.recurrence.backend)
    backend = describe_backend(model, choose_device(config.device).type)
    progress.note_once(f"recurrence: {backend}")
    return backend


def _finished(folder: Path, progress: Progress) -> FoldResult | None:
    """Return an earlier result; one that cannot be read is put aside, to be trained again."""
    if not folder.is_dir():
        return None
    try:
        return read_fold_result(folder)
    except SercliError as error:
        progress.note(f"{error}; it is trained again")
        remove_at_once(folder)
        return None


def _write(
    path: Path,
    config: Config,
    data: Data,
    folds: Sequence[Fold],
    results: list[FoldResult],
    card: Mapping[str, Any],
    environment: Mapping[str, Any],
) -> Record:
    diverged = [
        {
            "seed": result.seed,
            "fold": result.fold,
            "step": result.diverged_at,
            **best_evaluation(result.history),
        }
        for result in results
        if result.diverged_at is not None
    ]
    lost = {where["seed"] for where in diverged}
    whole = [result for result in results if result.seed not in lost]
    table = data.manifest.table
    speakers = dict(zip(table["utterance"], table["speaker"], strict=True))
    summary: dict[str, Any] = {
        "key": path.name,
        "status": "diverged" if diverged else "complete",
        "diverged": diverged,
        "configuration": result_relevant(config),
        "fingerprint": data.fingerprint,
        "card": card,
        "metrics": summarise(whole, speakers) if whole else {},
    }
    return write_record(
        path,
        summary,
        config_yaml=to_yaml(config),
        folds={
            fold.name: {"train": fold.train, "dev": fold.dev, "test": fold.test} for fold in folds
        },
        environment={**environment, "seconds": sum(result.seconds for result in results)},
        utterances=describe_utterances(data),
        results=results,
        normalisation=_normalisation(data, folds),
        keep_weights=config.trainer.keep_weights,
    )


def _normalisation(data: Data, folds: Sequence[Fold]) -> dict[str, np.ndarray] | None:
    """Pool the statistics of the training speakers of each fold; None without normalisation.

    A trained model needs them for recordings of unknown speakers.
    """
    of_utterance = data.steps.statistics if isinstance(data.steps, StoredSteps) else None
    if of_utterance is None:
        return None
    table = data.manifest.table
    speakers = dict(zip(table["utterance"], table["speaker"], strict=True))
    of_speaker = {speakers[name]: found for name, found in of_utterance.items()}
    trained = [sorted({speakers[name] for name in fold.train}) for fold in folds]
    return stack_statistics([pooled_statistics(map(of_speaker.__getitem__, x)) for x in trained])
