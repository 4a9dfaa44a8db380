"""A toy corpus in memory, a tiny model that learns it, and a progress display that records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np

from sercli.config.compose import compose
from sercli.config.schema import Config, ContextConfig
from sercli.corpora.context import find_context
from sercli.corpora.manifest import build_manifest
from sercli.models.interface import Batch
from sercli.progress import Progress, Task
from sercli.training.data import Data

EMOTIONS = ("ang", "hap", "neu", "sad")
CLASSES = {"ang": "anger", "hap": "happiness", "neu": "neutral", "sad": "sadness"}

TINY = (
    "model.hidden=4",
    "model.context_hidden=4",
    "model.attention=4",
    "model.head=16",
    "model.dropout=0",
    "activation=tanh",
    "optim.lr=0.02",
    "trainer.steps=40",
    "trainer.eval_every=10",
    "trainer.batch_size=16",
    "trainer.patience=null",
)
"""A model that learns the toy corpus in half a second."""


def toy_data(*, sessions: int = 4, synthetic: bool = False) -> Data:
    """Sessions of two dialogues; each class lifts a feature of its own out of the noise.

    Every fifth turn is of an emotion that the task leaves out.
    """
    rows = []
    for session in range(1, sessions + 1):
        for dialogue in ("a", "b"):
            for turn in range(10):
                sex = "FM"[turn % 2]
                rows.append(
                    {
                        "utterance": f"s{session}{dialogue}{turn}",
                        "audio": f"s{session}{dialogue}.wav",
                        "speaker": f"s{session}{sex}",
                        "session": f"session{session}",
                        "dialogue": f"s{session}{dialogue}",
                        "turn": turn,
                        "emotion": "xxx" if turn % 5 == 4 else EMOTIONS[(turn + session) % 4],
                    }
                )
    manifest = build_manifest("toy", rows, CLASSES, synthetic=synthetic)
    random = np.random.default_rng(0)
    steps = {}
    for row in rows:
        frames = random.normal(size=(int(random.integers(3, 12)), 5)).astype(np.float32)
        if row["emotion"] in EMOTIONS:
            frames[:, EMOTIONS.index(str(row["emotion"]))] += 1.5
        steps[str(row["utterance"])] = frames
    context = find_context(manifest, ContextConfig())
    return Data(manifest, steps, context, fingerprint="toy")


def with_streams(data: Data, sizes: Mapping[str, int]) -> Data:
    """Add streams of noise, of one to five steps, to a corpus.

    Args:
        data: The corpus.
        sizes: Name of a stream → features of a step.
    """
    random = np.random.default_rng(0)

    def noise(features: int) -> np.ndarray:
        return random.normal(size=(int(random.integers(1, 6)), features)).astype(np.float32)

    streams = {name: {u: noise(size) for u in data.steps} for name, size in sizes.items()}
    return replace(data, streams=streams)


def toy_config(*overrides: str) -> Config:
    """Compose a configuration of a tiny model."""
    return compose([*TINY, *overrides])


def batch_of(utterances: Iterable[str], data: Data, rule: str = "similar") -> Batch:
    """Collate utterances on the CPU."""
    import torch

    from sercli.training.batches import collate

    return collate(data.packed.rows(utterances), data.packed, torch.device("cpu"), rule)


class RecordingProgress(Progress):
    """Shows nothing, counts what each task advances by, and keeps the notes.

    Args:
        at: Called with the description of a task and its count, after each advance.
    """

    def __init__(self, at: Callable[[str, float], None] = lambda task, count: None) -> None:
        super().__init__(quiet=True)
        self.counts: dict[str, float] = {}
        self.notes: list[str] = []
        self._at = at

    @property
    def steps(self) -> float:
        """Training steps, of all tasks."""
        return sum(count for task, count in self.counts.items() if task.endswith("steps"))

    @contextmanager
    def task(self, description: str, total: float, unit: str = "") -> Iterator[Task]:
        def advance(amount: float = 1) -> None:
            self.counts[description] = self.counts.get(description, 0) + amount
            self._at(description, self.counts[description])

        yield cast("Task", SimpleNamespace(advance=advance, describe=lambda text: None))

    def note(self, text: str) -> None:
        self.notes.append(text)
