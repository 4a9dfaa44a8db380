"""Validation of a configuration against its corpus, once, before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import NoReturn

from torch import nn

from sercli.config.run_key import run_key
from sercli.config.schema import AdversaryConfig, Config, FeaturesConfig
from sercli.errors import RequestError
from sercli.features.checkpoints import check_seen
from sercli.features.sets import column_names, feature_set, of_stream
from sercli.models import MODELS, build_model, is_fitted
from sercli.models.adversary import attach_adversary, find_classifier
from sercli.models.interface import CorpusInfo
from sercli.nn.device import choose_device
from sercli.results.folds import Fold
from sercli.training.augment import check_augmentation, check_partners
from sercli.training.data import Data
from sercli.training.encoder import check_encoder, pretrained_encoder
from sercli.training.folds import check_samples, make_folds
from sercli.training.initial_weights import InitialWeights, find_initial_weights, with_digest
from sercli.training.optim import parameter_groups
from sercli.training.raters import check_ratings


@dataclass(frozen=True)
class ValidatedRun:
    """A configuration that fits its corpus.

    Attributes:
        config: The configuration.
        data: The corpus.
        folds: The folds of its protocol.
        model: A model as it will be trained, to be described, not trained.
        key: Key of the run.
        initial: Initial weights; None: random ones.
    """

    config: Config
    data: Data
    folds: Sequence[Fold]
    model: nn.Module
    key: str
    initial: InitialWeights | None = None

    @property
    def parameters(self) -> int:
        """Number of trainable parameters of the model."""
        return sum(each.numel() for each in self.model.parameters() if each.requires_grad)


def validate_run(config: Config, data: Data) -> ValidatedRun:
    """Divide the corpus and build the model of a configuration.

    Args:
        config: The configuration.
        data: The corpus that ``config`` reads.

    Raises:
        RequestError: The configuration does not fit the corpus, a setting is invalid, or the
            initial weights do not fit (`sercli.training.initial_weights`).
    """
    folds = make_folds(data.manifest, config.protocol)
    check_samples(folds, data)
    check_augmentation(config)
    check_partners(config, data)
    check_ratings(config, data, folds)
    check_dimensions(config)
    model = new_model(config, data)
    initial = find_initial_weights(config, data, folds, model, partial(_wider_model, config, data))
    if initial is not None:
        config = with_digest(config, initial)
        initial.freeze(model)
    parameter_groups(model, config.optim)  # refuses encoder_lr without an encoder
    return ValidatedRun(config, data, folds, model, run_key(config, data.fingerprint), initial)


def check_settings(config: Config) -> None:
    """Refuse settings of parts that are invalid with any corpus, before one is read.

    The model is built for an unknown corpus. One that needs facts of its corpus is left to
    `validate_run`.

    Raises:
        RequestError: The device is not available here; or the model, cell, activation or an
            augmentation, or one of their settings, is unknown or out of range.
    """
    choose_device(config.device)
    _check_level(config)
    check_dimensions(config)
    check_seen(config)
    check_augmentation(config)
    for name, features in config.streams.items():
        with of_stream(name):
            feature_set(features)
    unread = CorpusInfo(
        model=config.model["name"],
        values=_not_read,
        columns=_not_read,
        streams=dict.fromkeys(config.streams, _UNREAD),
        encoder=partial(_checked_encoder, config.features, config.model["name"]),
    )
    with suppress(_NotReadError):
        build_model(
            config.model, config.cell, config.activation, inputs=_UNREAD, classes=2, corpus=unread
        )


_UNREAD = 4
"""Features of a step in a model for an unknown corpus."""


def check_dimensions(config: Config) -> None:
    """Refuse dimensional labels for a model whose outputs can only be classes.

    Raises:
        RequestError: ``dataset.dimensions`` is set, and the model is fitted to classes, or averages
            log-probabilities of segments.
    """
    if not config.dataset.dimensions:
        return
    name = config.model["name"]
    if is_fitted(config.model):
        raise RequestError(
            f"dataset.dimensions: model {name} is fitted to classes; use another model"
        )
    if hasattr(MODELS[config.model["system"]], "segments_per_turn"):
        raise RequestError(
            f"dataset.dimensions: the outputs of model {name} are log-probabilities of classes; "
            "use another model"
        )


class _NotReadError(Exception):
    """The model asks for facts of a corpus that has not been read."""


def _not_read(*column: str) -> NoReturn:
    raise _NotReadError


def _checked_encoder(features: FeaturesConfig, model: str) -> NoReturn:
    check_encoder(features, model)
    raise _NotReadError


def new_model(config: Config, data: Data) -> nn.Module:
    """Build the model of a configuration for a corpus.

    Raises:
        RequestError: The model, cell or activation, or one of their settings, is unknown; or the
            corpus lacks what the model learns from.
    """
    return new_model_for(
        config,
        corpus=data.manifest.dataset,
        inputs=data.features,
        classes=data.manifest.outputs,
        values=data.values,
        streams=data.stream_features,
    )


def _wider_model(config: Config, data: Data) -> nn.Module:
    """Build a model with one more output, and one more value of each auxiliary task."""
    return new_model_for(
        replace(config, adversary=AdversaryConfig()),
        corpus=data.manifest.dataset,
        inputs=data.features,
        classes=data.manifest.outputs + 1,
        values=lambda column: [*data.values(column), ""] if data.values(column) else [],
        streams=data.stream_features,
    )


def new_model_for(
    config: Config,
    *,
    corpus: str,
    inputs: int,
    classes: int,
    values: Callable[[str], Sequence[str]],
    streams: Mapping[str, int] = MappingProxyType({}),
) -> nn.Module:
    """Build the model of a configuration from the facts of a corpus; see `new_model`.

    Args:
        config: The configuration.
        corpus: Name of the corpus, for messages.
        inputs: Features of a step.
        classes: Number of classes.
        values: Column of the manifest → its sorted values among the targets.
        streams: Name of a stream → features of its steps; default: none.
    """
    _check_level(config)
    info = CorpusInfo(
        name=corpus,
        model=config.model["name"],
        values=values,
        columns=partial(column_names, config.features),
        streams=streams,
        encoder=partial(pretrained_encoder, config.features, config.model["name"]),
    )

    def build(classes: int) -> nn.Module:
        return build_model(
            config.model,
            config.cell,
            config.activation,
            inputs=inputs,
            classes=classes,
            corpus=info,
        )

    model = build(classes)
    if config.adversary.column != "none":
        _add_adversary(config, model, build, classes, info)
    return model


def _add_adversary(
    config: Config,
    model: nn.Module,
    build: Callable[[int], nn.Module],
    classes: int,
    corpus: CorpusInfo,
) -> None:
    """Add the adversary of a configuration to its model.

    Raises:
        RequestError: The model is fitted, or the column has fewer than two values.
    """
    column, values = config.adversary.column, corpus.values(config.adversary.column)
    if is_fitted(config.model):
        raise RequestError(
            f"adversary.column={column}: model {corpus.model} is fitted, not trained; use another"
        )
    if len(values) < 2:
        remedy = {"corpus": "name several: dataset=several dataset.of=[emodb,savee]"}
        raise RequestError(
            f"adversary.column={column}: {corpus.name} has {len(values)} values of it, and an "
            f"adversary needs two; {remedy.get(column, 'set adversary.column=none')}"
        )
    attach_adversary(
        model,
        find_classifier(model, build, classes),
        column,
        len(values),
        config.adversary.weight,
        config.adversary.hidden,
    )


def _check_level(config: Config) -> None:
    """Refuse frames where a model reads one row per utterance."""
    needed = getattr(MODELS[config.model["system"]], "level", config.features.level)
    if config.features.level != needed:
        raise RequestError(
            f"model {config.model['name']} reads one row per utterance, and features.level="
            f"{config.features.level} has a row per frame; set features.level={needed} with "
            "features=eGeMAPSv02, emobase or ComParE_2016"
        )
