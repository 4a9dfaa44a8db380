"""The late fusion of runs: results beside those of each run, difference, and weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sercli.errors import RequestError
from sercli.reporting.table import (
    Table,
    View,
    make_table,
    number_cell,
    number_column,
    text_column,
)
from sercli.reporting.views.dimensions import has_dimensions
from sercli.reporting.views.results import recall_tables, result_tables
from sercli.reporting.views.rows import RunRow, rates, run_rows
from sercli.reporting.views.significance import Differences, difference_row, differences_tables
from sercli.results.find import find_runs
from sercli.results.run_record import Record
from sercli.results.seal import hide_sealed, shows_test

if TYPE_CHECKING:
    from sercli.analysis.fusion import Fusion

_ON_TEST = "Selected on test: the weights are fitted on test, too."


def fuse_view(names: Sequence[str], runs: Path) -> View:
    """Fuse runs and show the result.

    Args:
        names: Experiments, keys or folders of runs.
        runs: The folder of the experiments.

    Raises:
        RequestError: A name is unknown, fewer than two runs are named, one is sealed, or the runs
            do not match (`sercli.analysis.fusion.fuse_runs`).
        SercliError: A record cannot be read.
    """
    from sercli.analysis.fusion import NAME, fuse_runs

    records = _chosen(names, runs)
    fused = fuse_runs(records)
    rows = run_rows(records, [])
    of_key = {row.key: row for row in rows}
    best = of_key[fused.best.key]
    fusion = RunRow(
        system=NAME,
        source="fusion",
        experiment=None,
        status="complete",
        settings=NAME,
        sealed=False,
        dataset=best.dataset,
        synthetic=best.synthetic,
        protocol=best.protocol,
        seeds=best.seeds,
        folds=best.folds,
        n=best.n,
        **rates(fused.metrics),
        recall=fused.metrics["recall"],
        runs=[row.key for row in rows],
        card=best.card,
    )
    difference = difference_row(
        fused.difference.to_dict("records")[0], {**of_key, NAME: fusion}, [row.key for row in rows]
    )
    results = [fusion, *rows]
    tables = [
        *result_tables(results, Differences()),
        *differences_tables(Differences(((difference,),))),
        *recall_tables(results),
        _weights_table(fused, rows),
    ]
    weights = _weights(fused.weights)
    data = {"rows": results, "comparisons": [difference], "weights": weights}
    return View(tuple(tables), data)


def _chosen(names: Sequence[str], runs: Path) -> list[Record]:
    """Read the runs to fuse, each key once."""
    found, damaged = find_runs(names, runs)
    if damaged:
        raise RequestError(damaged[0])
    records, _ = hide_sealed(list({record.key: record for record in found}.values()))
    for record in filter(has_dimensions, records):
        raise RequestError(f"{record.key} predicts dimensional labels; fuse needs runs on classes")
    if len(records) < 2:
        found_in = ", ".join(names)
        raise RequestError(f"fuse needs at least two runs, found {len(records)}: {found_in}")
    for record in records:
        if not shows_test(record):
            raise RequestError(
                f"{record.key} is a sealed trial of {record.experiment}: a fusion would show its "
                "test results; fuse winners, or trials of a --comparison"
            )
    return records


def _weights(weights: pd.DataFrame) -> list[dict[str, object]]:
    """Return a row per fold run and run."""
    long = weights.melt(["seed", "fold"], var_name="run", value_name="weight")
    return [{str(name): value for name, value in row.items()} for row in long.to_dict("records")]


def _weights_table(fused: Fusion, rows: Sequence[RunRow]) -> Table:
    of_run = fused.weights.drop(columns=["seed", "fold"])
    shares = of_run.div(of_run.sum(axis=1), axis=0)
    on_test = fused.best.summary["card"].get("selected_on") == "test"
    return make_table(
        "Weights of the fusion",
        [
            text_column("run", lambda row: row.system),
            text_column("key", lambda row: row.key),
            number_column("mean", lambda row: number_cell(of_run[row.key].mean(), ".2f")),
            number_column("min", lambda row: number_cell(of_run[row.key].min(), ".2f")),
            number_column("max", lambda row: number_cell(of_run[row.key].max(), ".2f")),
            number_column("mean share", lambda row: number_cell(shares[row.key].mean(), ".2f")),
        ],
        rows,
        notes=[
            "Weights: exponents of the class probabilities, fitted on the dev utterances of each "
            "fold and seed; mean, min and max over folds and seeds.",
            "Mean share: mean of the weight divided by the sum of the weights of all runs.",
            f"Reference of the difference: the run with the best dev UA, {fused.best.key}.",
            _ON_TEST if on_test else "",
        ],
    )
