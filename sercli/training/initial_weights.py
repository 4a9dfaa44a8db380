"""Initial weights: of a trained model (``init.run``), or of a published file (``init.file``).

Every fold run starts from one network of the model. A network that has seen a test utterance of
the fold, or under a speaker-independent protocol another utterance of a test speaker, is refused.
The training data of a published network are unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from sercli.config.keys import differences
from sercli.config.schema import Config, corpus_name, features_by_key
from sercli.errors import RequestError
from sercli.features.sets import column_names
from sercli.files import file_digest
from sercli.models import MODELS, is_fitted
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.results.seen import identities, overlap
from sercli.results.weights import Shapes, first_misfit, read_shapes, read_weights
from sercli.training.data import Data, describe_utterances
from sercli.training.published_weights import published_names
from sercli.training.source import Member, Source, open_source
from sercli.training.weights import weight_shapes


@dataclass(frozen=True)
class FoldWeights:
    """The initial weights of one fold run.

    Attributes:
        path: The file of weights.
        anew: Tensors of the model that keep their random initial values.
        trained: Parameters to train; None: all.
        names: Tensor of the model → its name in the file; None: the same names.
    """

    path: Path
    anew: frozenset[str]
    trained: frozenset[str] | None
    names: Mapping[str, str] | None = None

    def load(self, model: nn.Module) -> None:
        """Load the weights into a model, and freeze the parameters that are not to be trained.

        Raises:
            SercliError: The file is missing, damaged, or of another model.
        """
        state = model.state_dict()
        state |= {
            name: torch.from_numpy(value)
            for name, value in self.read().items()
            if name in state and name not in self.anew
        }
        model.load_state_dict(state)
        freeze(model, self.trained)

    def read(self) -> dict[str, np.ndarray]:
        """Read the tensors of the file, by their names in the model.

        Raises:
            SercliError: The file is missing or damaged.
        """
        found = read_weights(self.path, read_shapes(self.path))
        if self.names is None:
            return found
        return {own: found[name] for own, name in self.names.items()}


@dataclass(frozen=True)
class InitialWeights:
    """The initial weights of a run.

    Attributes:
        origin: Facts of the model or the file that they are taken from, for the protocol card.
        digest: SHA-256 of the files of all fold runs, in order.
        files: Seed and name of a fold → weights that it starts from.
        anew: Tensors of the model that keep their random initial values.
        trained: Parameters to train; None: all.
        parameters: Names of the parameters of the model, without its buffers.
        seen: Fold → utterances that its initial weights have seen; None: not known.
        caveats: Lines for the protocol card, such as settings of the features that differ.
    """

    origin: Mapping[str, Any]
    digest: str
    files: Mapping[tuple[int, str], FoldWeights]
    anew: frozenset[str]
    trained: frozenset[str] | None
    parameters: frozenset[str]
    seen: Mapping[str, pd.DataFrame] | None
    caveats: tuple[str, ...]

    def of(self, seed: int, fold: str) -> FoldWeights:
        """Return the initial weights of a fold run."""
        return self.files[seed, fold]

    def of_one_fold(self, name: str) -> InitialWeights:
        """Return the initial weights of a fold that trains on all utterances.

        Raises:
            RequestError: The folds of the run start from different networks.
        """
        files: dict[tuple[int, str], FoldWeights] = {}
        for (seed, _), file in self.files.items():
            if files.setdefault((seed, name), file) != file:
                raise RequestError(
                    "--refit: each fold of the run starts from a network of its own; set init.fold "
                    "in a run to be refitted"
                )
        return replace(self, files=files)

    def freeze(self, model: nn.Module) -> None:
        """Freeze the parameters of a model that are not to be trained."""
        freeze(model, self.trained)

    def facts(self) -> dict[str, Any]:
        """Return the facts for the protocol card, with counts of seen utterances and speakers."""
        facts = {
            **self.origin,
            "digest": self.digest,
            "train": "all" if self.trained is None else "head",
            "anew": sorted(self.anew),
        }
        if self.seen is None:
            return facts
        counts = {
            fold: {
                "utterances": len(table),
                "speakers": len(table[["corpus", "speaker"]].drop_duplicates()),
                "tested": 0,
                "compared_by": "samples" if table["content"].notna().all() else "id",
            }
            for fold, table in self.seen.items()
        }
        return {**facts, "seen": counts}

    def distances(self, results: Sequence[FoldResult]) -> list[dict[str, Any]]:
        """Return the relative distance that each layer has moved in each fold run.

        It is ‖w − w₀‖ / ‖w₀‖ over all parameters of a layer, w₀ being the initial ones. Layers that
        started anew, or from zeros only, have none.

        Returns:
            ``seed``, ``fold``, and layer → distance in ``layers``.
        """
        found = []
        for result in (each for each in results if each.weights):
            before = self.of(result.seed, result.fold).read()
            kept = [name for name in result.weights if name in self.parameters - self.anew]
            layers = {name.rpartition(".")[0]: [] for name in kept}  # type: dict[str, list[str]]
            for name in kept:
                layers[name.rpartition(".")[0]].append(name)
            moved = {layer: _distance(before, result.weights, x) for layer, x in layers.items()}
            known = {layer: value for layer, value in moved.items() if value is not None}
            found.append({"seed": result.seed, "fold": result.fold, "layers": known})
        return found


def freeze(model: nn.Module, trained: Collection[str] | None) -> None:
    """Freeze the parameters of a model.

    Args:
        model: The model.
        trained: Names of the parameters that stay trainable; None: all.
    """
    if trained is not None:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trained)


def train_mode(model: nn.Module) -> None:
    """Set a model to training, and its frozen batch normalisation to evaluation.

    The running statistics of a frozen layer would move otherwise.
    """
    model.train()
    for part in model.modules():
        if hasattr(part, "running_mean"):
            part.train(all(each.requires_grad for each in part.parameters()))


def find_initial_weights(
    config: Config,
    data: Data,
    folds: Sequence[Fold],
    model: nn.Module,
    wider: Callable[[], nn.Module],
) -> InitialWeights | None:
    """Find the weights that ``init`` names, and check that every fold may start from them.

    Args:
        config: The configuration.
        data: The corpus.
        folds: The folds of its protocol.
        model: A model as it will be trained.
        wider: Builds the same model with one more output, and one more value of each auxiliary
            task, to find the tensors of its head.

    Returns:
        The weights; None for random ones.

    Raises:
        RequestError: There is no such model, file, fold or seed; its features or tensors do not
            fit; it has seen test utterances or, where speakers must differ, test speakers; or its
            weights are not those of ``init.digest``.
        SercliError: The model is damaged.
    """
    init = config.init
    if init.run is None and init.file is None:
        return None
    where = f"init.run={init.run}" if init.file is None else f"init.file={init.file}"
    if is_fitted(config.model):
        raise RequestError(
            f"{where}: model {config.model['name']} is fitted, not trained, and has no initial "
            "weights; use another model"
        )
    head = _head(model, wider())
    if init.file is None:
        found = _of_run(config, data, folds, model, head, where)
    else:
        found = _of_file(config, folds, model, head, Path(init.file), where)
    if init.digest not in (None, found.digest):
        raise RequestError(
            f"{where}: its weights have changed: their digest is {found.digest[:12]}…, and "
            f"init.digest is {init.digest:.12}…; restore them, or set init.digest=null"
        )
    return found


def _of_file(
    config: Config,
    folds: Sequence[Fold],
    model: nn.Module,
    head: frozenset[str],
    path: Path,
    where: str,
) -> InitialWeights:
    """Find the weights of a published file; all folds and seeds start from it."""
    init = config.init
    for key in ("run", "fold", "seed"):
        if getattr(init, key) is not None:
            raise RequestError(f"{where}: all folds start from the file; set init.{key}=null")
    names = published_names(path, model, config.model["name"], head, where)
    trained = head if init.train == "head" else None
    weights = FoldWeights(path.absolute(), head, trained, names)
    return InitialWeights(
        origin={"file": path.name},
        digest=_digest([path]),
        files={(seed, fold.name): weights for seed in config.seeds for fold in folds},
        anew=head,
        trained=trained,
        parameters=frozenset(name for name, _ in model.named_parameters()),
        seen=None,
        caveats=(f"the training data of {path.name} are not known; they may hold test utterances",),
    )


def _of_run(
    config: Config,
    data: Data,
    folds: Sequence[Fold],
    model: nn.Module,
    head: frozenset[str],
    where: str,
) -> InitialWeights:
    """Find the weights of a trained model for each fold."""
    init = config.init
    try:
        source = open_source(str(init.run), Path(config.paths.runs), fold=init.fold, seed=init.seed)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error
    _check_features(config, source, where)
    seen = source.seen()
    refusal = _independence(config, data, seen, where)
    starts = _starts(config, source, folds, refusal, where)
    networks = _networks(config, source, starts)
    anew = _anew(source, set(networks.values()), data, model, head, where)
    trained = head | anew if init.train == "head" else None
    return InitialWeights(
        origin={
            "run": source.name,
            "dataset": source.config.dataset.name,
            "networks": [
                {"seed": seed, "fold": fold, "from_seed": each.seed, "from_fold": each.fold}
                for (seed, fold), each in networks.items()
            ],
        },
        digest=_digest([source.weights(each) for each in networks.values()]),
        files={
            run: FoldWeights(source.weights(each).absolute(), anew, trained)
            for run, each in networks.items()
        },
        anew=anew,
        trained=trained,
        parameters=frozenset(name for name, _ in model.named_parameters()),
        seen={name: seen[own] for name, own in starts.items()},
        caveats=tuple(_other_features(config, source)),
    )


Refusal = Callable[[str, Fold], str | None]
"""Function from a fold of the source and a fold of the run to the error; None: no overlap."""


def _starts(
    config: Config, source: Source, folds: Sequence[Fold], refusal: Refusal, where: str
) -> dict[str, str]:
    """Return the fold of the source that each fold starts from.

    Raises:
        RequestError: It has seen test utterances or test speakers, or it has to be named.
    """
    there = list(dict.fromkeys(each.fold for each in source.members))
    same = source.config.dataset.name == config.dataset.name and all(x.name in there for x in folds)
    if len(there) == 1:
        starts = {fold.name: there[0] for fold in folds}
    elif same:
        starts = {fold.name: fold.name for fold in folds}
    else:
        ranked = _best_first(source, there, where)
        free = [own for own in ranked if not any(refusal(own, fold) for fold in folds)]
        starts = {fold.name: (free or ranked)[0] for fold in folds}
    for fold in folds:
        if (reason := refusal(starts[fold.name], fold)) is not None:
            raise RequestError(reason)
    return starts


def _best_first(source: Source, folds: Sequence[str], where: str) -> list[str]:
    """Sort folds by UA or CCC on dev, averaged over seeds, best first."""
    found: dict[str, list[float]] = {}
    for each in source.summary["metrics"].get("by_fold", ()):
        found.setdefault(each["fold"], []).append(each.get("dev_ua", each.get("dev_ccc")))
    means = {fold: float(np.mean(found[fold])) for fold in folds if fold in found}
    if not means:
        raise RequestError(
            f"{where}: it has {len(folds)} folds; name the one to start from: init.fold={folds[0]}"
        )
    return sorted(means, key=lambda fold: -means[fold])


def _networks(
    config: Config, source: Source, starts: Mapping[str, str]
) -> dict[tuple[int, str], Member]:
    """Map each fold run to its initial network: that of its seed, else of the first seed."""
    networks = {}
    for seed in config.seeds:
        for name, own in starts.items():
            of_fold = {each.seed: each for each in source.members if each.fold == own}
            networks[seed, name] = of_fold.get(seed, next(iter(of_fold.values())))
    return networks


def _head(model: nn.Module, wider: nn.Module) -> frozenset[str]:
    """Return the tensors whose shapes depend on the classes or the values of a column."""
    one, other = weight_shapes(model), weight_shapes(wider)
    return frozenset(name for name in one if one[name] != other.get(name))


def _anew(
    source: Source,
    members: set[Member],
    data: Data,
    model: nn.Module,
    head: frozenset[str],
    where: str,
) -> frozenset[str]:
    """Return the tensors that start anew: the head, unless classes and shapes are the same.

    Raises:
        RequestError: Any other tensor does not fit.
    """
    wanted, optional = weight_shapes(model), _only_pretraining(source)
    same_dimensions = tuple(source.config.dataset.dimensions) == data.manifest.dimension_names
    same_task = same_dimensions and source.classes == data.manifest.classes
    anew: set[str] = set()
    for member in members:
        found = read_shapes(source.weights(member))
        if optional:
            anew |= wanted.keys() - found.keys()
            found = {x: y for x, y in found.items() if x in wanted or not x.startswith(optional)}
        fits = same_task and all(found.get(name) == wanted[name] for name in head)
        anew |= set() if fits else head
        loaded = (_without(shapes, head | anew) for shapes in (found, wanted))
        if wrong := first_misfit(*loaded):
            raise RequestError(
                f"{where}: {wrong}; set model, cell and activation as in that run "
                f"(`sercli diff` compares two runs)"
            )
    return frozenset(anew)


def _without(shapes: Shapes, names: Collection[str]) -> Shapes:
    return {name: shape for name, shape in shapes.items() if name not in names}


def _only_pretraining(source: Source) -> tuple[str, ...]:
    """Return name prefixes of tensors used in pre-training only; empty for a complete model."""
    part = MODELS[source.config.model["system"]]
    contrastive = (source.pretraining or {}).get("objective") == "cpc"
    return tuple(getattr(part, "only_pretraining", ())) if contrastive else ()


def _check_features(config: Config, source: Source, where: str) -> None:
    here = column_names(config.features)
    if source.columns != here:
        raise RequestError(
            f"{where}: it reads {len(source.columns)} features of {source.config.features.name}, "
            f"not the {len(here)} of {config.features.name}; set features="
            f"{source.config.features.name}"
        )


def _other_features(config: Config, source: Source) -> list[str]:
    then, now = _features_by_key(source.config), _features_by_key(config)
    return [
        f"the initial weights were trained with {each.key}={each.left}, not {each.right}"
        for key in then
        if key in now
        for each in differences({key: then[key]}, {key: now[key]})
    ]


def _features_by_key(config: Config) -> dict[str, dict[str, Any]]:
    """Return the settings of the features and of each stream, without paths, by their keys."""
    without = {"config": None, "path": None}
    return {key: asdict(each) | without for key, each in sorted(features_by_key(config).items())}


def _independence(
    config: Config, data: Data, seen: Mapping[str, pd.DataFrame], where: str
) -> Refusal:
    """Return the check that weights have seen no test utterance and no test speaker.

    Test speakers are not checked if ``protocol.same_speakers`` allows them in training.
    """
    corpus = identities(describe_utterances(data), corpus_name(config.dataset))
    remedy = (
        "start from a run with the same folds, from one of its folds that leaves these speakers "
        "out (init.fold=…), or from another corpus"
    )

    def refusal(own: str, fold: Fold) -> str | None:
        both = overlap(seen[own], corpus, fold.test)
        if both.utterances:
            return (
                f"{where}: its fold {own} has seen {len(both.utterances)} of the "
                f"{len(fold.test)} test utterances of fold {fold.name} in train or dev, e.g. "
                f"'{both.utterances[0]}'; {remedy}"
            )
        if both.speakers and not config.protocol.same_speakers:
            return (
                f"{where}: its fold {own} has seen other utterances of {len(both.speakers)} test "
                f"speakers of fold {fold.name}, e.g. '{both.speakers[0]}'; {remedy}"
            )
        return None

    return refusal


def _digest(paths: Sequence[Path]) -> str:
    digest = cache(file_digest)  # several folds may start from one file
    return hashlib.sha256("\n".join(map(digest, paths)).encode()).hexdigest()


def _distance(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], names: Sequence[str]
) -> float | None:
    start = sum(float(np.square(before[name], dtype=np.float64).sum()) for name in names)
    moved = sum(
        float(np.square(np.subtract(after[name], before[name], dtype=np.float64)).sum())
        for name in names
    )
    return (moved / start) ** 0.5 if start else None


def with_digest(config: Config, found: InitialWeights) -> Config:
    """Return a configuration with the digest of its initial weights, which enters the key."""
    return replace(config, init=replace(config.init, digest=found.digest))
