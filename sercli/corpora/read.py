"""Read the corpus of a configuration."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.dimensions import with_dimensions
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS
from sercli.corpora.several import read_several
from sercli.errors import RequestError, close
from sercli.files import absolute
from sercli.progress import SILENT, Progress


def read_corpus(dataset: DatasetConfig, progress: Progress = SILENT) -> Manifest:
    """Read the corpus under ``dataset.root`` with the reader ``dataset.reader``.

    Several corpora (``dataset.parts``) are read into one manifest (`sercli.corpora.several`).

    Returns:
        The manifest, with absolute audio paths.

    Raises:
        RequestError: The reader is unknown; the root is not set, missing or empty, or has
            another layout; no utterance belongs to a class of the task; or ``dataset.classes``
            names an emotion that no utterance has, although it resembles an emotion without a
            class, or the user wrote the classes (reader ``manifest``), there is one without a
            class, and no row was refused; or the corpus does not state ``dataset.dimensions``.
            Otherwise a table may have a part of the emotions, and a note says which are missing.
    """
    if dataset.parts:
        return read_several(dataset, partial(read_corpus, progress=progress))
    reader = READERS[dataset.reader]
    root = _root(dataset)
    if not (dataset.synthetic or dataset.reader == "audb"):  # generated or downloaded on first use
        _check_not_empty(root, f"dataset.root={dataset.root}")
    manifest = reader(dataset, root, progress)
    if dataset.dimensions:
        return with_dimensions(manifest, dataset)
    if manifest.targets.empty:
        raise RequestError(_no_target(manifest, dataset))
    _check_classes(manifest, dataset, progress)
    return manifest


def _root(dataset: DatasetConfig) -> Path:
    if not dataset.root:
        raise RequestError(
            f"{dataset.name}: the folder of the corpus is not set; use dataset.root=PATH"
        )
    return absolute(dataset.root)


def _check_not_empty(root: Path, setting: str) -> None:
    try:
        empty = not any(root.iterdir()) if root.is_dir() else root.stat().st_size == 0
    except FileNotFoundError as error:
        raise RequestError(f"{setting}: no such file or directory") from error
    except OSError as error:
        raise RequestError(f"{setting}: cannot be read ({error.strerror})") from error
    if empty:
        raise RequestError(f"{setting}: is empty")


def _check_classes(manifest: Manifest, dataset: DatasetConfig, progress: Progress) -> None:
    emotions = set(manifest.table["emotion"].unique())
    unused = emotions - set(dataset.classes)
    written = dataset.reader == "manifest"
    for code in dataset.classes:
        if code in emotions:
            continue
        meant = close(code, unused)
        text = (
            f"dataset.classes: no utterance has the emotion '{code}'."
            + (f" Did you mean '{meant}'?" if meant else "")
            + f" Emotions found: {', '.join(sorted(emotions))}"
        )
        if meant or (written and unused and not manifest.refused):
            raise RequestError(text)
        if written:
            progress.note(text)


def _no_target(manifest: Manifest, dataset: DatasetConfig) -> str:
    there = ", ".join(sorted(manifest.table["emotion"].unique()))
    wanted = ", ".join(dataset.classes) or "none"
    return (
        f"{dataset.name}: no utterance has an emotion that dataset.classes maps to a class "
        f"({wanted}). Emotions found: {there}"
    )
