"""The registry of published results that ships with the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from sercli.errors import SercliError, one_line
from sercli.untrusted import read_yaml
from sercli.validation import StrictModel, validate

PACKAGED = Path(__file__).with_name("baselines.yaml")

TABLE_1 = "Rajamani et al. 2021 Table 1"
"""End of the source of each row of the AR-GRU paper's table."""

Percent = Annotated[float, Field(ge=0, le=100)]


class Baseline(StrictModel):
    """One published result.

    Attributes:
        system: Name in the source.
        source: Publication and table of the numbers.
        corpus: Name of the dataset.
        classes: Number of classes.
        protocol: Name of the protocol, or ``unknown``.
        modality: ``audio``, ``audio+context``.
        ua: Per cent.
        wa: Per cent.
        selection: Split that chose the checkpoint: ``dev``, ``test`` or ``unknown``.
        note: Other differences from the protocols of this program, a clause.
        alpha: Initial α, where AReLU is used.
        beta: Initial β.
        models: Names of our models that reimplement the system.
        cell: Cell that they need for that.
        activation: Activation that they need for that.
    """

    system: str
    source: str
    corpus: str
    classes: int
    protocol: str
    modality: str
    ua: Percent
    wa: Percent
    selection: Literal["dev", "test", "unknown"]
    note: str = ""
    alpha: float | None = None
    beta: float | None = None
    models: Sequence[str] = ()
    cell: str | None = None
    activation: str | None = None


def known_baselines(own: Path | None = None) -> list[Baseline]:
    """Return the published results that ship with the package, and those of the user's file.

    Args:
        own: A registry that adds to the shipped one. An entry with the system and source of a
            shipped one takes its place.

    Raises:
        SercliError: A registry cannot be read, or an entry is invalid.
    """
    registries = (PACKAGED, own) if own else (PACKAGED,)
    entries = [entry for path in registries for entry in read_baselines(path)]
    return list({(entry.system, entry.source): entry for entry in entries}.values())


def table_1(baselines: Sequence[Baseline]) -> list[Baseline]:
    """Return the rows of Table 1 of the AR-GRU paper, in its order."""
    return [baseline for baseline in baselines if baseline.source.endswith(TABLE_1)]


def read_baselines(path: Path = PACKAGED) -> list[Baseline]:
    """Read a registry.

    Raises:
        SercliError: The file cannot be read, or an entry is invalid.
    """
    place = f"published baselines {path}: "
    try:
        entries = read_yaml(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SercliError(place + one_line(error)) from error
    if not isinstance(entries, list):
        raise SercliError(f"{place}expected a list of results")
    return [
        validate(Baseline, entry, f"{place}{_name(entry, number)}: ")
        for number, entry in enumerate(entries, start=1)
    ]


def _name(entry: Any, number: int) -> str:
    """Return the name of an entry of a registry for messages."""
    named = isinstance(entry, dict) and "system" in entry
    return repr(entry["system"]) if named else f"entry {number}"
