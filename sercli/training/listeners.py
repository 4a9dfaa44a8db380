"""Scores of a run against the labels of each rater."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from sercli.config.schema import Config
from sercli.models import MODELS
from sercli.models.interface import as_output
from sercli.nn.device import autocast, choose_device
from sercli.nn.recurrence.backend import use_backend
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.results.metrics import ua, wa
from sercli.training.batches import collate
from sercli.training.data import Data
from sercli.training.evaluation import EVALUATION_BATCH
from sercli.training.validate import new_model


def listener_scores(
    config: Config, data: Data, folds: Sequence[Fold], results: Sequence[FoldResult]
) -> dict[str, Any] | None:
    """Score test predictions against the labels of each rater, as Ando et al. (ICASSP 2021).

    Each label of a rater for a test utterance is an item. It is compared with the prediction for
    the utterance; in a model of single raters, with that for the rater, if the training set of the
    fold has labels of the rater. Items are pooled over folds for each rater, UA and WA averaged
    over raters, then over seeds. UA is the mean recall over the classes that the rater named.

    Args:
        config: The configuration.
        data: The corpus.
        folds: All folds.
        results: All seeds × folds.

    Returns:
        ``ua``, ``wa``, and the numbers of ``raters`` and of their ``labels`` per seed; None with
        ``trainer.labels=majority`` or without a rater's label in test.
    """
    if config.trainer.labels == "majority" or not results:
        return None
    of_fold = {fold.name: fold for fold in folds}
    items = pd.concat(
        [_items(config, data, of_fold[each.fold], each) for each in results], ignore_index=True
    )
    if items.empty:
        return None
    scores = [
        {"seed": seed, "ua": ua(*pair), "wa": wa(*pair)}
        for (seed, _), part in items.groupby(["seed", "rater"])
        for pair in [(part["label"].tolist(), part["predicted"].tolist())]
    ]
    means = pd.DataFrame(scores).groupby("seed").mean().mean()
    return {
        "ua": float(means["ua"]),
        "wa": float(means["wa"]),
        "raters": int(items["rater"].nunique()),
        "labels": len(items) // items["seed"].nunique(),
    }


def _items(config: Config, data: Data, fold: Fold, result: FoldResult) -> pd.DataFrame:
    """Return the test labels of raters: ``seed``, ``rater``, ``label``, ``predicted``."""
    found = result.predictions
    test = found[(found["part"] == "test") & (found["selection"] == "dev")]
    items = data.ratings.merge(test[["utterance", "seed", "predicted"]], on="utterance")
    rated = data.ratings["utterance"].isin(fold.train)
    known = items["rater"].isin(data.ratings.loc[rated, "rater"])
    if getattr(MODELS[config.model["system"]], "needs_raters", False) and known.any():
        model = new_model(config, data)
        model.load_state_dict({x: torch.from_numpy(value) for x, value in result.weights.items()})
        items.loc[known, "predicted"] = _predict(config, model, data, items[known])
    return items[["seed", "rater", "label", "predicted"]]


def _predict(config: Config, model: nn.Module, data: Data, items: pd.DataFrame) -> np.ndarray:
    """Return the class that a model predicts for each rater and utterance."""
    use_backend(config.recurrence.backend)
    device, turns = choose_device(config.device), data.packed
    model.to(device).eval()
    rows = turns.rows(items["utterance"])
    raters = items["rater"].map(data.raters.index).to_numpy(np.int64)
    order = np.argsort(turns.lengths[rows], kind="stable")
    found = np.empty(len(rows), np.int64)
    with torch.inference_mode(), autocast(device, config.precision):
        for start in range(0, len(order), EVALUATION_BATCH):
            part = order[start : start + EVALUATION_BATCH]
            batch = collate(rows[part], turns, device)
            asked = replace(batch, rater=torch.from_numpy(raters[part]).to(device))
            found[part] = as_output(model(asked)).logits.argmax(dim=1).cpu().numpy()
    return np.array(data.manifest.classes, dtype=object)[found]
