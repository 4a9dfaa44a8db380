"""The turns of a corpus in one array, with lengths, context and labels by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sercli.corpora.manifest import Manifest
from sercli.features.copies import TurnCopies

PAD_STEPS = 9
"""Length of the pad turn of zeros that stands for a missing context turn (IAAN's code)."""

_KEPT_BYTES = 2**29
"""Size of the steps that a process keeps in memory; others are read each time (our choice)."""


class PackedTurns:
    """The turns of a corpus by row, with their steps one after the other in one array.

    Row 0 is the pad turn. Steps are read when a batch first needs them. The corpus may be larger
    than the memory: they are kept until `_KEPT_BYTES` are full. Replacing kept steps would gain
    nothing, because batches are drawn at random. A pickled copy starts empty.

    Args:
        steps: Utterance id → float32 (steps, features).
        lengths: Utterance id → number of steps.
        manifest: The corpus.
        context: Indexed by target utterance, columns ``own`` and ``interlocutor``.
        copies: Copies of utterances, whose rows follow those of the utterances.

    Attributes:
        names: Utterance id of each row; None for the pad turn.
        original: Row of the utterance that each row is a copy of; its own row if it is none.
        lengths: Number of steps of each row.
        beside: (3, rows): for each row itself, the row of the previous turn of the same speaker,
            and that of the interlocutor; 0 where there is none.
        labels: Class index of each row; −1 where there is no label among the classes.
        offsets: Index of the first step of each row in `frames_on`; −1 if its steps are not kept.
    """

    def __init__(
        self,
        steps: Mapping[str, np.ndarray],
        lengths: Mapping[str, int],
        manifest: Manifest,
        context: pd.DataFrame,
        copies: TurnCopies | None = None,
    ) -> None:
        self._given = (steps, lengths, manifest, context, copies)
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
        features = next(iter(steps.values())).shape[1]
        room = max(_KEPT_BYTES // (4 * features), PAD_STEPS)
        self._frames = np.empty((min(int(self.lengths.sum()), room), features), np.float32)
        self._frames[:PAD_STEPS] = 0
        self._used = PAD_STEPS
        self.offsets = np.full(len(self.names), -1)
        self.offsets[0] = 0
        self._on: dict[torch.device, Tensor] = {}

    def __reduce__(self) -> tuple[type[PackedTurns], tuple[object, ...]]:
        return PackedTurns, self._given

    def rows(self, utterances: Iterable[str]) -> np.ndarray:
        """Return the rows of utterances.

        Raises:
            KeyError: An utterance is unknown.
        """
        return np.array([self._rows[name] for name in utterances], dtype=np.int64)

    def read(self, rows: np.ndarray) -> dict[int, np.ndarray]:
        """Read the steps of rows that are not kept, and keep them while there is room.

        Returns:
            Row → steps, of the rows for which there is no room.
        """
        other = {}
        for row in set(rows[self.offsets[rows] < 0].tolist()):
            of = self._steps if row == self.original[row] else self._copies.steps
            steps = of[self.names[row]]
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
