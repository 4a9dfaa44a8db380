"""Read the corpus of a configuration."""

from __future__ import annotations

from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.errors import RequestError
from sercli.progress import SILENT, Progress


def read_corpus(dataset: DatasetConfig, progress: Progress = SILENT) -> Manifest:
    """Read the corpus under ``dataset.root`` with the reader ``dataset.reader``.

    Returns:
        The manifest, with absolute audio paths.

    Raises:
        RequestError: The reader is unknown; the root is not set, missing or empty, or has
            another layout; or no utterance belongs to a class of the task.
    """
    reader = READERS[dataset.reader]
    root = _root(dataset)
    if not (dataset.synthetic or dataset.reader == "audb"):  # generated or downloaded on first use
        _check_not_empty(root, f"dataset.root={dataset.root}")
    manifest = reader(dataset, root, progress)
    if manifest.targets.empty:
        raise RequestError(_no_target(manifest, dataset))
    return manifest


def _root(dataset: DatasetConfig) -> Path:
    if not dataset.root:
        raise RequestError(
            f"{dataset.name}: the folder of the corpus is not set; use dataset.root=PATH"
        )
    return Path(dataset.root).expanduser().absolute()


def _check_not_empty(root: Path, setting: str) -> None:
    try:
        empty = not any(root.iterdir()) if root.is_dir() else root.stat().st_size == 0
    except FileNotFoundError as error:
        raise RequestError(f"{setting}: no such file or directory") from error
    except OSError as error:
        raise RequestError(f"{setting}: cannot be read ({error.strerror})") from error
    if empty:
        raise RequestError(f"{setting}: is empty")


def _no_target(manifest: Manifest, dataset: DatasetConfig) -> str:
    there = ", ".join(sorted(manifest.table["emotion"].unique()))
    wanted = ", ".join(dataset.classes) or "none"
    return (
        f"{dataset.name}: no utterance has an emotion that dataset.classes maps to a class "
        f"({wanted}). Emotions found: {there}"
    )
