"""Completeness of a record: every file is there and can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from sercli.errors import SercliError, one_line
from sercli.files import why_denied
from sercli.results.run_record import read_record
from sercli.results.seen import FILE as SEEN
from sercli.results.seen import read_seen
from sercli.results.weights import NOT_KEPT
from sercli.untrusted import read_json, read_parquet, read_yaml


@dataclass(frozen=True)
class Fault:
    """A fault of a record.

    Attributes:
        record: Experiment and key of the run, or the experiment of a sweep.
        file: The file at fault.
        reason: The fault, and the remedy.
    """

    record: str
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.record}: {self.file}: {self.reason}"


Finding = tuple[str, str]
"""A file, and its fault."""


@dataclass(frozen=True)
class Contents:
    """A record read into memory; of the weights only the names and sizes.

    Attributes:
        name: Experiment and key.
        summary: ``run.json``.
        config: ``config.yaml``.
        folds: ``folds.json``: fold → ``train``, ``dev`` and ``test`` → utterance ids.
        environment: ``environment.json``.
        utterances: ``utterances.parquet``.
        predictions: ``predictions.parquet``.
        history: ``history.parquet``.
        weights: File of weights → number of tensors; `NOT_KEPT` alone where they are not kept.
        seen: Fold → utterances that its initial weights had seen; empty for random or published
            ones.
    """

    name: str
    summary: Mapping[str, Any]
    config: Mapping[str, Any]
    folds: Mapping[str, Mapping[str, list[str]]]
    environment: Mapping[str, Any]
    utterances: pd.DataFrame
    predictions: pd.DataFrame
    history: pd.DataFrame
    weights: Mapping[str, int]
    seen: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def read_whole(path: Path) -> tuple[Contents | None, list[Fault]]:
    """Read every file of a record.

    Args:
        path: Its folder.

    Returns:
        The contents, or None if a file is missing or damaged, and the faults.
    """
    name = record_name(path)
    try:
        summary = read_record(path).summary
    except SercliError as error:
        return None, [Fault(name, "run.json", str(error))]
    read: dict[str, Any] = {}
    faults = []
    for file, reader in _READERS.items():
        if denied := _denied(path / file):
            faults += [Fault(name, *finding) for finding in denied]
            continue
        try:
            read[Path(file).stem] = reader(path / file)
        except FileNotFoundError:
            faults.append(Fault(name, file, "is missing; restore it, or train the run again"))
        except Exception as error:  # whatever its reader raises, the file is damaged
            faults.append(Fault(name, file, f"cannot be read ({_in_one_line(error)})"))
    if "seen" in summary.get("card", {}).get("initial_weights", {}):
        try:
            read["seen"] = read_seen(path)
        except SercliError as error:
            faults.append(Fault(name, SEEN, str(error)))
    return (None if faults else Contents(name=name, summary=summary, **read)), faults


def record_name(path: Path) -> str:
    """Return experiment and key of the record in a folder."""
    return "/".join(path.absolute().parts[-2:])


def _denied(path: Path) -> list[Finding]:
    """Return a finding if this user may not read a file, a folder, or any file in the folder."""
    if (reason := why_denied(path)) is not None:
        return [(path.name, reason)]
    inside = sorted(path.iterdir()) if path.is_dir() else []
    found = [(f"{path.name}/{file.name}", why_denied(file)) for file in inside]
    reasons = [(file, reason) for file, reason in found if reason is not None]
    more = f" (and {len(reasons) - 1} files beside it)" if len(reasons) > 1 else ""
    return [(file, reason + more) for file, reason in reasons[:1]]


def _in_one_line(error: Exception) -> str:
    return one_line(error)


def _read_json(path: Path) -> Mapping[str, Any]:
    return _mapping(read_json(path))


def _read_yaml(path: Path) -> Mapping[str, Any]:
    return _mapping(read_yaml(path))


def _mapping(content: Any) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise ValueError("it holds no keys and values")
    return content


def _count_tensors(folder: Path) -> dict[str, int]:
    """Open every file of weights; its header says how long the file must be."""
    if (folder / NOT_KEPT).is_file():
        return {NOT_KEPT: 0}
    found = {}
    for path in sorted(folder.iterdir()):
        with safe_open(path, framework="numpy") as file:
            found[path.name] = len(file.keys())
    return found


_READERS: Mapping[str, Callable[[Path], Any]] = {
    "config.yaml": _read_yaml,
    "folds.json": _read_json,
    "environment.json": _read_json,
    "utterances.parquet": read_parquet,
    "predictions.parquet": read_parquet,
    "history.parquet": read_parquet,
    "weights": _count_tensors,
}
"""File → how it is read; its name without an ending is that of an attribute of `Contents`."""
