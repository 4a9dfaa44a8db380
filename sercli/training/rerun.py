"""Repeat a run from its record, and say whether the numbers agree (`sercli.results.agreement`)."""

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
from sercli.errors import RequestError, SercliError, one_line
from sercli.files import held_alone
from sercli.progress import SILENT, Progress
from sercli.results.agreement import Rerun, compare_runs
from sercli.results.run_record import Record
from sercli.training.data import Data, read_data
from sercli.training.fold_pool import FoldPool, pool_size
from sercli.training.run import train_run
from sercli.training.validate import validate_run

FOLDER = ".rerun"
"""Folder beside a record that holds what its last rerun gave."""

HOW_TO_RUN = (
    "device",
    "recurrence.backend",
    "paths.data",
    "paths.store",
    "dataset.root",
    "features.config",
)
"""Settings that a rerun may have of its own: they are no part of the key of a run."""


def rerun(
    record: Record,
    overrides: Sequence[str] = (),
    *,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Rerun:
    """Train a run again from what its record says; the record itself is not touched.

    Units of a rerun that was stopped are not taken over: all of it is computed here and now.

    Args:
        record: The record.
        overrides: How to run here (`HOW_TO_RUN`), as in ``device=cpu`` or ``dataset.root=…``.
        workers: Processes; None: one per core, one on a GPU.
        progress: Where bars and notes go.

    Raises:
        RequestError: An override would make another run, the configuration in the record cannot
            be used, the corpus is not the same, or another rerun of it is at work.
    """
    config = configuration_of(record, overrides)
    size = pool_size(config, workers)
    data = read_data(config, workers=size, progress=progress)
    with FoldPool(data, size) as pool:
        return rerun_on(record, config, data, pool, progress=progress)


def rerun_on(
    record: Record, config: Config, data: Data, pool: FoldPool, *, progress: Progress = SILENT
) -> Rerun:
    """Train a run again on data that were read before; see `rerun`."""
    if data.fingerprint != record.summary["fingerprint"]:
        raise RequestError(
            f"{record.path}: {data.manifest.dataset} is not as it was: audio, labels, speakers "
            "or turns differ; give the corpus of the record as dataset.root=…"
        )
    folder, key = record.path.parent / FOLDER, run_key(config, data.fingerprint)
    busy = f"run {record.path} is being trained again by another process"
    with held_alone(folder / f".{key}.rerun.lock", busy):
        shutil.rmtree(folder / f".{key}.partial", ignore_errors=True)
        here = replace(config.paths, runs=str(folder.parent))
        config = replace(config, paths=here, experiment=folder.name)
        again, _ = train_run(validate_run(config, data), pool, force=True, progress=progress)
        return compare_runs(record, again)


def configuration_of(record: Record, overrides: Sequence[str] = ()) -> Config:
    """Read the configuration of a record, to be run here.

    Args:
        record: The record.
        overrides: How to run here (`HOW_TO_RUN`).

    Raises:
        RequestError: An override would make another run, or the configuration is damaged.
    """
    settings = _how_to_run(overrides)
    try:
        content = yaml.safe_load((record.path / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = one_line(error)
        raise RequestError(f"{record.path}: config.yaml cannot be read: {reason}") from error
    summary = {"overrides": [], "choices": {}, "configuration": content}
    try:
        return thaw(yaml.safe_dump(summary, sort_keys=False), settings)
    except SercliError as error:
        raise RequestError(f"{record.path}: {error}") from error


def _how_to_run(overrides: Sequence[str]) -> dict[str, Any]:
    settings = {}
    for override in parse(overrides):
        if override.is_sweep_override() or override.key_or_group not in HOW_TO_RUN:
            raise RequestError(
                f"'{override.input_line}' would make another run, or is not for a rerun to say; "
                f"it takes only how to run: {', '.join(HOW_TO_RUN)}"
            )
        settings[override.key_or_group] = override.value()
    return settings
