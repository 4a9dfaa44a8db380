"""Python interface, for notebooks and other programs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sercli.config.compose import compose
from sercli.config.keys import flatten
from sercli.inference.model import TrainedModel
from sercli.progress import Progress
from sercli.results.find import find_runs
from sercli.results.run_record import Record
from sercli.results.seal import hide_sealed
from sercli.search.plan.plan import make_plan
from sercli.search.sweep import SweepOptions, run_sweep
from sercli.training.run import train_configuration
from sercli.training.source import open_source

Level = Literal["run", "seed", "fold"]


def load(
    model: str | Path,
    *,
    runs: str | Path = "runs",
    fold: str | None = None,
    seed: int | None = None,
    device: str = "auto",
) -> TrainedModel:
    """Load a trained model for the classification of recordings.

    Probabilities are averaged over all networks (folds and seeds) of a run.

    Args:
        model: A model folder, or a run: its key, its folder, or the name of an experiment with
            a single run.
        runs: Folder of the run records.
        fold: Only the networks of this fold.
        seed: Only the networks of this seed.
        device: ``auto``, ``cpu``, ``cuda``, …

    Raises:
        RequestError: There is no such model, fold, seed or device.
        SercliError: The model is damaged or has an unknown format.

    >>> load("no-such-model", runs="nowhere")
    Traceback (most recent call last):
    sercli.errors.RequestError: no experiment or run 'no-such-model'. There is none in nowhere.
    """
    return TrainedModel(open_source(str(model), Path(runs), fold=fold, seed=seed), device)


def read_runs(
    *names: str, runs: str | Path = "runs", by: Level = "run", unseal: bool = False
) -> pd.DataFrame:
    """Read the results of runs as a tidy table.

    Args:
        names: Experiments or runs; none: all.
        runs: Folder of the run records.
        by: One row per ``run``, ``seed`` or ``fold`` (with each seed).
        unseal: Show test results of all trials of a search; reports will say so.

    Returns:
        ``experiment``, ``run`` and ``status``; with ``by``, ``seed`` and ``fold``; the settings by
        their dotted keys, such as ``activation.name``; and the metrics, fractions: ``ua``, ``wa``,
        ``dev_ua``, … Intervals are two columns, ``ua_ci_low`` and ``ua_ci_high``. Test results of
        sealed trials are missing. A warning names each record that cannot be read.

    Raises:
        RequestError: A name is unknown, or there is no run.
    """
    found, damaged = find_runs(names, Path(runs))
    records, lines = hide_sealed(found, unseal=unseal)
    for line in (*damaged, *lines):
        warnings.warn(line, stacklevel=2)
    return pd.DataFrame([row for record in records for row in _rows(record, by)])


def train(
    *overrides: str,
    workers: int | None = None,
    force: bool = False,
    progress: bool = False,
) -> Record:
    """Train all folds and seeds of a configuration, as ``sercli train``.

    Worker processes are started: a script must guard the call by ``if __name__ == "__main__":``.

    Args:
        overrides: Settings, such as ``"dataset=nemo"``.
        workers: Number of processes; None: one per core.
        force: Retrain and replace the record.
        progress: Show progress and notes on standard error.

    Returns:
        The record: ``metrics``, ``predictions()``, ``history()``.

    Raises:
        RequestError: A setting is invalid.
        SercliError: The corpus cannot be used.
    """
    config = compose(overrides)
    return train_configuration(
        config, workers=workers, force=force, progress=Progress(quiet=not progress)
    )


def sweep(
    *overrides: str,
    plan: str | None = None,
    sampler: str | None = None,
    trials: int | None = None,
    comparison: bool = False,
    workers: int | None = None,
    storage: str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Search hyperparameters, as ``sercli sweep``; the same call resumes.

    Args:
        overrides: Settings; lists and ranges span the space: ``"activation=tanh,arelu"``.
        plan: Name or path of a plan.
        sampler: ``grid`` (default), ``random``, ``qmc``, ``tpe``, ``gp`` or ``cmaes``.
        trials: Number of trials of a sampler.
        comparison: Treat trials as pre-registered systems.
        workers: Workers on this machine.
        storage: URL of the database.
        progress: Show progress and notes on standard error.

    Returns:
        One row per trial, as `read_runs`; test results are sealed, except the winner's.

    Raises:
        RequestError: The request is invalid.
    """
    planned = make_plan(overrides, plan=plan, sampler=sampler, trials=trials, comparison=comparison)
    options = SweepOptions(workers, None, storage)
    result = run_sweep(planned, options, progress=Progress(quiet=not progress))
    records, _ = hide_sealed(result.records)
    return pd.DataFrame([row for record in records for row in _rows(record, "run")])


def _rows(record: Record, by: Level) -> Iterator[dict[str, Any]]:
    metrics = record.metrics
    parts = [metrics] if by == "run" else metrics.get(f"by_{by}", ())
    first = {"experiment": record.experiment, "run": record.key, "status": record.status}
    settings = flatten(record.summary["configuration"])
    for part in parts:
        own = {name: part[name] for name in ("seed", "fold") if name in part}
        yield first | own | settings | dict(_figures(part))


def _figures(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in metrics.items():
        if name.endswith("_ci"):
            low, high = value or (None, None)
            yield from ((f"{name}_low", low), (f"{name}_high", high))
        elif not isinstance(value, dict | list):
            yield name, value
