"""Attention over time for one utterance."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from sercli.config.schema import Config
from sercli.features.sets import column_names
from sercli.reporting.figures.plot import Plot, file_name
from sercli.reporting.figures.style import (
    BLUE,
    DOUBLE,
    GREY,
    PALE,
    VERMILLION,
    grid_lines,
    new_figure,
    styled,
)
from sercli.results.run_record import Record
from sercli.training.attention_weights import UtteranceAttention, attention_for
from sercli.training.data import Data

FRAME_SECONDS = 0.01
"""Between two frames, in every feature set."""

_LOUDNESS = ("pcm_loudness_sma", "Loudness_sma3", "pcm_RMSenergy_sma", "log_energy")
"""Columns that tell speech from silence, the first that a feature set has."""

_TURNS = {
    "current": "utterance",
    "own": "turn before of the same speaker",
    "interlocutor": "turn before of the interlocutor",
}


@styled()
def attention_figure(record: Record, config: Config, data: Data, utterance: str) -> Plot:
    """Draw how much each moment of an utterance, and of its context turns, counted.

    The title says what was recognised: only for a run whose test figures may be seen.

    Args:
        record: The run, whose model of the fold that tests the utterance is asked (first seed).
        config: Its configuration.
        data: What ``config`` reads.
        utterance: Which.

    Raises:
        RequestError: The data are not those of the run, no fold tests the utterance, or the
            model has no attention over time.
        SercliError: The weights cannot be read.
    """
    heard = attention_for(record, config, data, utterance)
    seconds = FRAME_SECONDS * config.features.pool
    loudness = _loudness(config, data, utterance)
    context = [turn for turn in ("own", "interlocutor") if turn in heard.weights]
    rows: list[Any] = [["current"] * 2]
    rows += [["loudness"] * 2] if loudness is not None else []
    rows += [(context * 2)[:2]] if context else []
    warning = "SYNTHETIC SPEECH" if data.manifest.synthetic else ""
    figure = new_figure(DOUBLE, 14 + 30 * len(rows), warning)
    panels = figure.subplot_mosaic(rows)
    for turn in ("current", *context):
        _draw_weights(panels[turn], heard.weights[turn], seconds)
        panels[turn].set_title(_TURNS[turn], loc="left")
    if loudness is not None:
        _draw_loudness(panels["loudness"], loudness, seconds)
        panels["loudness"].sharex(panels["current"])
        panels["current"].set_xlabel("")
    panels["current"].set_title(_verdict(heard), loc="left")
    caption = _caption(heard, config, data, loudness is not None)
    return Plot(file_name("attention", utterance), f"Attention in {utterance}", caption, figure)


def _draw_weights(axes: Axes, weights: np.ndarray, seconds: float) -> None:
    edges = seconds * np.arange(len(weights) + 1)
    axes.stairs(100 * weights, edges, fill=True, color=PALE)
    axes.stairs(100 * weights, edges, color=BLUE, linewidth=0.9)
    axes.axhline(100 / len(weights), color=GREY, linestyle="--", linewidth=0.8)
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
    """The loudness of every step as the model is given it; None: the set has none."""
    names = column_names(config.features)
    for name in _LOUDNESS:
        if name in names:
            column: np.ndarray = data.steps[utterance][:, names.index(name)]
            return column
    return None


def _verdict(heard: UtteranceAttention) -> str:
    row = heard.predicted
    probability = row[f"p_{row['predicted']}"]
    return (
        f"{heard.utterance}: {row['label']}, recognised as {row['predicted']} "
        f"({100 * probability:.0f} %)"
    )


def _caption(heard: UtteranceAttention, config: Config, data: Data, loudness: bool) -> str:
    step = 1000 * FRAME_SECONDS * config.features.pool
    parts = [
        f"How much each step of {step:g} ms counts when {config.model['name']} pools the states "
        "of its recurrent layer; dashed: if all counted alike. A state knows more than its own "
        "step, so that this is where the model looks and not what it heard there. "
        f"Fold {heard.fold}, which tests the utterance, seed {heard.seed}."
    ]
    if loudness:
        parts.append("Below: loudness as the model is given it.")
    spoken = data.manifest.table.set_index("utterance")["transcript"].get(heard.utterance)
    if isinstance(spoken, str) and spoken:
        parts.append(f"Spoken: “{spoken}”")
    return " ".join(parts)
