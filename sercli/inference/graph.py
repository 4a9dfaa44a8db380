"""Networks as ONNX graphs, run by onnxruntime without importing torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from sercli.corpora.context import PAD_STEPS
from sercli.errors import RequestError, SercliError, one_line
from sercli.training.data import Data

TURNS = ("current", "own", "interlocutor")

_BATCH = 32
"""Utterances of a batch (our choice)."""

_ERRORS_ONLY = 3
"""onnxruntime's log level."""


class OnnxNetwork:
    """A network as an ONNX graph, run by onnxruntime.

    Args:
        path: The graph.

    Attributes:
        uses_context: True if the graph reads context turns.
        has_attention: False: a graph does not return its attention weights.

    Raises:
        RequestError: onnxruntime or the graph is missing.
        SercliError: The graph cannot be read, or has other inputs.
    """

    has_attention = False

    def __init__(self, path: Path) -> None:
        runtime = import_onnx("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = 1  # others would mostly wait: twice the CPU time
        try:
            self._session: Any = runtime.InferenceSession(
                path.read_bytes(),  # a graph in memory reads no other file
                options,
                providers=["CPUExecutionProvider"],
            )
        except FileNotFoundError:
            raise RequestError(
                f"{path} is missing: make it with `sercli export RUN DIR --onnx`"
            ) from None
        except Exception as error:  # onnxruntime's own types
            raise SercliError(f"{path} cannot be read: {one_line(error):.200}") from error
        self._names = [each.name for each in self._session.get_inputs()]
        if self._names not in (input_names(1), input_names(3)):
            raise SercliError(
                f"{path} has the inputs {', '.join(self._names)}: not a graph of sercli"
            )
        self.uses_context = len(self._names) > 2

    def probabilities(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        """Classify a batch: float32 (B, classes).

        Args:
            tensors: Frames, float32 (B, T, features), and lengths, int64 (B,), of the current turns
                and, if the graph reads context, of the two context turns.
        """
        given = dict(zip(self._names, tensors, strict=True))
        (found,) = self._session.run(None, given)
        return np.asarray(found)

    def predict(self, data: Data, *, attention: bool = False) -> pd.DataFrame:
        """Return the probability of each class, ``p_<class>``, indexed by utterance.

        Args:
            data: The recordings.
            attention: Must be false: see `has_attention`.
        """
        assert not attention
        names = sorted(data.manifest.targets["utterance"], key=lambda name: data.lengths[name])
        turns = TURNS if self.uses_context else TURNS[:1]
        found = []
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            tensors = [x for turn in turns for x in _padded(list(_steps(data, batch, turn)))]
            found.append(self.probabilities(tensors))
        columns = [f"p_{name}" for name in data.manifest.classes]
        return pd.DataFrame(np.concatenate(found), index=names, columns=columns)


def input_names(turns: int) -> list[str]:
    """Return the names of the inputs of a graph of one turn or three."""
    return [name for turn in TURNS[:turns] for name in (turn, f"{turn}_lengths")]


def import_onnx(name: str) -> ModuleType:
    """Import a package of the extra ``onnx``.

    Raises:
        RequestError: It is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RequestError(f"ONNX needs {name}: pip install 'sercli[onnx]'") from error


def _steps(data: Data, names: Sequence[str], turn: str) -> Iterator[np.ndarray]:
    """Yield the steps of a turn of each utterance; zeros stand for a missing context turn."""
    for name in names:
        found = name if turn == "current" else data.context.at[name, turn]
        beside = found if isinstance(found, str) else ""
        there = beside in data.steps
        yield data.steps[beside] if there else np.zeros((PAD_STEPS, data.features), np.float32)


def _padded(steps: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return steps as one array, (B, T, features), and their lengths, (B,)."""
    lengths = np.array([len(each) for each in steps])
    frames = np.zeros((len(steps), lengths.max(), steps[0].shape[1]), np.float32)
    for row, each in enumerate(steps):
        frames[row, : len(each)] = each
    return frames, lengths
