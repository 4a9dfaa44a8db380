"""The summary of a sweep: two files in the folder of its experiment, for reports.

    runs/<experiment>/sweep.json       the plan in short, the winner, when test was unsealed
    runs/<experiment>/trials.parquet   one row per trial: settings, state, dev UA

The states themselves lie in the sweep's storage, which may be on another machine; both files are
rewritten whenever a worker exits. As long as a sweep is sealed, no report shows test results of
any trial but the winner.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from pydantic import ConfigDict

from sercli.errors import RequestError, SercliError
from sercli.files import write_atomically, write_text
from sercli.untrusted import read_json, read_parquet
from sercli.validation import validate

FORMAT = 2
STATES = ("waiting", "running", "complete", "diverged", "pruned", "failed", "excluded")
"""States of a trial; ``complete`` and ``diverged`` have a run record."""

PARAMETER = "param/"
"""Prefix of the columns of swept settings in the table of trials."""


@dataclass(frozen=True)
class SweepSummary:
    """Summary of a sweep.

    Attributes:
        experiment: Its name.
        sampler: ``grid``, ``random``, ``qmc``, ``tpe``, ``gp`` or ``cmaes``.
        objectives: ``dev_ua``, which is maximised, and costs, which are minimised.
        pruner: Rule that stops trials early, if any.
        space: Swept key → its values as requested ("tanh,arelu", "interval(0,1)").
        seeds: Seeds of every trial.
        states: State → number of trials.
        winner: Key of the run with the best dev UA, once no trial waits or runs.
        front: Keys of the runs on the Pareto front, with several objectives.
        importance: Swept key → its share of importance for being among the best trials
            (PED-ANOVA), where it can be estimated.
        comparison: True if the trials are pre-registered systems: all of them are results, and no
            winner is selected.
        opened: Times at which test was unsealed for all trials, and by which command: ``time``,
            ``how``.
        shown: Keys of the winners whose test results were shown.
        apart: Keys of runs in the folder that were not trained as trials of the sweep.
        code: Version, commit and hash of the code that planned the trials.
        study: Id of the study, the same in its storage (`sercli.search.study.owner`).
        user: Name of the user who planned it first.
        storage: URL of the storage without its password; empty: ``study.db`` in the folder.
    """

    experiment: str
    sampler: str
    objectives: Sequence[str]
    pruner: str | None
    space: Mapping[str, str]
    seeds: Sequence[int]
    states: Mapping[str, int]
    winner: str | None = None
    front: Sequence[str] = ()
    importance: Mapping[str, float] | None = None
    comparison: bool = False
    opened: Sequence[Mapping[str, str]] = ()
    shown: Sequence[str] = ()
    apart: Sequence[str] = ()
    code: Mapping[str, Any] = field(default_factory=dict)
    study: str = ""
    user: str = ""
    storage: str = ""
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    @property
    def complete(self) -> bool:
        """True if no trial waits or runs."""
        return not self.states.get("waiting") and not self.states.get("running")

    @property
    def sealed(self) -> bool:
        """True if test results of all trials but the winner are hidden."""
        return not self.comparison and not self.opened

    @property
    def unrecorded(self) -> bool:
        """True if there is a winner whose test results were not shown."""
        winner = self.winner if self.complete and self.sealed else None
        return winner is not None and winner not in self.shown


def write_sweep(folder: Path, summary: SweepSummary, trials: pd.DataFrame) -> None:
    """Write the summary of a sweep; earlier ``opened``, ``shown`` and ``apart`` are kept.

    Args:
        folder: Folder of the experiment.
        summary: The summary.
        trials: One row per trial: ``number``, ``state`` (`STATES`), ``run`` (its key, or None),
            ``overrides`` (in one line), ``dev_ua`` (NaN where there is none), ``seconds`` of
            training, ``worker``, ``attempts``, ``cause`` of a failure, and a column
            `PARAMETER` + key for every swept setting.
    """
    before = read_sweep(folder)
    if before is not None:
        summary = replace(summary, opened=before.opened, shown=before.shown, apart=before.apart)
    write_atomically(folder / "trials.parquet", trials.to_parquet)
    _write(folder, summary)


def read_sweep(folder: Path) -> SweepSummary | None:
    """Read the summary of the sweep in an experiment's folder; None if there was no sweep.

    Raises:
        SercliError: It is damaged, or has another format.
    """
    path = folder / "sweep.json"
    if not path.is_file():
        return None
    try:
        content = read_json(path)
        version = content.pop("format")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SercliError(f"{path} cannot be read ({error!r}); remove or restore it") from error
    if version != FORMAT:
        raise SercliError(
            f"{path} has format {version}; this sercli reads {FORMAT}: run the sweep again in "
            "another experiment, or read it with the sercli that wrote it"
        )
    content["experiment"] = folder.name  # the folder may have been renamed
    try:
        return validate(
            SweepSummary, {name: _frozen(value) for name, value in content.items()}, f"{path}: "
        )
    except RequestError as error:
        raise SercliError(f"{error}; remove or restore it") from error


def find_sweep(folder: Path) -> SweepSummary | None:
    """Read the summary of a sweep; None if there is none or it cannot be read."""
    try:
        return read_sweep(folder)
    except SercliError:
        return None


def read_trials(folder: Path) -> pd.DataFrame:
    """Read the trials of the sweep in an experiment's folder (see `write_sweep`)."""
    return read_parquet(folder / "trials.parquet")


def settings_of(trial: Mapping[Any, Any]) -> str:
    """Return the swept settings of a trial in one line, else its overrides.

    Args:
        trial: A row of `read_trials` by the names of its columns.
    """
    return " ".join(swept_settings(trial)) or str(trial["overrides"])


def swept_settings(trial: Mapping[Any, Any]) -> list[str]:
    """Return the swept settings of a trial as ``key=value``, without those that it lacks.

    Args:
        trial: A row of `read_trials` by the names of its columns.

    >>> swept_settings({"number": 0, "param/arelu.alpha": 0.1, "param/cell": None})
    ['arelu.alpha=0.1']
    """
    swept = {
        str(name).removeprefix(PARAMETER): value
        for name, value in trial.items()
        if str(name).startswith(PARAMETER) and pd.notna(value)
    }
    return [setting_text(key, value) for key, value in swept.items()]


def setting_text(key: str, value: Any) -> str:
    """Return a setting as ``key=value``, a float with four digits."""
    return f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"


def unseal_sweep(folder: Path, how: str) -> SweepSummary | None:
    """Unseal a sweep, and record that in its summary.

    Args:
        folder: Folder of the experiment.
        how: The command, as in ``report --unseal``.
    """
    summary = read_sweep(folder)
    if summary is not None and summary.sealed:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        summary = replace(summary, opened=(*summary.opened, {"time": now, "how": how}))
        _write(folder, summary)
    return summary


def record_shown_winner(folder: Path, summary: SweepSummary) -> None:
    """Record that test results of the winner were shown; another winner is a second look."""
    if summary.winner is not None and summary.winner not in summary.shown:
        _write(folder, replace(summary, shown=(*summary.shown, summary.winner)))


def set_apart(folder: Path, keys: Iterable[str]) -> None:
    """Record that runs were not trained as trials of the sweep, so that they are not sealed.

    A run that is also a trial stays sealed.

    Args:
        folder: Folder of the experiment; without a sweep, nothing is recorded.
        keys: Keys of the runs.
    """
    summary = read_sweep(folder)
    new = set(keys) - set(summary.apart if summary else ())
    if summary is not None and new:
        _write(folder, replace(summary, apart=(*summary.apart, *sorted(new))))


def runs_apart(folder: Path, summary: SweepSummary) -> set[str]:
    """Return the keys that `set_apart` recorded, without those of trials."""
    if not summary.apart:
        return set()
    return set(summary.apart) - set(read_trials(folder)["run"].dropna())


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _write(folder: Path, summary: SweepSummary) -> None:
    content = {"format": FORMAT, **asdict(summary)}
    write_text(folder / "sweep.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
