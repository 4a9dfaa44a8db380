"""The registry of published results that ships with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from sercli.errors import SercliError

PACKAGED = Path(__file__).with_name("baselines.yaml")


@dataclass(frozen=True)
class Baseline:
    """One published result.

    Attributes:
        system: Name in the source.
        source: Where the numbers stand.
        corpus: Name of the dataset.
        classes: Number of classes.
        protocol: Name of the protocol, or ``unknown``.
        modality: ``audio``, ``audio+context``.
        ua: Per cent.
        wa: Per cent.
        selection: What chose the checkpoint: ``dev``, ``test`` or ``unknown``.
        alpha: Initial α, where AReLU is used.
        beta: Initial β.
        models: Names of our models that stand for the system.
        activation: The activation that they need for that.
    """

    system: str
    source: str
    corpus: str
    classes: int
    protocol: str
    modality: str
    ua: float
    wa: float
    selection: str
    alpha: float | None = None
    beta: float | None = None
    models: Sequence[str] = ()
    activation: str | None = None


def read_baselines(path: Path = PACKAGED) -> list[Baseline]:
    """Read a registry.

    Raises:
        SercliError: The file cannot be read or an entry is not of the form.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise TypeError("expected a list of results")
        return [_baseline(entry) for entry in entries]
    except (OSError, yaml.YAMLError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise SercliError(f"published baselines {path}: {reason}") from error


def _baseline(entry: Any) -> Baseline:
    if not isinstance(entry, dict):
        raise TypeError(f"expected a mapping, not {entry!r}")
    unknown = set(entry) - {field.name for field in fields(Baseline)}
    if unknown:
        raise TypeError(f"unknown keys {sorted(unknown)} in {entry}")
    return Baseline(**entry)
