"""What trains points one after the other: the data and the pool stay as long as they fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from sercli.config.schema import Config
from sercli.errors import Interrupted
from sercli.progress import Progress
from sercli.training.data import Data, read_data
from sercli.training.fold_pool import FoldPool, pool_size
from sercli.training.run import Watching, train_run
from sercli.training.trainer import new_model

_ELSEWHERE = ("root", "expected")
"""Settings of a corpus that do not say what is read."""


@dataclass(frozen=True)
class TrialResult:
    """What training a point gave.

    Attributes:
        run: Key of the record.
        dev_ua: UA on dev; None where a seed diverged.
        seconds: How long training took.
    """

    run: str
    dev_ua: float | None
    seconds: float


class Runner(Protocol):
    """What a worker needs of a `TrialRunner`; a benchmark brings one that trains nothing."""

    def __enter__(self) -> Self:
        """Open."""

    def __exit__(self, *error: Any) -> None:
        """Close."""

    def train(
        self, config: Config, finished: Watching, origin: Mapping[str, Any] | None
    ) -> TrialResult:
        """Train a run, or find it."""

    def check(self, config: Config) -> str:
        """Refuse a configuration that makes no sense; return the fingerprint of its data."""

    def parameters(self, config: Config) -> int:
        """Count the numbers that a model learns."""

    def cancel(self) -> None:
        """Stop in the midst of it."""


def data_name(config: Config) -> str:
    """Name the settings that say which data a configuration reads, wherever they lie."""
    dataset = {k: v for k, v in asdict(config.dataset).items() if not k.startswith(_ELSEWHERE)}
    content = json.dumps([dataset, asdict(config.features)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class TrialRunner:
    """Reads what configurations need and trains them; a context manager.

    Args:
        fold_workers: Processes that extract features and train folds; None: one per core, on a
            GPU one.
        progress: Where bars and notes go.
    """

    def __init__(self, fold_workers: int | None, progress: Progress) -> None:
        self._size = fold_workers
        self._progress = progress
        self._pools = ExitStack()
        self._settings: Any = None
        self._data: Data
        self._pool: FoldPool | None = None

    def __enter__(self) -> Self:
        """Nothing is read before it is needed."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Shut the pool down; at an error, without waiting for its folds. The data stay."""
        self._pools.__exit__(*error)
        self._pool = None

    def cancel(self) -> None:
        """Stop the pool in the midst of its folds."""
        self._pools.__exit__(Interrupted, None, None)
        self._settings = self._pool = None

    def check(self, config: Config) -> str:
        """Build the model of a configuration, and return the fingerprint of its data.

        Raises:
            RequestError: The configuration makes no sense.
        """
        data = self._read(config)
        new_model(config, data)
        return data.fingerprint

    def parameters(self, config: Config) -> int:
        """Count the numbers that a model learns."""
        model = new_model(config, self._read(config))
        return sum(each.numel() for each in model.parameters() if each.requires_grad)

    def train(
        self,
        config: Config,
        finished: Watching = lambda dev_uas, units: None,
        origin: Mapping[str, Any] | None = None,
    ) -> TrialResult:
        """Train a run, or find it (`sercli.training.run.train_run`)."""
        data = self._read(config)
        if self._pool is None:
            size = pool_size(config, self._size)
            self._pool = self._pools.enter_context(FoldPool(data, size))
        record, _ = train_run(
            config, data, self._pool, progress=self._progress, finished=finished, origin=origin
        )
        whole = record.status == "complete"  # a seed that is left over is no answer
        seconds = float(record.environment().get("seconds", 0.0))
        return TrialResult(record.key, record.metrics["dev_ua"] if whole else None, seconds)

    def _read(self, config: Config) -> Data:
        settings = asdict(config.dataset), asdict(config.features), asdict(config.paths)
        if settings != self._settings:
            self._pools.close()
            self._pool = None
            size = pool_size(config, self._size)
            self._data = read_data(config, workers=size, progress=self._progress)
            self._settings = settings
        return self._data
