"""A report: records and published results in one of several forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType

from sercli.errors import RequestError
from sercli.reporting import formats, parameters
from sercli.reporting.find import find
from sercli.reporting.rows import comparisons, published_rows, run_rows
from sercli.results.baselines import read_baselines


@dataclass(frozen=True)
class Report:
    """A report and what had to be left out of it."""

    content: str | RenderableType
    damaged: tuple[str, ...]


def make_report(names: Sequence[str], runs: Path, form: str) -> Report:
    """Report experiments and runs beside the published baselines.

    Args:
        names: Experiments, keys or folders of runs; none means all experiments.
        runs: Where the experiments lie.
        form: ``table``, ``markdown``, ``csv`` or ``json``.

    Raises:
        RequestError: A name is unknown, or there is no run.
    """
    records, damaged = find(names, runs)
    baselines = read_baselines()
    own = run_rows(records, baselines)
    rows = own + published_rows(baselines, records)
    compared = comparisons(own, baselines)
    return Report(formats.FORMS[form](rows, compared), tuple(damaged))


def report_parameters(names: Sequence[str], runs: Path, form: str) -> Report:
    """Report where the learned parameters of activations went.

    Args:
        names: Experiments, keys or folders of runs; none means all experiments.
        runs: Where the experiments lie.
        form: ``table``, ``markdown``, ``csv`` or ``json``.

    Raises:
        RequestError: A name is unknown, there is no run, or none has an activation that learns.
    """
    records, damaged = find(names, runs)
    rows = parameters.parameter_rows(records)
    if not rows:
        raise RequestError(
            "no activation of these runs learns anything; one that does is activation=arelu"
        )
    return Report(parameters.FORMS[form](rows), tuple(damaged))
