"""Export to MLflow: one MLflow run per record, with parameters, metrics, curves and its folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sercli.errors import RequestError, one_line
from sercli.passwords import without_password
from sercli.reporting.export.run_export import RunExport, not_installed, run_export
from sercli.results.run_record import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_KEY = "sercli.run"
"""Tag with the key of the record."""

_BATCH = 1000
"""Most metrics per call of MLflow; of parameters 100, with 6000 characters each."""


def export_mlflow(records: Sequence[Record], uri: str) -> list[str]:
    """Log records as MLflow runs, in experiments of the same names.

    A run that was logged before from the same record is deleted (MLflow keeps it in its bin).

    Args:
        records: Runs after `sercli.results.seal.hide_sealed`.
        uri: The MLflow store, such as ``sqlite:///mlflow.db``; not a folder of files.

    Returns:
        The ids of the MLflow runs.

    Raises:
        RequestError: MLflow is not installed, or the store cannot be opened.
        SercliError: Files of a record are missing or damaged.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # the user asked for no telemetry
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise not_installed("mlflow", "mlflow") from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    found = [(record, run_export(record)) for record in records]
    try:
        client = MlflowClient(uri)
        return [_log(client, record, each) for record, each in found]
    except (MlflowException, OSError) as error:
        reason = without_password(one_line(error)[:_REASON])
        raise RequestError(
            f"MLflow cannot store at {without_password(uri)}: {reason}; try sqlite:///mlflow.db"
        ) from error


_REASON = 200
"""Characters of MLflow's own message in an error."""


def _log(client: MlflowClient, record: Record, found: RunExport) -> str:
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


def _metrics(found: RunExport, time: int) -> Iterator[Metric]:
    from mlflow.entities import Metric

    for name, value in found.metrics.items():
        yield Metric(name, value, time, 0)
    for part, curves in found.curves.items():
        for name, curve in curves.items():
            for step, value in curve:
                yield Metric(f"{part}/{name}", value, time, step)
