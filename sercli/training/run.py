"""A run: all folds and seeds of one configuration, and its record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from sercli.config.compose import to_yaml
from sercli.config.run_key import result_relevant
from sercli.config.schema import Config
from sercli.errors import SercliError
from sercli.features.load import StoredSteps
from sercli.features.preprocess import pooled_statistics, stack_statistics
from sercli.files import held_alone, remove_at_once
from sercli.nn.device import choose_device, describe_device
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
from sercli.training.fold_pool import FoldJob, FoldPool, Outcome, pool_size
from sercli.training.initial_weights import InitialWeights
from sercli.training.listeners import listener_scores
from sercli.training.validate import ValidatedRun, check_settings, validate_run

OnFoldFinished = Callable[[Mapping[int, float], int], None]
"""Function called after each fold run.

It receives the UA or CCC on dev of each finished fold run, by its position in the order of seeds
and folds, and the number of all fold runs.
"""


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
    config, data, folds, model, key = run.config, run.data, run.folds, run.model, run.key
    runs = Path(config.paths.runs)
    path = runs / config.experiment / key
    partial = path.with_name(f".{key}.partial")
    busy = f"run {path} is being trained by another process"
    with held_alone(path.with_name(f".{key}.lock"), busy):
        record = None if force else adopt(runs, config.experiment, key)
        if record is None:
            backend = announce_backend(config, model, progress)
            card = protocol_card(config, data, folds, model, run.initial)
            for caveat in (*card["caveats"], context_caveat(config, data, model)):
                if caveat is not None:
                    progress.note_once(caveat)
            results = train_folds(
                config, folds, partial, pool, progress, finished, initial=run.initial
            )
            if (frozen := frozen_caveat(results)) is not None:
                progress.note(frozen)
                card = with_caveats(card, [frozen])
            made = describe_environment(recurrence=backend, origin=origin)
            made["device"] = describe_device(config.device)
            record = _write(path, run, results, card, made)
            _announce_distances(record, progress)
            shutil.rmtree(partial, ignore_errors=True)
            return record, True
        shutil.rmtree(partial, ignore_errors=True)
    return record, False


def announce_backend(config: Config, model: nn.Module, progress: Progress) -> str:
    """Return the backend of the recurrences, and compile its kernel before workers start."""
    use_backend(config.recurrence.backend)
    backend = describe_backend(model, choose_device(config.device).type)
    progress.note_once(f"recurrence: {backend}")
    return backend


def _announce_distances(record: Record, progress: Progress) -> None:
    """Note how far each layer moved from its initial weights, on average over fold runs."""
    moved = pd.DataFrame([each["layers"] for each in record.summary.get("distances", ())]).mean()
    if not moved.empty:
        layers = ", ".join(f"{layer} {value:.2g}" for layer, value in moved.items())
        progress.note(f"relative distance from the initial weights: {layers}")


def train_folds(
    config: Config,
    folds: Sequence[Fold],
    partial: Path,
    pool: FoldPool,
    progress: Progress,
    finished: OnFoldFinished = lambda dev_uas, fold_runs: None,
    steps: int | None = None,
    initial: InitialWeights | None = None,
) -> list[FoldResult]:
    """Train the folds that ``partial`` lacks, and return all in order of seed and fold.

    Args:
        config: The configuration.
        folds: The folds.
        partial: The folder of finished fold runs.
        pool: Trains the folds.
        progress: Progress bars and notes.
        finished: Called after each fold run.
        steps: Steps to train without selection; None: select on dev.
        initial: Initial weights; None: random ones.
    """
    jobs = [
        FoldJob(
            config,
            fold,
            seed,
            partial / fold_run_name(seed, number),
            steps,
            None if initial is None else initial.of(seed, fold.name),
        )
        for seed in config.seeds
        for number, fold in enumerate(folds)
    ]
    places = {job.folder: place for place, job in enumerate(jobs)}
    found = {job.folder: _finished(job.folder, progress) for job in jobs}
    done = {folder: result for folder, result in found.items() if result is not None}
    known = {places[folder]: result.dev_score for folder, result in done.items()}
    if done:
        progress.note(f"{len(done)} of {len(jobs)} folds × seeds were finished before: resuming")
        finished(known, len(jobs))

    def fold_finished(job: FoldJob, outcome: Outcome) -> None:
        known[places[job.folder]] = outcome.dev_score
        finished(known, len(jobs))

    diverged = {result.seed for result in done.values() if result.diverged_at is not None}
    waiting = [each for each in jobs if each.folder not in done and each.seed not in diverged]
    pool.train(waiting, progress, fold_finished)
    return [read_fold_result(job.folder) for job in jobs if job.folder.is_dir()]


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
    run: ValidatedRun,
    results: list[FoldResult],
    card: Mapping[str, Any],
    environment: Mapping[str, Any],
) -> Record:
    config, data, folds, initial = run.config, run.data, run.folds, run.initial
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
    summary: dict[str, Any] = {
        "key": path.name,
        "status": "diverged" if diverged else "complete",
        "diverged": diverged,
        "configuration": result_relevant(config),
        "fingerprint": data.fingerprint,
        "card": card,
        "metrics": summarise(whole, data.speakers, data.manifest.dimension_names) if whole else {},
    }
    if (listeners := listener_scores(config, data, folds, whole)) is not None:
        summary["listeners"] = listeners
    if initial is not None:
        summary["distances"] = initial.distances(results)
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
        normalisation=training_statistics(data, folds),
        seen=None if initial is None else initial.seen,
        keep_weights=config.trainer.keep_weights,
    )


def training_statistics(data: Data, folds: Sequence[Fold]) -> dict[str, np.ndarray] | None:
    """Pool the statistics of the training speakers, or corpora, of each fold.

    A trained model needs them for recordings of unknown speakers.

    Returns:
        The stacked statistics; None without normalisation.
    """
    found = data.steps.statistics if isinstance(data.steps, StoredSteps) else None
    if found is None:
        return None
    # The utterances of a speaker, or of a corpus, share one object.
    trained = [{id(found[name]): found[name] for name in sorted(fold.train)} for fold in folds]
    return stack_statistics([pooled_statistics(each.values()) for each in trained])
