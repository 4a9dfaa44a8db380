"""Load what a report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sercli.reporting.views.dimensions import has_dimensions
from sercli.reporting.views.sweep import Sweep, read_sweeps
from sercli.results.baselines import Baseline, known_baselines
from sercli.results.find import find_runs
from sercli.results.run_record import Record
from sercli.results.seal import hide_sealed


@dataclass(frozen=True)
class ReportRequest:
    """A report to make.

    Attributes:
        names: Experiments, keys or folders of runs; none means all experiments.
        runs: The folder of the experiments.
        format_name: ``table``, ``markdown``, ``latex``, ``csv``, ``json`` or ``html``.
        plain: Write no colours: the text goes to a file.
        rows: The setting whose values are the rows of a table of UA
            (`sercli.reporting.views.pivot`); the HTML page puts it first.
        columns: The setting whose values are its columns.
        table1: Compare with Table 1 of the AR-GRU paper instead.
        parameters: Show the learned parameters of activations instead.
        diagnostics: Show errors by subgroup, class and utterance instead.
        against: Key or name of the run to test all others against; see
            `sercli.reporting.views.significance.find_differences`.
        baselines: A YAML file of further published results.
        unseal: Break the seals of the searches that the runs are trials of.
        figures: A folder to save figures in.
        tensorboard: A folder to write TensorBoard event files to.
        mlflow: An MLflow store to log the runs to.
    """

    names: Sequence[str]
    runs: Path
    format_name: str = "table"
    plain: bool = False
    rows: str | None = None
    columns: str | None = None
    table1: bool = False
    parameters: bool = False
    diagnostics: bool = False
    against: str | None = None
    baselines: Path | None = None
    unseal: bool = False
    figures: Path | None = None
    tensorboard: Path | None = None
    mlflow: str | None = None


@dataclass(frozen=True)
class ReportData:
    """The content of a report.

    Attributes:
        records: The runs on classes; sealed ones have no test results.
        sweeps: Summary and trials of the sweeps that were asked for as a whole.
        baselines: Published results.
        damaged: A line about each record or sweep that cannot be read.
        unsealed: True if sealed test results were requested (``--unseal``).
        of_dimensions: The runs on dimensional labels.
    """

    records: tuple[Record, ...]
    sweeps: tuple[Sweep, ...]
    baselines: tuple[Baseline, ...]
    damaged: tuple[str, ...]
    unsealed: bool = False
    of_dimensions: tuple[Record, ...] = ()


def load(request: ReportRequest) -> ReportData:
    """Read records, sweeps and published results, and hide what is sealed.

    Raises:
        RequestError: A name is unknown, or there is no run.
        SercliError: The user's file of published results is invalid.
    """
    baselines = known_baselines(request.baselines)
    found, damaged = find_runs(request.names, request.runs)
    records, unreadable = hide_sealed(found, unseal=request.unseal)
    whole = [
        record for record in records if not request.names or record.experiment in request.names
    ]
    sweeps, more = read_sweeps(whole)
    damaged = [*damaged, *dict.fromkeys([*unreadable, *more])]
    classes, others = ([x for x in records if has_dimensions(x) is y] for y in (False, True))
    return ReportData(
        tuple(classes),
        tuple(sweeps),
        tuple(baselines),
        tuple(damaged),
        request.unseal,
        tuple(others),
    )
