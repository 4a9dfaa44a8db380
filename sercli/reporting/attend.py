"""Where a trained network looks, asked for by the name of a run."""

from __future__ import annotations

from pathlib import Path

from sercli.errors import RequestError
from sercli.progress import Progress
from sercli.reporting.figures.attention import attention_figure
from sercli.reporting.figures.plot import save
from sercli.reporting.find import find_one
from sercli.results.seal import hide_sealed, shows_test
from sercli.training.data import read_data
from sercli.training.rerun import configuration_of


def draw_attention(
    run: str, utterance: str, runs: Path, folder: Path, progress: Progress
) -> list[Path]:
    """Draw the attention of a run over an utterance that it was tested on.

    Args:
        run: Key or folder of the run.
        utterance: The utterance.
        runs: Where the experiments lie.
        folder: Where the figure goes, as SVG and PNG.
        progress: Where bars and notes go.

    Raises:
        RequestError: There is no such run or utterance, the run is sealed, its model has no
            attention over time, or the corpus is another one.
    """
    record = find_one(run, runs)
    (seen,), _ = hide_sealed([record])
    if not shows_test(seen):
        raise RequestError(
            f"run {run} is sealed: sercli report --unseal {record.experiment} opens it"
        )
    config = configuration_of(record)
    data = read_data(config, progress=progress)
    return save(attention_figure(record, config, data, utterance), folder)
