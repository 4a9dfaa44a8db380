"""Table 1 of the AR-GRU paper beside one's own runs."""

from __future__ import annotations

from collections.abc import Sequence

from sercli.reporting.table import Row, View
from sercli.reporting.views.published import matching_runs, published_table
from sercli.results.baselines import Baseline, table_1

TITLE = "Table 1 of Rajamani et al. 2021, there and here"


def table1_view(rows: Sequence[Row], baselines: Sequence[Baseline]) -> View:
    """Lay the paper's Table 1 beside runs: published, reproduced, and the difference.

    Args:
        rows: Those of runs (`sercli.reporting.views.rows.run_rows`).
        baselines: The published results.

    Returns:
        Rows in the paper's order; several runs of a system stand below each other, the best on dev
        first, and a system that was not run says so.
    """
    pairs = matching_runs(rows, table_1(baselines), missing=True)
    return View((published_table(TITLE, pairs),), {"table1": pairs})
