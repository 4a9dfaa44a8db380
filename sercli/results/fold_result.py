"""The result of one fold with one seed, and its folder on disk.

Each is written whole as soon as it is done, so that a stopped run resumes with the folds that it
lacks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from sercli.errors import SercliError, one_line
from sercli.files import folder_written_whole, why_denied
from sercli.results.weights import write_weights
from sercli.untrusted import read_json, read_parquet


@dataclass(frozen=True)
class FoldResult:
    """The result of training one fold with one seed.

    Attributes:
        seed: The seed.
        fold: Name of the fold.
        diverged_at: Step at which the loss or an output was not finite, if there was one.
        selected_step: Step with the best UA or CCC on dev, the first of equals.
        oracle_step: Step with the best UA or CCC on test, as much of the literature selects.
        history: One row for the untrained model (step 0, which is never selected; NaN in columns
            of training); one per evaluation; and one for a divergence. Columns beside
            ``seed``, ``fold`` and ``step``:

            - ``loss``, the mean since the row before, and ``loss/<name>``, its parts, where a
              model has auxiliary losses;
            - ``dev_ua``, ``dev_wa``, ``test_ua``, ``test_wa``; of dimensional labels
              ``dev_ccc``, ``dev_ccc_<dimension>``, and the same of test;
            - ``grad_norm``, the norm over all parameters of the gradient of the row's own
              step, before clipping, and ``max_grad_norm``, the largest since the row before;
            - ``frozen_weights``, the share of weights whose second moment in Adam is infinite,
              so that they never move again;
            - ``max_state``, the largest |h| of all recurrent layers on dev and test;
            - ``activation/<path>.<parameter>`` for every number that an activation learns
              (`sercli.training.monitoring.activation_numbers`);
            - ``setting``, of a model that is fitted once for each of its settings instead of
              trained: a row and a step for each (`sercli.training.svm_fit`).
        predictions: One row per utterance of each part (dev, test) under each selection
            (dev, oracle): seed, fold, part, selection, utterance, label, predicted, and the
            probability of every class; of dimensional labels each dimension and
            ``predicted_<dimension>`` in place of label and class. With ``protocol.refit``, test
            under dev is predicted by the model that was trained on train and dev.
        weights: State dict of the model at the selected step.
        seconds: Duration of training.
    """

    seed: int
    fold: str
    diverged_at: int | None
    selected_step: int | None
    oracle_step: int | None
    history: pd.DataFrame
    predictions: pd.DataFrame
    weights: dict[str, np.ndarray]
    seconds: float = 0.0

    @property
    def dev_score(self) -> float:
        """UA, or CCC, on dev at the selected step; NaN without one."""
        at = self.history.loc[self.history["step"] == self.selected_step]
        column = f"dev_{selection_score(self.history)}"
        return float("nan") if at.empty else float(at[column].iloc[0])


def selection_score(history: pd.DataFrame) -> str:
    """Return the score that selects the step: ``ua``, or ``ccc`` of dimensional labels."""
    return "ccc" if "dev_ccc" in history else "ua"


def write_fold_result(folder: Path, result: FoldResult) -> None:
    """Write a fold result to ``folder``, whole or not at all."""
    facts = {
        "seed": result.seed,
        "fold": result.fold,
        "diverged_at": result.diverged_at,
        "selected_step": result.selected_step,
        "oracle_step": result.oracle_step,
        "seconds": result.seconds,
    }
    with folder_written_whole(folder) as temporary:
        result.history.to_parquet(temporary / "history.parquet")
        result.predictions.to_parquet(temporary / "predictions.parquet")
        write_weights(temporary / "weights.safetensors", result.weights)
        (temporary / "fold.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")


def read_fold_result(folder: Path) -> FoldResult:
    """Read a folder written by `write_fold_result`.

    Raises:
        SercliError: A file is missing or damaged, or this user may not read it.
    """
    try:
        return FoldResult(
            **read_json(folder / "fold.json"),
            history=read_parquet(folder / "history.parquet"),
            predictions=read_parquet(folder / "predictions.parquet"),
            weights=load_file(folder / "weights.safetensors"),
        )
    except Exception as error:  # whatever its reader raises, the result is of no use
        denied = why_denied(folder) or next(filter(None, map(why_denied, folder.iterdir())), None)
        raise SercliError(f"{folder} cannot be read: {denied or one_line(error)}") from error
