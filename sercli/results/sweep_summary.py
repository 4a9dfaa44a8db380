"""What a sweep left behind for a report: a page and a table in the folder of its experiment.

    runs/<experiment>/sweep.json       the plan in short, the winner, what was seen of test
    runs/<experiment>/trials.parquet   one row per point: settings, state, dev UA

The states themselves lie in the sweep's storage, which may be far away; these two files are
written again whenever a worker leaves. As long as a sweep is sealed, nothing shows what its points
but the winner gave on test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from pydantic import ConfigDict

from sercli.errors import RequestError, SercliError
from sercli.files import write_atomically, write_text
from sercli.validation import validate

FORMAT = 2
STATES = ("waiting", "running", "complete", "diverged", "pruned", "failed", "excluded")
"""What can have become of a point; ``complete`` and ``diverged`` have a run record."""

PARAMETER = "param/"
"""Before the key of a swept setting in the names of the columns of trials."""


@dataclass(frozen=True)
class SweepSummary:
    """A sweep in short.

    Attributes:
        experiment: Its name.
        sampler: ``grid``, ``random``, ``qmc``, ``tpe``, ``gp`` or ``cmaes``.
        objectives: What it maximises: ``dev_ua``, and perhaps the least of a cost.
        pruner: What stops points early, if anything does.
        space: Swept key → its values as they were asked for ("tanh,arelu", "interval(0,1)").
        seeds: Seeds of every point.
        states: State → number of trials.
        winner: Key of the run with the best dev UA, once nothing waits or runs.
        front: Keys of the runs that no other one beats in every objective, if there are several.
        importance: Swept key → how much it decides whether a point is among the best (PED-ANOVA),
            as a share, where it can be told.
        comparison: Whether the plan compares systems that were named before, so that all of them
            are results and none is chosen.
        opened: When and how test was opened for all points: ``time``, ``how``.
        shown: Keys of the winners whose test figures were shown.
        code: What computed the points as it was when they were planned.
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
    code: Mapping[str, Any] = field(default_factory=dict)
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    @property
    def complete(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.states.get("waiting") and not self.states.get("running")

    @property
    def sealed(self) -> bool:
        """Whether test figures of all points but the winner are kept from sight."""
        return not self.comparison and not self.opened


def write_sweep(folder: Path, summary: SweepSummary, trials: pd.DataFrame) -> None:
    """Write what is known of a sweep; what was opened or shown before stays so.

    Args:
        folder: Folder of the experiment.
        summary: The page.
        trials: One row per point: ``number``, ``state`` (`STATES`), ``run`` (its key, or None),
            ``overrides`` (in one line), ``dev_ua`` (NaN where there is none), ``seconds`` of
            training, ``worker``, ``attempts``, ``cause`` of a failure, and a column
            `PARAMETER` + key for every swept setting.
    """
    before = read_sweep(folder)
    if before is not None:
        summary = replace(summary, opened=before.opened, shown=before.shown)
    write_atomically(folder / "trials.parquet", trials.to_parquet)
    _write(folder, summary)


def read_sweep(folder: Path) -> SweepSummary | None:
    """Read the page of the sweep in an experiment's folder; None where there was no sweep.

    Raises:
        SercliError: It is damaged, or has another version of the form.
    """
    path = folder / "sweep.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SercliError(f"{path} cannot be read ({error!r}); remove or restore it") from error
    if version != FORMAT:
        raise SercliError(
            f"{path} has format {version}; this sercli reads {FORMAT}: run the sweep again in "
            "another experiment, or read it with the sercli that wrote it"
        )
    try:
        return validate(
            SweepSummary, {name: _frozen(value) for name, value in content.items()}, f"{path}: "
        )
    except RequestError as error:
        raise SercliError(f"{error}; remove or restore it") from error


def read_trials(folder: Path) -> pd.DataFrame:
    """Read the points of the sweep in an experiment's folder (see `write_sweep`)."""
    return pd.read_parquet(folder / "trials.parquet")


def settings_of(point: Mapping[Any, Any]) -> str:
    """Say what makes a point differ from the others: its swept settings, else its overrides.

    Args:
        point: A row of `read_trials` by the names of its columns.
    """
    swept = {
        str(name).removeprefix(PARAMETER): value
        for name, value in point.items()
        if str(name).startswith(PARAMETER) and pd.notna(value)
    }
    words = (f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
             for key, value in swept.items())  # fmt: skip
    return " ".join(words) or str(point["overrides"])


def unseal_sweep(folder: Path, how: str) -> SweepSummary | None:
    """Break the seal of a sweep, which its page says from now on.

    Args:
        folder: Folder of the experiment.
        how: What opened it, as in ``report --unseal``.
    """
    summary = read_sweep(folder)
    if summary is not None and summary.sealed:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        summary = replace(summary, opened=(*summary.opened, {"time": now, "how": how}))
        _write(folder, summary)
    return summary


def record_shown_winner(folder: Path, summary: SweepSummary) -> None:
    """Note that the test figures of the winner were shown: a later winner is then a second look."""
    if summary.winner is not None and summary.winner not in summary.shown:
        _write(folder, replace(summary, shown=(*summary.shown, summary.winner)))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _write(folder: Path, summary: SweepSummary) -> None:
    content = {"format": FORMAT, **asdict(summary)}
    write_text(folder / "sweep.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
