"""The attention of a trained network over the time of one utterance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.features.sets import column_names, frame_seconds
from sercli.progress import Progress
from sercli.reporting.figures.plot import Plot, file_name, save
from sercli.reporting.figures.style import (
    BLUE,
    DOUBLE,
    GREY,
    PALE,
    VERMILLION,
    grid_lines,
    legend_below,
    new_figure,
    styled,
)
from sercli.results.find import find_run
from sercli.results.run_record import Record
from sercli.results.seal import hide_sealed, shows_test
from sercli.training.attention_weights import UtteranceAttention, attention_for
from sercli.training.data import Data, read_data
from sercli.training.rerun import configuration_of

_LOUDNESS = ("pcm_loudness_sma", "Loudness_sma3", "pcm_RMSenergy_sma", "log_energy")
"""Loudness columns; the first that a feature set has is drawn."""

_TURNS = {
    "current": "utterance",
    "own": "previous turn of the same speaker",
    "interlocutor": "previous turn of the interlocutor",
}


def draw_attention(
    run: str, utterance: str, runs: Path, folder: Path, progress: Progress
) -> list[Path]:
    """Draw the attention of a run over a test utterance.

    Args:
        run: Key or folder of the run.
        utterance: Id of the utterance.
        runs: The folder of the experiments.
        folder: The folder to save the figure in, as SVG, PNG and PDF.
        progress: Progress bars and notes.

    Raises:
        RequestError: The run or utterance is unknown, the run is sealed, its model has no
            attention over time, or the corpus has changed.
    """
    record = find_run(run, runs)
    (visible,), _ = hide_sealed([record])
    if not shows_test(visible):
        raise RequestError(
            f"run {run} is sealed; `sercli report --unseal {record.experiment}` opens it"
        )
    config = configuration_of(record)
    if config.dataset.dimensions:
        raise RequestError(f"run {run} predicts dimensional labels; attend needs a run of classes")
    data = read_data(config, progress=progress)
    return save(attention_figure(record, config, data, utterance), folder)


@styled()
def attention_figure(record: Record, config: Config, data: Data, utterance: str) -> Plot:
    """Draw the attention weights over an utterance and its context turns.

    The title has the predicted class: draw only runs whose test results may be shown.

    Args:
        record: The run; its model of the first seed and of the fold that tests the utterance.
        config: Its configuration.
        data: The data of ``config``.
        utterance: Id of a test utterance.

    Raises:
        RequestError: The data are not those of the run, no fold tests the utterance, or the
            model has no attention over time.
        SercliError: The weights cannot be read.
    """
    attention = attention_for(record, config, data, utterance)
    seconds = frame_seconds(config.features) * config.features.pool
    loudness = _loudness(config, data, utterance)
    context = [turn for turn in ("own", "interlocutor") if turn in attention.weights]
    rows: list[Any] = [["current"] * 2]
    rows += [["loudness"] * 2] if loudness is not None else []
    rows += [(context * 2)[:2]] if context else []
    warning = "SYNTHETIC SPEECH" if data.manifest.synthetic else ""
    figure = new_figure(DOUBLE, 14 + 30 * len(rows), warning)
    panels = figure.subplot_mosaic(rows)
    for turn in ("current", *context):
        _draw_weights(panels[turn], attention.weights[turn], seconds)
        panels[turn].set_title(_TURNS[turn], loc="left")
    if loudness is not None:
        _draw_loudness(panels["loudness"], loudness, seconds)
        panels["loudness"].sharex(panels["current"])
        panels["current"].set_xlabel("")
    panels["current"].set_title(_prediction_title(attention), loc="left")
    legend_below(figure, panels["current"])
    caption = _attention_caption(attention, config, data, loudness is not None)
    return Plot(file_name("attention", utterance), f"Attention in {utterance}", caption, figure)


def _draw_weights(axes: Axes, weights: np.ndarray, seconds: float) -> None:
    edges = seconds * np.arange(len(weights) + 1)
    axes.stairs(100 * weights, edges, fill=True, color=PALE)
    axes.stairs(100 * weights, edges, color=BLUE, linewidth=0.9)
    axes.axhline(
        100 / len(weights), color=GREY, linestyle="--", linewidth=0.8, label="equal weights"
    )
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("attention (%)")
    grid_lines(axes)


def _draw_loudness(axes: Axes, loudness: np.ndarray, seconds: float) -> None:
    middles = seconds * (np.arange(len(loudness)) + 0.5)
    axes.plot(middles, loudness, color=VERMILLION, linewidth=0.9)
    axes.set_xlabel("seconds")
    axes.set_ylabel("loudness")
    grid_lines(axes)


def _loudness(config: Config, data: Data, utterance: str) -> np.ndarray | None:
    """Return the loudness of every step of the input, if the feature set has one."""
    names = column_names(config.features)
    for name in _LOUDNESS:
        if name in names:
            column: np.ndarray = data.steps[utterance][:, names.index(name)]
            return column
    return None


def _prediction_title(attention: UtteranceAttention) -> str:
    row = attention.predicted
    probability = row[f"p_{row['predicted']}"]
    return (
        f"{attention.utterance}: {row['label']}, predicted as {row['predicted']} "
        f"({100 * probability:.0f} %)"
    )


def _attention_caption(
    attention: UtteranceAttention, config: Config, data: Data, loudness: bool
) -> str:
    step = 1000 * frame_seconds(config.features) * config.features.pool
    parts = [
        f"Weight of each step of {step:g} ms when {config.model['name']} pools the states of its "
        "recurrent layer over time; dashed: equal weights. A state depends on other steps too, so "
        "that a weight does not show which sound mattered. "
        f"Fold {attention.fold}, which tests the utterance; seed {attention.seed}."
    ]
    if loudness:
        parts.append("Below: loudness, as in the input.")
    spoken = data.manifest.table.set_index("utterance")["transcript"].get(attention.utterance)
    if isinstance(spoken, str) and spoken:
        parts.append(f"Transcript: “{spoken}”")
    return " ".join(parts)
