"""The turns of a corpus in one array, with lengths, context and labels by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sercli.corpora.context import PAD_STEPS
from sercli.corpora.dimensions import labels_of
from sercli.corpora.manifest import Manifest
from sercli.features.copies import TurnCopies

_KEPT_BYTES = 2**29
"""Size of the steps that a process keeps in memory; others are read each time (our choice)."""


Stream = tuple[Mapping[str, np.ndarray], Mapping[str, int]]
"""Utterance id → float32 (steps, features), and utterance id → number of steps."""


class KeptSteps:
    """The steps of turns by row, one after the other in one array.

    Steps are read when a batch first needs them, and kept until the array is full. Replacing kept
    steps would gain nothing, because batches are drawn at random.

    Args:
        lengths: Number of steps of each row, (rows,).
        features: Features of a step.
        room: Maximum number of steps to keep.
        steps_of: Returns the steps of a row.

    Attributes:
        lengths: As given.
        offsets: Index of the first step of each row in `frames_on`; −1 if its steps are not kept.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        features: int,
        room: int,
        steps_of: Callable[[int], np.ndarray],
    ) -> None:
        self.lengths, self._steps_of = lengths, steps_of
        self._frames = np.empty((min(int(lengths.sum()), room), features), np.float32)
        self._frames[:PAD_STEPS] = 0
        self._used = PAD_STEPS
        self.offsets = np.full(len(lengths), -1)
        self.offsets[0] = 0
        self._on: dict[torch.device, Tensor] = {}

    def read(self, rows: np.ndarray) -> dict[int, np.ndarray]:
        """Read the steps of rows that are not kept, and keep them while there is room.

        Returns:
            Row → steps, of the rows for which there is no room.
        """
        other = {}
        for row in set(rows[self.offsets[rows] < 0].tolist()):
            steps = self._steps_of(row)
            end = self._used + len(steps)
            if end <= len(self._frames):
                self._frames[self._used : end] = steps
                self.offsets[row], self._used = self._used, end
            else:
                other[row] = steps
        return other

    def frames_on(self, device: torch.device) -> Tensor:
        """Return all kept steps on a device, float32 (steps, features); the first is zero.

        On the CPU it is the array itself, which `read` fills. Another device gets one copy, made
        after all rows that fit have been read.
        """
        if device not in self._on:
            if device.type != "cpu":
                self.read(np.flatnonzero(self.lengths.cumsum() <= len(self._frames)))
                self._used = len(self._frames)  # rows read later would be missing from the copy
            self._on[device] = torch.from_numpy(self._frames).to(device)
        return self._on[device]


class PackedTurns:
    """The turns of a corpus by row, with their steps.

    Row 0 is the pad turn. The corpus may be larger than the memory: at most `_KEPT_BYTES` of steps
    are kept, divided among the streams in proportion to their sizes. A pickled copy starts empty.

    Args:
        steps: Utterance id → float32 (steps, features).
        lengths: Utterance id → number of steps.
        manifest: The corpus.
        context: Indexed by target utterance, columns ``own`` and ``interlocutor``.
        copies: Copies of utterances, whose rows follow those of the utterances.
        streams: Name of a stream → its steps and lengths by utterance id.

    Attributes:
        names: Utterance id of each row; None for the pad turn.
        original: Row of the utterance that each row is a copy of; its own row if it is none.
        lengths: Number of steps of each row.
        beside: (3, rows): for each row itself, the row of the previous turn of the same speaker,
            and that of the interlocutor; 0 where there is none.
        labels: Class index of each row; −1 where there is no label among the classes.
        dimensions: Dimensional labels of each row on the scale of the corpus, float64 (rows,
            dimensions); NaN where the row is no target; no columns where the task is the classes.
        kept: The steps of each row.
        streams: Name of a stream → its steps of each row, of a copy those of the original.
    """

    def __init__(
        self,
        steps: Mapping[str, np.ndarray],
        lengths: Mapping[str, int],
        manifest: Manifest,
        context: pd.DataFrame,
        copies: TurnCopies | None = None,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        streams = streams or {}
        self._given = (steps, lengths, manifest, context, copies, streams)
        self._steps, self._copies = steps, copies or TurnCopies({}, {}, {})
        self._rows = {name: row for row, name in enumerate(steps, start=1)}
        of_copies = [self._copies.lengths[name] for name in self._copies.of]
        self.names = np.array([None, *steps, *self._copies.of], dtype=object)
        self.lengths = np.array([PAD_STEPS, *(lengths[name] for name in steps), *of_copies])
        self.original = np.arange(len(self.names))
        self.original[len(steps) + 1 :] = self.rows(self._copies.of.values())
        self.beside = np.zeros((3, len(self.names)), dtype=np.int64)
        self.beside[0] = np.arange(len(self.names))
        targets = self.rows(context.index)
        for row, column in enumerate(("own", "interlocutor"), start=1):
            self.beside[row, targets] = [self._rows.get(name, 0) for name in context[column]]
        self.beside[1:] = self.beside[1:, self.original]
        self.labels = np.full(len(self.names), -1)
        table = manifest.targets
        index = {label: i for i, label in enumerate(manifest.classes)}
        self.labels[self.rows(table["utterance"])] = table["label"].map(index).fillna(-1)
        self.labels = self.labels[self.original]
        self.dimensions = self._dimensional_labels(manifest)[self.original]
        self.kept, *of_streams = self._kept_steps(streams)
        self.streams = dict(zip(streams, of_streams, strict=True))

    def __reduce__(self) -> tuple[type[PackedTurns], tuple[object, ...]]:
        return PackedTurns, self._given

    def _dimensional_labels(self, manifest: Manifest) -> np.ndarray:
        task = manifest.dimensions
        if task is None:
            return np.empty((len(self.names), 0))
        found = np.full((len(self.names), len(task.names)), np.nan)
        found[self.rows(manifest.targets["utterance"])] = labels_of(manifest)
        return found

    def _kept_steps(self, streams: Mapping[str, Stream]) -> list[KeptSteps]:
        """Return the kept steps of the turns, and those of each stream, without rows for copies."""
        plain = len(self._steps)
        parts: list[tuple[Mapping[str, np.ndarray], np.ndarray]] = [(self._steps, self.lengths)]
        for steps, lengths in streams.values():
            counts = [lengths[name] for name in self.names[1 : plain + 1]]
            parts.append((steps, np.array([PAD_STEPS, *counts])))
        widths = [next(iter(steps.values())).shape[1] for steps, _ in parts]
        whole = sum(
            int(lengths.sum()) * width for (_, lengths), width in zip(parts, widths, strict=True)
        )
        return [
            KeptSteps(
                lengths,
                width,
                _room(int(lengths.sum()), whole),
                partial(_steps_of, self.names, plain, steps, self._copies.steps),
            )
            for (steps, lengths), width in zip(parts, widths, strict=True)
        ]

    def rows(self, utterances: Iterable[str]) -> np.ndarray:
        """Return the rows of utterances.

        Raises:
            KeyError: An utterance is unknown.
        """
        return np.array([self._rows[name] for name in utterances], dtype=np.int64)


def _room(steps: int, whole: int) -> int:
    """Return the number of steps of a stream to keep in memory.

    Args:
        steps: Number of its steps.
        whole: Number of values, steps × features, in all streams.
    """
    fits = 4 * whole <= _KEPT_BYTES
    return steps if fits else max(_KEPT_BYTES * steps // (4 * whole), PAD_STEPS)


def _steps_of(
    names: np.ndarray,
    plain: int,
    steps: Mapping[str, np.ndarray],
    copies: Mapping[str, np.ndarray],
    row: int,
) -> np.ndarray:
    """Return the steps of a row; those after the first ``plain`` ones are copies."""
    return (steps if row <= plain else copies)[names[row]]
