"""The readers: one module per layout of a corpus on disk.

A reader takes the configuration of the dataset and the root of the corpus, and returns the
manifest. What it cannot use it lists as a `Refusal` and goes on; it raises a `RequestError`
only where the root does not hold such a corpus at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.progress import Progress
from sercli.registry import Registry

Reader = Callable[[DatasetConfig, Path, Progress], Manifest]

READERS: Registry[Reader] = Registry("reader", "sercli.corpora.readers")
