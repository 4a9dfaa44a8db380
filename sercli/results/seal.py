"""The seal of a search: test results of its trials stay hidden, the winner's excepted.

Whoever looks at the test results of many trials has selected on test, even without meaning to. So
they are taken out of the records of sealed runs before anything is made of these. `sercli report
--unseal` breaks the seal, which the sweep's summary records from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sercli.errors import SercliError
from sercli.results.run_record import Record
from sercli.results.sweep_summary import (
    SweepSummary,
    read_sweep,
    record_shown_winner,
    runs_apart,
    unseal_sweep,
)

SEALED = "sealed"
"""Set in the summary of a run without its test results."""

_KEPT = ("n", "seed", "fold", "step", "selected_step")
"""Metrics that do not depend on test, besides those of dev."""


def hide_sealed(
    records: Sequence[Record], *, unseal: bool = False
) -> tuple[list[Record], list[str]]:
    """Take the test results out of sealed runs.

    Runs of the folder that are not trials are not sealed. Showing a winner is recorded in the
    sweep's summary; a winner whose showing cannot be recorded stays sealed, and so do the runs of a
    sweep whose summary is damaged.

    Args:
        records: The runs.
        unseal: Break the seals first.

    Returns:
        The same runs, and a line about each sweep whose summary cannot be read.
    """
    lines: list[str] = []
    is_shown = {folder: _shown_keys(folder, unseal, lines) for folder in _folders(records)}
    found = [
        record if is_shown[record.path.parent](record.key) else _without_test(record)
        for record in records
    ]
    return found, lines


def shows_test(record: Record) -> bool:
    """Return True if a run has its test results.

    Args:
        record: A run after `hide_sealed`.
    """
    return not record.summary.get(SEALED, False)


def seal_warning(sealed: int, of: int) -> str:
    """Return the warning above a table with sealed runs; empty if none is."""
    if not sealed:
        return ""
    return (
        f"SEALED: {sealed} of {of} runs are trials of a search and have dev results only. To "
        "compare systems named beforehand, run the same sweep with --comparison and another "
        "experiment=: nothing is trained again. --unseal shows test here, and reports will say so."
    )


def _folders(records: Sequence[Record]) -> list[Path]:
    return list(dict.fromkeys(record.path.parent for record in records))


def _shown_keys(folder: Path, unseal: bool, lines: list[str]) -> Callable[[str], bool]:
    """Return a function that is True of the keys of runs whose test results may be shown."""
    try:
        summary = unseal_sweep(folder, "report --unseal") if unseal else read_sweep(folder)
    except SercliError as error:
        lines.append(str(error))
        return lambda key: False
    if summary is None or not summary.sealed:
        return lambda key: True
    shown = runs_apart(folder, summary)
    if summary.winner is not None and summary.complete and _recorded(folder, summary):
        shown.add(summary.winner)
    return shown.__contains__


def _recorded(folder: Path, summary: SweepSummary) -> bool:
    with suppress(OSError):
        record_shown_winner(folder, summary)
        return True
    return False


def _without_test(record: Record) -> Record:
    summary = {
        **{name: x for name, x in record.summary.items() if name != "listeners"},
        "metrics": _dev_metrics(record.metrics),
        "diverged": [_dev_metrics(each) for each in record.summary["diverged"]],
        SEALED: True,
    }
    return Record(record.path, summary)


def _dev_metrics(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics on dev, of the run and of its seeds and folds."""
    kept = {name: x for name, x in figures.items() if name in _KEPT or name.startswith("dev_")}
    for name in ("by_seed", "by_fold"):
        if name in figures:
            kept[name] = [_dev_metrics(each) for each in figures[name]]
    return kept
