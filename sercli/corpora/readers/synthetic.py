"""The synthetic corpus: generated on first use, then read like the IEMOCAP that it imitates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS, reader_options
from sercli.corpora.readers.iemocap import read_iemocap
from sercli.progress import Progress
from sercli.validation import StrictModel


class SyntheticOptions(StrictModel):
    """Options of the synthetic corpus.

    Attributes:
        seed: Seed of the generator; another seed is another corpus.
    """

    seed: int = 0


@READERS.register("synthetic")
def read_synthetic(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Generate the corpus under ``root`` unless it is there, and read it."""
    from sercli.corpora.synthetic import ensure  # slow import: SciPy

    ensure(root, reader_options(dataset, SyntheticOptions).seed, progress=progress)
    return read_iemocap(replace(dataset, synthetic=True, options={}), root, progress)
