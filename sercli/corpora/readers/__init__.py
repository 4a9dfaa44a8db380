"""Readers: one module per layout of a corpus on disk.

A reader takes the configuration of the dataset and the root of the corpus, and returns the
manifest. It lists every file or line that it cannot use as a `Refusal`; it raises a
`RequestError` only if the root does not hold such a corpus at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Refusal, Row, build_manifest
from sercli.errors import RequestError
from sercli.progress import Progress
from sercli.registry import Registry
from sercli.validation import StrictModel, validate

Options = TypeVar("Options", bound=StrictModel)
Reader = Callable[[DatasetConfig, Path, Progress], Manifest]

READERS: Registry[Reader] = Registry("reader", "sercli.corpora.readers")


class NoOptions(StrictModel):
    """Options of a reader that needs only the root."""


def dataset_manifest(
    dataset: DatasetConfig, rows: Iterable[Row], refused: Iterable[Refusal]
) -> Manifest:
    """Build the manifest of ``dataset`` from the rows and refusals of its reader."""
    return build_manifest(dataset.name, rows, dataset.classes, refused, synthetic=dataset.synthetic)


def reader_options(dataset: DatasetConfig, schema: type[Options]) -> Options:
    """Validate ``dataset.options`` against the model that the reader declares.

    Raises:
        RequestError: An option is not one of the reader's, or has the wrong type.
    """
    if dataset.options and not schema.model_fields:
        raise RequestError(
            f"dataset.options.{next(iter(dataset.options))}: the reader '{dataset.reader}' "
            "has no options"
        )
    return validate(schema, dataset.options, "dataset.options.")
