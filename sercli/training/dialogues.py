"""Dialogues as sequences of turns, for models that read whole turns as steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np


class DialogueSteps(Mapping[str, np.ndarray]):
    """The turns of a dialogue up to each utterance, as the means of their steps.

    >>> frames = {"a": np.ones((2, 1)), "b": np.array([[1.0], [4.0]])}
    >>> DialogueSteps(frames, {"a": ["a"], "b": ["a", "b"]})["b"].ravel()
    array([1. , 2.5], dtype=float32)

    Args:
        steps: Utterance id → (steps, features).
        until: Utterance id → the turns of its dialogue before it and itself, in order.

    Attributes:
        lengths: Utterance id → number of turns.
    """

    def __init__(self, steps: Mapping[str, np.ndarray], until: Mapping[str, Sequence[str]]) -> None:
        self._steps = steps
        self._until = {name: until[name] for name in steps}
        self.lengths = {name: len(turns) for name, turns in self._until.items()}
        self._means: dict[str, np.ndarray] = {}

    def __getitem__(self, utterance: str) -> np.ndarray:
        return np.stack([self._mean(each) for each in self._until[utterance]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def _mean(self, utterance: str) -> np.ndarray:
        if utterance not in self._means:
            self._means[utterance] = self._steps[utterance].mean(axis=0, dtype=np.float32)
        return self._means[utterance]
