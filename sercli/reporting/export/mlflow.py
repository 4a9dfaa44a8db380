"""Records for MLflow: a run each, with its settings, metrics and curves, and where it lies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sercli.errors import RequestError, one_line
from sercli.reporting.export.facts import Facts, facts, lacking
from sercli.results.environment import without_password
from sercli.results.run_record import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_KEY = "sercli.run"
"""Tag that holds the key of the record."""

_BATCH = 1000
"""Most metrics that MLflow takes at once; of parameters 100, and 6000 characters of each."""


def export_mlflow(records: Sequence[Record], uri: str) -> list[str]:
    """Log records as runs of MLflow, in an experiment named after theirs.

    A run that was logged before from the same record is deleted (MLflow keeps it in its bin).

    Args:
        records: Runs that went through `sercli.results.seal.hide_sealed`.
        uri: Where MLflow stores, as in ``sqlite:///mlflow.db``; it takes no folder of files.

    Returns:
        The ids that MLflow gave.

    Raises:
        RequestError: MLflow is not installed, or the store cannot be had.
        SercliError: Files of a record are missing or damaged.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # an export tells nobody else
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise lacking("mlflow", "mlflow") from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    found = [(record, facts(record)) for record in records]
    try:
        client = MlflowClient(uri)
        return [_log(client, record, each) for record, each in found]
    except (MlflowException, OSError) as error:
        reason = without_password(one_line(error)[:_REASON])
        raise RequestError(
            f"MLflow cannot store at {without_password(uri)}: {reason}; try sqlite:///mlflow.db"
        ) from error


_REASON = 200
"""Characters of MLflow's own message that are repeated."""


def _log(client: MlflowClient, record: Record, found: Facts) -> str:
    from mlflow.entities import Param

    experiment = _experiment(client, record.experiment)
    for old in client.search_runs([experiment], f"tags.`{_KEY}` = '{record.key}'"):
        client.delete_run(old.info.run_id)
    environment = record.environment()
    started = int(1000 * datetime.fromisoformat(environment["time"]).timestamp())
    tags = {_KEY: record.key, "sercli.record": str(record.path.resolve())}
    run = client.create_run(experiment, started, tags, run_name=record.key).info.run_id
    parameters = [Param(name, str(value)[:6000]) for name, value in found.parameters.items()]
    metrics = list(_metrics(found, started))
    for first in range(0, len(parameters), _BATCH // 10):
        client.log_batch(run, params=parameters[first : first + _BATCH // 10])
    for first in range(0, len(metrics), _BATCH):
        client.log_batch(run, metrics=metrics[first : first + _BATCH])
    client.set_terminated(run, "FINISHED" if record.status == "complete" else "FAILED")
    return str(run)


def _experiment(client: MlflowClient, name: str) -> str:
    known = client.get_experiment_by_name(name)
    return str(known.experiment_id if known else client.create_experiment(name))


def _metrics(found: Facts, time: int) -> Iterator[Metric]:
    from mlflow.entities import Metric

    for name, value in found.figures.items():
        yield Metric(name, value, time, 0)
    for unit, curves in found.curves.items():
        for name, curve in curves.items():
            for step, value in curve:
                yield Metric(f"{unit}/{name}", value, time, step)
