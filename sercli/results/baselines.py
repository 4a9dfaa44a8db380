"""The registry of published results that ships with the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from sercli.errors import SercliError, one_line

PACKAGED = Path(__file__).with_name("baselines.yaml")

TABLE_1 = "Rajamani et al. 2021 Table 1"
"""How the source of a row of the AR-GRU paper's table ends."""

SELECTIONS = ("dev", "test", "unknown")


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
        cell: The cell that they need for that.
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
    cell: str | None = None
    activation: str | None = None


def known_baselines(own: Path | None = None) -> list[Baseline]:
    """Return the published results that ship with the package, and those of the user's file.

    Args:
        own: A registry that adds to the shipped one. An entry with the system and source of a
            shipped one takes its place.

    Raises:
        SercliError: A registry cannot be read or an entry is not of the form.
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
        SercliError: The file cannot be read or an entry is not of the form.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise TypeError("expected a list of results")
        return [_baseline(entry) for entry in entries]
    except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
        reason = one_line(error)
        raise SercliError(f"published baselines {path}: {reason}") from error


def _baseline(entry: Any) -> Baseline:
    if not isinstance(entry, dict):
        raise TypeError(f"expected a mapping, not {entry!r}")
    unknown = set(entry) - {field.name for field in fields(Baseline)}
    if unknown:
        raise TypeError(f"unknown keys {sorted(map(str, unknown))} in {entry}")
    baseline = Baseline(**entry)
    for field in fields(Baseline):
        _check(entry.get("system"), field.name, str(field.type), getattr(baseline, field.name))
    return baseline


def _check(system: Any, name: str, kind: str, value: Any) -> None:
    """Refuse a value that a report could not calculate with, or look up."""
    what, is_so = _KINDS[kind]
    if not is_so(value):
        raise TypeError(f"{name} of {system!r} must be {what}, not {value!r}")
    if name in ("ua", "wa") and not 0 <= value <= 100:
        raise ValueError(f"{name} of {system!r} is per cent, 0 to 100, not {value!r}")
    if name == "selection" and value not in SELECTIONS:
        raise ValueError(f"selection of {system!r} is one of {', '.join(SELECTIONS)}: {value!r}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("text", _is_text),
    "str | None": ("text", lambda value: value is None or _is_text(value)),
    "int": ("a whole number", _is_whole),
    "float": ("a number", _is_number),
    "float | None": ("a number", lambda value: value is None or _is_number(value)),
    "Sequence[str]": ("a list of texts", _are_texts),
}
"""The types of the fields of a `Baseline` → what a value of it is, and whether one is."""
