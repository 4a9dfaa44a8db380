"""A run with any history and predictions, for tests of what is drawn of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record, write_record
from sercli.results.seal import SEALED

CLASSES = ("anger", "neutral")
STEPS = (0, 10, 20, 30)

FOLD_RUNS = ((0, "one"), (0, "two"), (1, "one"), (1, "two"))
"""Seeds and folds."""


def make_run(
    runs: Path,
    key: str = "made",
    *,
    experiment: str = "first",
    card: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    activation: Mapping[str, Any] | None = None,
    history: pd.DataFrame | None = None,
    tested: Sequence[tuple[str, str]] = (("anger", "anger"), ("neutral", "anger")),
) -> Record:
    """Write a record of two seeds and two folds.

    Args:
        runs: Folder of all experiments.
        key: Of the run.
        experiment: Name of its experiment.
        card: Changes to the protocol card.
        metrics: Changes to the metrics.
        activation: The activation's node of the configuration.
        history: Of every fold run, without seed and fold.
        tested: Label and prediction of every test utterance, in each fold run.
    """
    results = [_result(seed, fold, make_history() if history is None else history, tested)
             for seed, fold in FOLD_RUNS]  # fmt: skip
    facts = {
        "dataset": "toy",
        "synthetic": False,
        "classes": list(CLASSES),
        "protocol": "loso",
        "seeds": [0, 1],
    }
    by_fold = [{"seed": seed, "fold": fold, "selected_step": 20} for seed, fold in FOLD_RUNS]
    figures = {
        "ua": 0.6,
        "ua_ci": [0.5, 0.7],
        "dev_ua": 0.7,
        "by_seed": [{"seed": 0, "ua": 0.55}, {"seed": 1, "ua": 0.65}],
        "by_fold": by_fold,
    }
    page = {
        "key": key,
        "status": "complete",
        "diverged": [],
        "configuration": {"activation": dict(activation or {"name": "tanh"})},
        "card": {**facts, **(card or {})},
        "metrics": {**figures, **(metrics or {})},
    }
    return write_record(
        runs / experiment / key,
        page,
        config_yaml="",
        folds={"one": {}, "two": {}},
        environment={},
        utterances=pd.DataFrame({"utterance": ["x"]}),
        results=results,
    )


def make_history(**columns: Sequence[float]) -> pd.DataFrame:
    """Looks at `STEPS`, at which dev UA is best in the third and test UA falls."""
    table = {
        "step": STEPS,
        "loss": [np.nan, 3.0, 2.0, 1.0],
        "dev_ua": [np.nan, 0.5, 0.75, 0.7],
        "test_ua": [np.nan, 0.45, 0.35, 0.25],
    }
    return pd.DataFrame({**table, **columns})


def _result(
    seed: int, fold: str, history: pd.DataFrame, tested: Sequence[tuple[str, str]]
) -> FoldResult:
    predictions = pd.DataFrame(tested, columns=["label", "predicted"])
    return FoldResult(
        seed=seed,
        fold=fold,
        diverged_at=None,
        selected_step=20,
        oracle_step=10,
        history=history.assign(seed=seed, fold=fold),
        predictions=predictions.assign(
            utterance=[f"{fold}{place}" for place in predictions.index],
            part="test",
            selection="dev",
            seed=seed,
            fold=fold,
        ),
        weights={"w": np.zeros(1, dtype=np.float32)},
    )


def drawn_texts(figure: Any) -> list[str]:
    """All words of a figure that are seen."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def as_sealed(record: Record) -> Record:
    """Return a run as one whose test results must not be shown, but which still has them."""
    return Record(record.path, {**record.summary, SEALED: True})


def make_result(
    truth: Sequence[str],
    predicted: Sequence[str],
    *,
    seed: int = 0,
    fold: str = "one",
    oracle: Sequence[str] | None = None,
    dev: tuple[Sequence[str], Sequence[str]] = (("anger",), ("anger",)),
) -> FoldResult:
    """Make the result of a fold from the labels of its test utterances.

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
