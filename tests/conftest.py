"""What all tests share: one thread, a small corpus in memory, results made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import hypothesis
import numpy as np
import pandas as pd
import pytest

from sercli.config.compose import compose
from sercli.config.schema import Config, ContextConfig
from sercli.corpora.context import find_context
from sercli.corpora.manifest import build_manifest
from sercli.progress import Progress, Task
from sercli.results.fold_result import FoldResult
from sercli.training.data import Data

pytest_plugins = ["helpers.record_fixtures"]

hypothesis.settings.register_profile("unhurried", deadline=None)  # the machine may be busy
hypothesis.settings.load_profile("unhurried")

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


def toy_data(*, synthetic: bool = False) -> Data:
    """Four sessions of two dialogues; each class lifts a feature of its own out of the noise.

    Every fifth turn is of an emotion that the task leaves out.
    """
    rows = []
    for session in range(1, 5):
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


def toy_config(*overrides: str) -> Config:
    """Compose a configuration of a tiny model."""
    return compose([*TINY, *overrides])


def make_result(
    truth: Sequence[str],
    predicted: Sequence[str],
    *,
    seed: int = 0,
    fold: str = "one",
    oracle: Sequence[str] | None = None,
    dev: tuple[Sequence[str], Sequence[str]] = (("anger",), ("anger",)),
) -> FoldResult:
    """Make the result of a unit from the labels of its test utterances.

    Utterances are named by fold and position. ``oracle`` is predicted at the oracle step, the
    same as ``predicted`` unless given; ``dev`` holds the labels and predictions of dev.
    """
    tables = []
    for part, selection, labels, guesses in (
        ("dev", "dev", *dev),
        ("test", "dev", truth, predicted),
        ("dev", "oracle", *dev),
        ("test", "oracle", truth, predicted if oracle is None else oracle),
    ):
        names = [f"{fold}-{part}{position}" for position in range(len(labels))]
        table = pd.DataFrame(
            {"utterance": names, "label": list(labels), "predicted": list(guesses)}
        )
        tables.append(table.assign(part=part, selection=selection, seed=seed, fold=fold))
    return FoldResult(
        seed=seed,
        fold=fold,
        diverged_at=None,
        selected_step=10,
        oracle_step=20,
        history=pd.DataFrame({"step": [10, 20], "seed": seed, "fold": fold}),
        predictions=pd.concat(tables, ignore_index=True),
        weights={"w": np.arange(3, dtype=np.float32)},
    )


class Watching(Progress):
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


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in a fold pool: more threads make small networks slower, and results less repeatable."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(name="toy", scope="session")
def _toy() -> Data:
    return toy_data()


@pytest.fixture(name="toy_config", scope="session")
def _toy_config() -> Callable[..., Config]:
    return toy_config


@pytest.fixture(name="make_result", scope="session")
def _made_unit() -> Callable[..., FoldResult]:
    return make_result


@pytest.fixture(name="watching", scope="session")
def _watching() -> type[Watching]:
    return Watching
