"""The record of a run: a folder that exists only when the run is complete.

    runs/<experiment>/<key>/
      run.json             key, status, configuration, protocol card, metrics: the summary
      config.yaml          the resolved configuration, to read and to run again
      folds.json           the utterances of train, dev and test of every fold
      utterances.parquet   speaker, session, transcript, … of every target utterance
      predictions.parquet  every utterance of dev and test, dev-selected and oracle
      history.parquet      loss, UA, WA, gradient norm, … at every evaluation
      environment.json     versions, git commit, hardware, backend, command, time
      weights/             one safetensors file per seed and fold, unless they are not kept
      normalisation.safetensors   mean and deviation of the training speakers of every fold, where
                                  features are normalised (`sercli.features.preprocess`)

While a run trains, its finished folds lie in ``.<key>.partial`` beside it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercli.config.run_key import outdated
from sercli.errors import SercliError
from sercli.files import folder_written_whole, permitted, remove_at_once, why_denied
from sercli.results.fold_result import FoldResult
from sercli.results.seen import write_seen
from sercli.results.weights import drop_weights, write_weights
from sercli.untrusted import read_json, read_parquet

FORMAT = 3
"""Version of the record; other versions are refused."""

NO_CONTEXT = "none: the model reads the utterance alone"
"""Entry ``context`` of the protocol card of a model for which the context settings do nothing."""

NORMALISATION = "normalisation.safetensors"

OF_MANIFEST = (
    "utterance",
    "speaker",
    "gender",
    "session",
    "dialogue",
    "emotion",
    "label",
    "improvised",
    "transcript",
    "corpus",
)
"""Columns of the manifest in ``utterances.parquet``."""


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        path: Its folder.
        summary: Content of ``run.json``.
    """

    path: Path
    summary: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The run's key."""
        return str(self.summary["key"])

    @property
    def experiment(self) -> str:
        """The experiment whose folder the record lies in."""
        return self.path.parent.name

    @property
    def status(self) -> str:
        """``complete`` or ``diverged``."""
        return str(self.summary["status"])

    @property
    def metrics(self) -> Mapping[str, Any]:
        """UA, WA and the others; fractions."""
        metrics: Mapping[str, Any] = self.summary["metrics"]
        return metrics

    @property
    def divergences(self) -> list[tuple[int, str, int]]:
        """Seed, fold and step of every divergence."""
        return [(each["seed"], each["fold"], each["step"]) for each in self.summary["diverged"]]

    def environment(self) -> dict[str, Any]:
        """Read the provenance of the result, and the ``seconds`` that training took."""
        environment: dict[str, Any] = read_json(self.path / "environment.json")
        return environment

    def predictions(self) -> pd.DataFrame:
        """Read the predictions of every utterance."""
        return read_parquet(self.path / "predictions.parquet")

    def utterances(self) -> pd.DataFrame:
        """Read the facts of every utterance (`sercli.training.data.describe_utterances`)."""
        return read_parquet(self.path / "utterances.parquet")

    def history(self) -> pd.DataFrame:
        """Read the history of every fold run (`sercli.results.fold_result.FoldResult`)."""
        return read_parquet(self.path / "history.parquet")


def dimensional_labels(summary: Mapping[str, Any]) -> list[str]:
    """Return the dimensional labels that are the task of a run; empty for classes.

    Args:
        summary: Content of ``run.json``.
    """
    found: list[str] = summary["card"].get("dimensions", [])
    return found


def write_record(
    path: Path,
    summary: Mapping[str, Any],
    *,
    config_yaml: str,
    folds: Mapping[str, Any],
    environment: Mapping[str, Any],
    utterances: pd.DataFrame,
    results: Sequence[FoldResult],
    normalisation: Mapping[str, np.ndarray] | None = None,
    seen: Mapping[str, pd.DataFrame] | None = None,
    keep_weights: str = "all",
) -> Record:
    """Write a record, whole or not at all; it replaces an older record of the same run.

    With ``keep_weights="none"`` the record has no weights, and a file that says so. ``seen`` lists
    the utterances that initial weights had seen, by fold (`sercli.results.seen`).
    """
    with folder_written_whole(path) as folder:
        _write_json(folder / "run.json", {"format": FORMAT, **summary})
        _write_json(folder / "folds.json", folds)
        _write_json(folder / "environment.json", environment)
        (folder / "config.yaml").write_text(config_yaml, encoding="utf-8")
        utterances.to_parquet(folder / "utterances.parquet")
        for name in ("predictions", "history"):
            table = pd.concat([getattr(result, name) for result in results], ignore_index=True)
            table.to_parquet(folder / f"{name}.parquet")
        if normalisation:
            write_weights(folder / NORMALISATION, normalisation)
        if seen is not None:
            write_seen(folder, seen)
        (folder / "weights").mkdir()
        fold_names = list(folds)
        if keep_weights == "none":
            drop_weights(folder / "weights", keep_weights)
        else:
            for result in results:
                name = fold_run_name(result.seed, fold_names.index(result.fold))
                write_weights(folder / "weights" / f"{name}.safetensors", result.weights)
        if path.exists():
            remove_at_once(path)
    return read_record(path)


def read_record(path: Path) -> Record:
    """Read the summary of a record.

    Raises:
        SercliError: It is not a record, is damaged, has another format, or used a part
            that was revised since (`sercli.config.run_key`).
    """
    try:
        summary = read_json(path / "run.json")
        version = summary["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if (denied := why_denied(path) or why_denied(path / "run.json")) is not None:
            raise SercliError(f"{path} cannot be read: {denied}") from error
        raise SercliError(f"{path} is not a run record ({error}); remove or restore it") from error
    if version != FORMAT:
        raise SercliError(
            f"{path} has record format {version}; this sercli reads {FORMAT}: train the run again, "
            "or read it with the sercli that wrote it"
        )
    if (change := _change_since(summary)) is not None:
        raise SercliError(
            f"{path} is of an older version: {change}; train the run again, or read it with the "
            "sercli that wrote it"
        )
    return Record(path, summary)


def _change_since(summary: Mapping[str, Any]) -> str | None:
    settings = summary.get("configuration")
    if not isinstance(settings, Mapping):
        return None
    return outdated(settings, str(summary.get("fingerprint")), str(summary.get("key")))


def is_record(path: Path) -> bool:
    """Return True if a folder holds a finished run; ``run.json`` is written last.

    A folder that this user may not enter counts as one, so that reading it gives the reason.
    """
    # by os.path: its functions do not raise where this user may not look
    closed = os.path.isdir(path) and not permitted(path, os.X_OK)  # noqa: PTH112
    return closed or os.path.isfile(path / "run.json")  # noqa: PTH113


def find_records(folder: Path) -> Iterator[Path]:
    """Yield the folders of the finished runs directly in an experiment's folder, sorted.

    An experiment's folder that this user may not enter is yielded itself: reading it gives the
    reason.
    """
    if why_denied(folder) is not None:
        yield folder
    elif folder.is_dir():
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and is_record(path):
                yield path


def adopt(runs: Path, experiment: str, key: str) -> Record | None:
    """Return the finished run ``key``, if there is one.

    A run of another experiment is adopted by hard links: nothing is computed twice, and removing
    one experiment leaves the other whole.
    """
    path = runs / experiment / key
    if is_record(path):
        return read_record(path)
    for file in sorted(runs.glob(f"[!.]*/{key}/run.json")):
        if _is_readable(file.parent):
            with folder_written_whole(path) as folder:
                shutil.copytree(
                    file.parent, folder, copy_function=_link_or_copy, dirs_exist_ok=True
                )
            return read_record(path)
    return None


def fold_run_name(seed: int, fold: int) -> str:
    """Return the name of the files of a fold run.

    >>> fold_run_name(seed=1, fold=0)
    'seed1-fold0'
    """
    return f"seed{seed}-fold{fold}"


def _is_readable(path: Path) -> bool:
    try:
        read_record(path)
    except SercliError:
        return False
    return True


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain)
    path.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")
