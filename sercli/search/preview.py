"""Preview of a sweep: its trials, and the fold runs that are not recorded yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sercli.config.run_key import result_relevant
from sercli.config.schema import Config
from sercli.corpora.read import read_corpus
from sercli.errors import SercliError
from sercli.results.experiments import experiment_folders
from sercli.results.run_record import find_records, read_record
from sercli.search.plan.plan import Plan
from sercli.search.study.study import NoStudyError, Study
from sercli.training.folds import make_folds


@dataclass(frozen=True)
class PlannedTrial:
    """A trial of a grid that is not run yet.

    Attributes:
        settings: Its swept settings in one line.
        fold_runs: Number of fold runs, of all seeds.
        record: Experiment and key of a record of the same settings, or None.
    """

    settings: str
    fold_runs: int
    record: str | None


@dataclass(frozen=True)
class Preview:
    """The trials of a plan.

    Attributes:
        experiment: Name of the experiment.
        sampler: Name of the sampler.
        trials: Number of trials.
        new_trials: Number of trials without a record; with a sampler, of trials not finished yet.
        fold_runs: Number of fold runs of all trials.
        new_fold_runs: Number of fold runs to train.
        listed: The trials of a grid; none of a sampler, which proposes them one by one.
    """

    experiment: str
    sampler: str
    trials: int
    new_trials: int
    fold_runs: int
    new_fold_runs: int
    listed: tuple[PlannedTrial, ...]


def preview(plan: Plan, storage: str | None = None) -> Preview:
    """Return the trials of a plan and the work that is left.

    The corpus is read, its features are not: a record of the same settings counts as the trial's
    even if the data have changed since. Finished folds of stopped trials count as new.

    Args:
        plan: The plan.
        storage: URL of the study's database.

    Raises:
        RequestError: The corpus is missing or does not fit the protocol.
    """
    configs = [plan.space.thaw(point) for point in plan.points or plan.space.samples()]
    folds = _Folds()
    if not plan.points:
        each, trials = folds.runs(configs[0]), plan.trials or 0
        left = max(0, trials - _existing(plan, configs[0], storage))
        numbers = trials, left, trials * each, left * each
        return Preview(plan.experiment, plan.sampler, *numbers, ())
    known = dict(_records(Path(configs[0].paths.runs)))
    listed = tuple(
        PlannedTrial(
            " ".join(f"{key}={value}" for key, value in point.parameters.items()),
            folds.runs(config),
            known.get(_settings(config)),
        )
        for point, config in zip(plan.points, configs, strict=True)
    )
    new = [trial for trial in listed if trial.record is None]
    total, left = (sum(trial.fold_runs for trial in some) for some in (listed, new))
    numbers = len(listed), len(new), total, left
    return Preview(plan.experiment, plan.sampler, *numbers, listed)


class _Folds:
    """Counts fold runs; the folds of a corpus and protocol are made once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def runs(self, config: Config) -> int:
        key = json.dumps([asdict(config.dataset), asdict(config.protocol)], sort_keys=True)
        if key not in self._known:
            self._known[key] = len(make_folds(read_corpus(config.dataset), config.protocol))
        return self._known[key] * len(config.seeds)


def _existing(plan: Plan, config: Config, storage: str | None) -> int:
    """Return the number of trials that a search has finished."""
    try:
        study = Study(plan.experiment, Path(config.paths.runs), storage, read_only=True)
    except NoStudyError:
        return 0
    states = study.summarize()[0].states
    return sum(states[name] for name in ("complete", "diverged", "pruned"))


def _records(runs: Path) -> Iterator[tuple[str, str]]:
    """Yield the settings of every record, and its experiment and key."""
    for folder in experiment_folders(runs):
        for path in find_records(folder):
            try:
                settings = read_record(path).summary["configuration"]
            except (SercliError, KeyError):
                continue
            yield json.dumps(settings, sort_keys=True), f"{folder.name}/{path.name}"


def _settings(config: Config) -> str:
    return json.dumps(result_relevant(config), sort_keys=True)
