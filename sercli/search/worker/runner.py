"""The runner of trials: keeps corpus and processes from one trial to the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from sercli.config.run_key import corpus_settings, rating_settings
from sercli.config.schema import Config
from sercli.errors import Interrupted
from sercli.features.copies import audio_settings
from sercli.models import reads_dialogues
from sercli.progress import Progress
from sercli.training.data import Data, read_data
from sercli.training.fold_pool import FoldPool, pool_size
from sercli.training.run import OnFoldFinished, train_run
from sercli.training.validate import ValidatedRun, check_settings, validate_run


@dataclass(frozen=True)
class TrialResult:
    """The result of training a trial.

    Attributes:
        run: Key of the record.
        dev_ua: UA on dev; None if a seed diverged.
        seconds: Training time.
        fold_runs: Number of fold runs.
        new: False if a record was found and nothing was trained.
    """

    run: str
    dev_ua: float | None
    seconds: float
    fold_runs: int = 0
    new: bool = True


class Runner(Protocol):
    """The part of `TrialRunner` that a worker uses; a benchmark has one that trains nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...

    def train(
        self, config: Config, finished: OnFoldFinished, origin: Mapping[str, Any] | None
    ) -> TrialResult: ...

    def check(self, config: Config) -> str: ...

    def parameters(self, config: Config) -> int: ...

    def cancel(self) -> None: ...


def data_settings(config: Config) -> str:
    """Return a digest of the settings that decide which data are read, wherever they lie."""
    dataset = corpus_settings(asdict(config.dataset))
    others = audio_settings(config.augment), rating_settings(config)
    read = [dataset, asdict(config.features), *filter(None, others)]
    if config.streams:
        read.append({name: asdict(each) for name, each in config.streams.items()})
    if reads_dialogues(config.model):
        read.append({"reads": "dialogues"})
    content = json.dumps(read, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class TrialRunner:
    """Reads the corpora of trials and trains them; a context manager.

    Args:
        workers: Processes that extract features and train folds; None: one per core, on a GPU one.
        progress: Shows bars and notes.
    """

    def __init__(self, workers: int | None, progress: Progress) -> None:
        self._workers = workers
        self._progress = progress
        self._pools = ExitStack()
        self._settings: Any = None
        self._data: Data
        self._pool: FoldPool | None = None
        self._run: tuple[Config, ValidatedRun] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """Close the fold pool; at an error, without waiting for its folds. The data stay."""
        self._pools.__exit__(*error)
        self._pool = None

    def cancel(self) -> None:
        """Stop the fold pool at once, in the middle of its folds."""
        self._pools.__exit__(Interrupted, None, None)
        self._settings = self._pool = None

    def check(self, config: Config) -> str:
        """Return the fingerprint of a configuration's data; refuse what cannot be trained.

        Raises:
            RequestError: The configuration is invalid.
        """
        return self._validated(config).data.fingerprint

    def parameters(self, config: Config) -> int:
        """Return the number of learned parameters of a configuration's model."""
        return self._validated(config).parameters

    def train(
        self,
        config: Config,
        finished: OnFoldFinished = lambda dev_uas, fold_runs: None,
        origin: Mapping[str, Any] | None = None,
    ) -> TrialResult:
        """Train a configuration, or find its record (`sercli.training.run.train_run`)."""
        run = self._validated(config)
        if self._pool is None:
            size = pool_size(config, self._workers)
            self._pool = self._pools.enter_context(FoldPool(run.data, size))
        record, new = train_run(
            run, self._pool, progress=self._progress, finished=finished, origin=origin
        )
        converged = record.status == "complete"  # the mean of the other seeds is no result
        seconds = float(record.environment().get("seconds", 0.0))
        dev_ua = record.metrics["dev_ua"] if converged else None
        fold_runs = len(run.folds) * len(config.seeds)
        return TrialResult(record.key, dev_ua, seconds, fold_runs, new)

    def _validated(self, config: Config) -> ValidatedRun:
        """Validate a configuration once for all that is done with it."""
        data = self._read(config)
        if self._run is None or self._run[0] != config or self._run[1].data is not data:
            self._run = config, validate_run(config, data)
        return self._run[1]

    def _read(self, config: Config) -> Data:
        settings = data_settings(config), asdict(config.dataset), asdict(config.paths)
        if settings != self._settings:
            self._pools.close()
            self._pool = None
            check_settings(config)
            size = pool_size(config, self._workers)
            self._data = read_data(config, workers=size, progress=self._progress)
            self._settings = settings
        return self._data
