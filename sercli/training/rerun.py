"""Rerun of a record, and its agreement with the numbers (`sercli.results.agreement`)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import yaml

from sercli.config.compose import parse
from sercli.config.frozen import thaw
from sercli.config.run_key import run_key
from sercli.config.schema import Config
from sercli.config.settings import described_by
from sercli.errors import RequestError, SercliError, one_line
from sercli.files import held_alone
from sercli.progress import SILENT, Progress
from sercli.results.agreement import Rerun, compare_runs
from sercli.results.run_record import Record
from sercli.training.data import Data, read_data
from sercli.training.fold_pool import FoldPool, pool_size
from sercli.training.run import train_run
from sercli.training.validate import validate_run
from sercli.untrusted import read_yaml

FOLDER = ".rerun"
"""Folder beside a record that holds its last rerun."""

HOW_TO_RUN = (
    "device",
    "recurrence.backend",
    "paths.data",
    "paths.store",
    "dataset.root",
    "features.config",
    "features.path",
    "init.run",
    "init.file",
    "augment.noise.folder",
)
"""Settings that a rerun or refit may override: they are no part of the key of a run."""


def rerun(
    record: Record,
    overrides: Sequence[str] = (),
    *,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Rerun:
    """Train a run again from its record, which is not changed.

    Folds of a rerun that was stopped are not reused: everything is computed anew.

    Args:
        record: The record.
        overrides: Settings of this machine (`HOW_TO_RUN`), as in ``device=cpu`` or
            ``dataset.root=…``.
        workers: Number of processes; None: one per core, one on a GPU.
        progress: Progress bars and notes.

    Raises:
        RequestError: An override would make another run, the configuration in the record is
            invalid, the corpus has changed, or another rerun of the record is running.
    """
    config = configuration_of(record, overrides)
    size = pool_size(config, workers)
    data = read_data(config, workers=size, progress=progress)
    with FoldPool(data, size) as pool:
        return rerun_on(record, config, data, pool, progress=progress)


def rerun_on(
    record: Record, config: Config, data: Data, pool: FoldPool, *, progress: Progress = SILENT
) -> Rerun:
    """Train a run again on data already read; see `rerun`."""
    check_corpus(record, data)
    folder, key = record.path.parent / FOLDER, run_key(config, data.fingerprint)
    busy = f"run {record.path} is being trained again by another process"
    with held_alone(folder / f".{key}.rerun.lock", busy):
        shutil.rmtree(folder / f".{key}.partial", ignore_errors=True)
        run = validate_run(config, data)
        here = replace(config.paths, runs=str(folder.parent))
        run = replace(run, config=replace(run.config, paths=here, experiment=folder.name))
        again, _ = train_run(run, pool, force=True, progress=progress)
        return compare_runs(record, again)


def check_corpus(record: Record, data: Data) -> None:
    """Refuse a corpus that has changed since a run.

    Raises:
        RequestError: It has.
    """
    if data.fingerprint != record.summary["fingerprint"]:
        raise RequestError(
            f"{record.path}: {data.manifest.dataset} has changed: audio, labels, speakers or "
            "turns differ; give the corpus of the record as dataset.root=…"
        )


def configuration_of(record: Record, overrides: Sequence[str] = ()) -> Config:
    """Read the configuration of a record, to be run on this machine.

    Args:
        record: The record.
        overrides: Settings of this machine (`HOW_TO_RUN`).

    Raises:
        RequestError: An override would make another run, or the configuration is damaged.
    """
    settings = _how_to_run(overrides)
    try:
        content = read_yaml(record.path / "config.yaml")
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = one_line(error)
        raise RequestError(f"{record.path}: config.yaml cannot be read: {reason}") from error
    summary = {"overrides": [], "choices": {}, "configuration": content}
    try:
        config = thaw(yaml.safe_dump(summary, sort_keys=False), settings)
    except SercliError as error:
        raise RequestError(f"{record.path}: {error}") from error
    runs = str(record.path.parent.parent)  # where init.run may be
    return replace(config, paths=replace(config.paths, runs=runs))


def _how_to_run(overrides: Sequence[str]) -> dict[str, Any]:
    settings = {}
    for override in parse(overrides):
        key = override.key_or_group
        of_machine = described_by(key) in HOW_TO_RUN
        if override.is_sweep_override() or not of_machine:
            raise RequestError(
                f"'{override.input_line}' cannot be overridden, since it would make another run; "
                f"only these can: {', '.join(HOW_TO_RUN)}"
            )
        settings[key] = override.value()
    return settings
