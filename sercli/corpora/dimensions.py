"""Dimensional labels: valence, arousal and dominance of an utterance as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Dimensions, Manifest
from sercli.errors import RequestError, counted

MOST_OUTSIDE = 0.01
"""Largest share of targets with a label outside ``dataset.scale`` (our choice: a mean over raters
may be mistyped, a scale should not be)."""


def with_dimensions(manifest: Manifest, dataset: DatasetConfig) -> Manifest:
    """Make the dimensions of a corpus its task in place of the classes.

    Utterances that state all of ``dataset.dimensions`` become the targets, whatever their emotion.

    Raises:
        RequestError: The corpus does not state a dimension, no utterance states all, or more
            labels than `MOST_OUTSIDE` are outside ``dataset.scale``.
    """
    names = tuple(dataset.dimensions)
    for name in names:
        if manifest.table[name].isna().all():
            raise RequestError(
                f"dataset.dimensions: {manifest.dataset} has no labels of {name}; use IEMOCAP, "
                "MSP-Podcast, or a manifest with that column"
            )
    low, high = dataset.scale
    task = replace(
        manifest,
        table=manifest.table.assign(label=None).astype({"label": "str"}),
        classes=(),
        ratings=manifest.ratings[:0],
        dimensions=Dimensions(names, low, high),
    )
    targets = task.targets
    if targets.empty:
        raise RequestError(f"{manifest.dataset}: no utterance has labels of {' and '.join(names)}")
    for name in names:
        outside = targets[(targets[name] < low) | (targets[name] > high)]
        if len(outside) > MOST_OUTSIDE * len(targets):
            first = outside.iloc[0]
            raise RequestError(
                f"dataset.scale=[{low:g},{high:g}]: {name} of {counted(len(outside), 'utterance')} "
                f"is outside it, e.g. {first[name]:g} of {first['utterance']}; set the scale of "
                "the labels"
            )
    return task


def left_out(manifest: Manifest) -> Iterator[str]:
    """Yield a line that counts the turns without the dimensions of the task, if there are any."""
    if manifest.dimensions is not None and (n := len(manifest.table) - len(manifest.targets)):
        names = ", ".join(manifest.dimensions.names)
        yield f"{n} of {len(manifest.table)} turns lack a label of {names} and are left out"


def labels_of(manifest: Manifest) -> npt.NDArray[np.float64]:
    """Return the labels of the targets on the scale of the corpus, (targets, dimensions)."""
    assert manifest.dimensions is not None
    return manifest.targets[list(manifest.dimensions.names)].to_numpy(np.float64)
