"""The seal of a search: of all its points but the winner, nothing shows what they gave on test.

Whoever looks at the test figures of many points has chosen by them, even without wanting to. So a
sealed run is reported without them: they are taken out of its page before anything is made of
it. `sercli report --unseal` breaks the seal, which the sweep's page says from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sercli.errors import SercliError
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary, read_sweep, record_shown_winner, unseal_sweep

SEALED = "sealed"
"""Set in the page of a run whose test figures were taken out."""

_KEPT = ("n", "seed", "fold", "selected_step")
"""Metrics that test has no part in, besides those of dev."""


def keep_sealed(
    records: Sequence[Record], *, opening: bool = False
) -> tuple[list[Record], list[str]]:
    """Take what must not be seen out of the pages of sealed runs.

    A winner that is shown is noted in the sweep's page; one that cannot be noted there stays
    sealed. So do the runs of a sweep whose page is damaged.

    Args:
        records: The runs.
        opening: Break the seals first.

    Returns:
        The same runs, and a line about each sweep whose page cannot be read.
    """
    lines: list[str] = []
    may_be_shown = {folder: _seal(folder, opening, lines) for folder in _folders(records)}
    found = [
        record if may_be_shown[record.path.parent](record.key) else _without_test(record)
        for record in records
    ]
    return found, lines


def shows_test(record: Record) -> bool:
    """Whether what a run gave on test may be shown.

    Args:
        record: A run that went through `keep_sealed`.
    """
    return not record.summary.get(SEALED, False)


def seal_warning(sealed: int, of: int) -> str:
    """Say how many of the runs of a table are sealed, and how to open them; nothing for none."""
    if not sealed:
        return ""
    return (
        f"SEALED: {sealed} of {of} runs are points of a search and show dev alone; "
        "--unseal shows test, and the search's page will say so."
    )


def _folders(records: Sequence[Record]) -> list[Path]:
    return list(dict.fromkeys(record.path.parent for record in records))


def _seal(folder: Path, opening: bool, lines: list[str]) -> Callable[[str], bool]:
    """Return what says of a run's key whether its test figures may be shown."""
    try:
        summary = unseal_sweep(folder, "report --unseal") if opening else read_sweep(folder)
    except SercliError as error:
        lines.append(str(error))
        return lambda key: False
    if summary is None or not summary.sealed:
        return lambda key: True
    shown = summary.winner if summary.complete and _noted(folder, summary) else None
    return lambda key: key == shown


def _noted(folder: Path, summary: SweepSummary) -> bool:
    with suppress(OSError):
        record_shown_winner(folder, summary)
        return True
    return False


def _without_test(record: Record) -> Record:
    summary = {**record.summary, "metrics": _of_dev(record.metrics), SEALED: True}
    return Record(record.path, summary)


def _of_dev(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that were measured on dev, of the run and of its seeds and folds."""
    kept = {name: x for name, x in figures.items() if name in _KEPT or name.startswith("dev_")}
    for name in ("by_seed", "by_fold"):
        if name in figures:
            kept[name] = [_of_dev(each) for each in figures[name]]
    return kept
