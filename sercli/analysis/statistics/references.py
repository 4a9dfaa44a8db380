"""The reference of each run in a comparison, and runs that must not be compared."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from sercli.errors import RequestError, nearest
from sercli.results.run_record import Record

BEST = "best"
"""In place of a key: the run of each task with the best dev UA."""


def reference_pairs(runs: Mapping[str, Record], against: str | None) -> list[tuple[str, str]]:
    """Return the keys of every run and its reference; a run is not paired with itself.

    Args:
        runs: Key → record.
        against: Key of the reference of all, or `BEST`. None: the one run with tanh of the same
            task, model and cell, if there are several such runs and exactly one has tanh, else
            `BEST`.

    Raises:
        RequestError: ``against`` is none of the runs.
    """
    if against not in (None, BEST, *runs):
        known = nearest(str(against), runs)
        raise RequestError(f"no run '{against}' among those to be compared.{known}")
    if against in runs:
        return [(key, str(against)) for key in runs if key != against]
    best = _best(runs.values())
    plain = {} if against == BEST else _plain(runs.values())
    found = [(key, plain.get(_design(run)) or best[_task(run)]) for key, run in runs.items()]
    return [(a, b) for a, b in found if a != b]


def other_task(a: Record, b: Record) -> str | None:
    """Return why two runs are not of the same task; None if they are."""
    differing = [
        f"{what} {_shown(ours)}, not {_shown(theirs)}"
        for what, ours, theirs in zip(_FACTS, _task(a), _task(b), strict=True)
        if ours != theirs
    ]
    return "; ".join(differing) or None


_FACTS = ("corpus", "classes", "protocol", "step selected on")


def _task(run: Record) -> tuple[Hashable, ...]:
    card = run.summary["card"]
    return (
        f"{card['dataset']} (SYNTHETIC)" if card["synthetic"] else card["dataset"],
        tuple(sorted(card["mapping"].items())),
        card.get("division", card["protocol"]),
        card.get("selected_on", "dev"),
    )


def _design(run: Record) -> tuple[Hashable, ...]:
    """Return task, model and cell: equal for runs that differ in their activation."""
    configuration = run.summary["configuration"]
    return (*_task(run), configuration["model"]["name"], configuration["cell"]["name"])


def _best(runs: Iterable[Record]) -> dict[Any, str]:
    by_dev = sorted(runs, key=lambda run: run.metrics.get("dev_ua") or 0.0)
    return {_task(run): run.key for run in by_dev}  # the last one stays


def _plain(runs: Iterable[Record]) -> dict[Any, str]:
    """Return the one run with tanh of each design that has several runs."""
    of_design: dict[Any, list[Record]] = {}
    for run in runs:
        of_design.setdefault(_design(run), []).append(run)
    found = {}
    for design, alike in of_design.items():
        tanh = [x for x in alike if x.summary["configuration"]["activation"]["name"] == "tanh"]
        if len(tanh) == 1 and len(alike) > 1:
            found[design] = tanh[0].key
    return found


def _shown(fact: Any) -> str:
    if isinstance(fact, tuple):
        return ", ".join(f"{emotion} → {label}" for emotion, label in fact)
    return str(fact)
