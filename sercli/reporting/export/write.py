"""What a report leaves elsewhere: figures in a folder, runs in TensorBoard or MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sercli.reporting.report import Material


def write_elsewhere(
    material: Material, figures: Path | None, tensorboard: Path | None, mlflow: str | None
) -> Iterator[str]:
    """Draw and export the runs of a report.

    Args:
        material: What the report is made of.
        figures: A folder for figures.
        tensorboard: A folder for event files.
        mlflow: An MLflow store.

    Yields:
        A line about what was written where.

    Raises:
        RequestError: A package that is needed is not installed, or the store is none.
    """
    if figures is not None:
        from sercli.reporting.formats.html.document import save_figures

        paths = save_figures(material, figures)
        yield f"{len(paths)} files of figures: {figures}"
    if tensorboard is not None:
        from sercli.reporting.export.tensorboard import export_tensorboard

        folders = export_tensorboard(material.records, tensorboard)
        yield f"{len(folders)} runs for TensorBoard: {tensorboard}"
    if mlflow is not None:
        from sercli.reporting.export.mlflow import export_mlflow

        yield f"{len(export_mlflow(material.records, mlflow))} runs in MLflow"
