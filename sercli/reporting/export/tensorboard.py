"""Records for TensorBoard: curves of every seed and fold, settings beside final metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sercli.errors import RequestError
from sercli.reporting.export.facts import Facts, facts, lacking
from sercli.results.run_record import Record, is_record


def export_tensorboard(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write event files that ``tensorboard --logdir FOLDER`` shows.

    What an earlier export wrote of the same run gives way.

    Args:
        records: Runs that went through `sercli.results.seal.hide_sealed`.
        folder: Gets a folder ``<experiment>/<key>`` for each run, with one for each seed and fold.

    Returns:
        The folders of the runs.

    Raises:
        RequestError: TensorBoard is not installed, or the folder is that of the records.
        SercliError: The history of a record is missing or damaged.
    """
    homes = [folder / record.experiment / record.key for record in records]
    if any(map(is_record, homes)):
        raise RequestError(f"{folder} holds the records themselves; name another folder")
    for record, home in zip(records, homes, strict=True):
        _write(facts(record), home)
    return homes


def _write(found: Facts, home: Path) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise lacking("tensorboard", "tensorboard") from error
    for old in home.rglob("events.out.tfevents.*"):
        old.unlink()
    for unit, curves in found.curves.items():
        with SummaryWriter(str(home / unit)) as writer:
            for name, curve in curves.items():
                for step, value in curve:
                    writer.add_scalar(name, value, step)
    with SummaryWriter(str(home)) as writer:
        figures = {f"final/{name}": value for name, value in found.figures.items()}
        writer.add_hparams(dict(found.parameters), figures, run_name=".")
