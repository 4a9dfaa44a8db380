"""Caveats: what limits the interpretation of a result.

None of them stops a run: each is one line, noted before or after the run is trained and kept on
its protocol card.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from sercli.config.schema import Config
from sercli.corpora.dimensions import left_out
from sercli.errors import counted
from sercli.features.checkpoints import seen_by_checkpoints
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold, shared_speakers
from sercli.training.data import Data
from sercli.training.raters import ratings_caveat

_LISTED = 5
"""Folds that a caveat names (our choice: it stays a line)."""


def caveats(config: Config, data: Data, folds: Sequence[Fold]) -> list[str]:
    """Return the caveats of a run's folds, one line each."""
    protocol = config.protocol
    shared = {name for fold in folds for name in shared_speakers(fold, data.speakers, protocol)}
    found = []
    if protocol.dev == "test":
        found.append("the training step is selected on test: results are TEST-SELECTED")
    if shared:
        found.append(
            f"{counted(len(shared), 'speaker')} in two parts of the split, e.g. {min(shared)}: "
            "results are not speaker-independent"
        )
    for _, features, corpus in seen_by_checkpoints(config):
        found.append(
            f"the encoder {features.name} was trained on the labels of {corpus}: results are not "
            "those of unseen speech"
        )
    unrated = ratings_caveat(config, data)
    if unrated is not None:
        found.append(unrated)
    if data.manifest.dimensions is not None:
        return [*found, *left_out(data.manifest)]
    return [*found, *_missing_classes(folds, data.labels, data.manifest.classes)]


def context_caveat(config: Config, data: Data, model: nn.Module) -> str | None:
    """Return a caveat if a model that uses context gets none, though it was configured."""
    asked = config.dataset.context.choose != "none" and getattr(model, "uses_context", False)
    if asked and data.context.isna().all(axis=None):
        return (
            f"{data.manifest.dataset} has no context turns for model {config.model['name']}: "
            "a pad turn of zeros stands for each"
        )
    return None


def frozen_caveat(results: Sequence[FoldResult]) -> str | None:
    """Return a caveat if an optimiser stopped moving weights (`sercli.training.monitoring`)."""
    frozen = {
        f"{result.fold} (seed {result.seed})": share
        for result in results
        if "frozen_weights" in result.history
        and (share := result.history["frozen_weights"].max()) > 0
    }
    if not frozen:
        return None
    return (
        f"Adam's second moment became infinite in up to {_percent(max(frozen.values()))} of the "
        f"weights, which never moved again, in {_folds(list(frozen))}: gradients were too large "
        "for float32; optim.clip_norm prevents this"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 0.0001 else "less than 0.01 %"


def _missing_classes(
    folds: Sequence[Fold], labels: Mapping[str, str], classes: Sequence[str]
) -> Iterator[str]:
    in_training = {fold.name: {labels[name] for name in fold.train} for fold in folds}
    for label in classes:
        if lacking := [name for name, found in in_training.items() if label not in found]:
            yield f"no '{label}' in the training set of {_folds(lacking)}: it cannot be recognised"
    one = [fold.name for fold in folds if len({labels[name] for name in fold.dev}) == 1]
    if one:
        yield f"only one class in the dev set of {_folds(one)}: selection on it is unreliable"


def _folds(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    return f"fold {listed}" if len(names) == 1 else f"{len(names)} folds ({listed})"
