"""Export to TensorBoard: curves of every seed and fold, hyperparameters and final metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sercli.errors import RequestError
from sercli.reporting.export.run_export import RunExport, not_installed, run_export
from sercli.results.run_record import Record, is_record


def export_tensorboard(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write event files for ``tensorboard --logdir FOLDER``; replace those of earlier exports.

    Args:
        records: Runs after `sercli.results.seal.hide_sealed`.
        folder: The folder for ``<experiment>/<key>/<seed>/<fold>``.

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
        _write(run_export(record), home)
    return homes


def _write(found: RunExport, home: Path) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise not_installed("tensorboard", "tensorboard") from error
    for old in home.rglob("events.out.tfevents.*"):
        old.unlink()
    for part, curves in found.curves.items():
        with SummaryWriter(str(home / part)) as writer:
            for name, curve in curves.items():
                for step, value in curve:
                    writer.add_scalar(name, value, step)
    with SummaryWriter(str(home)) as writer:
        metrics = {f"final/{name}": value for name, value in found.metrics.items()}
        writer.add_hparams(dict(found.parameters), metrics, run_name=".")
