"""Check the ranges of a configuration, which types cannot state."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sercli.config.schema import Config, DatasetConfig, ProtocolConfig, features_by_key
from sercli.errors import RequestError, nearest


def check(config: Config) -> None:
    """Check the value of each setting.

    Raises:
        RequestError: A value is out of range; the message names the key and the allowed values.
    """
    for name, allowed, words in _RANGES:
        for key in _places(config, name):
            value = _select(config, key)
            if not allowed(value):
                raise RequestError(f"{key}={value}: must be {words}")
    for name, choices in _CHOICES.items():
        for key in _places(config, name):
            value = _select(config, key)
            if value not in choices:
                raise RequestError(f"{key}={value} is not known.{nearest(str(value), choices)}")
    _check_streams(config)
    _check_corpora(config.dataset)
    _check_normalisation(config)
    _check_dimensions(config)
    _check_protocol(config.protocol)
    _check_learning_rate(config)


def allowed_values(key: str) -> tuple[str, ...]:
    """Return the allowed values of a setting; empty if they are not a fixed list.

    >>> allowed_values("trainer.class_weights")
    ('none', 'balanced')
    """
    return _CHOICES.get(key, _USUAL.get(key, ()))


def allowed_range(key: str) -> str:
    """Return the allowed range of a setting, such as "above 0"; empty if it has none."""
    return next((words for name, _, words in _RANGES if name == key), "")


def _check_corpora(dataset: DatasetConfig) -> None:
    """Check that the corpora of ``dataset=several`` are named and are those that were resolved."""
    if dataset.reader == "several" and not dataset.parts:
        raise RequestError("dataset=several: name its corpora, as in dataset.of=[emodb,savee]")
    if dataset.reader != "several" and (dataset.of or dataset.parts):
        raise RequestError("dataset.of and dataset.parts need dataset=several")
    if dataset.of and set(dataset.of) != set(dataset.parts):
        raise RequestError(
            f"dataset.of=[{','.join(dataset.of)}], and dataset.parts has the settings of "
            f"{', '.join(dataset.parts)}: name the same corpora in both; a sweep cannot vary "
            "dataset.of"
        )


def _check_normalisation(config: Config) -> None:
    """Check that a normalisation per corpus has several corpora."""
    for node, features in features_by_key(config).items():
        if features.normalise == "corpus" and not config.dataset.parts:
            raise RequestError(
                f"{node}.normalise=corpus needs several corpora, as in dataset=several "
                f"dataset.of=[emodb,savee]; with one corpus set {node}.normalise=speaker"
            )


def _check_dimensions(config: Config) -> None:
    """Check the settings of dimensional labels."""
    if config.dataset.dimensions:
        _check_scale(config.dataset)
        _check_ccc_weights(config)
        _check_no_classes(config)
    elif not config.dataset.classes:
        raise RequestError(
            f"dataset.classes={config.dataset.classes}: must be a class for each emotion, as in "
            "dataset.classes.ang=anger"
        )
    elif config.trainer.ccc_weights:
        raise RequestError("trainer.ccc_weights needs dataset.dimensions")


def _check_scale(dataset: DatasetConfig) -> None:
    """Check the names and the scale of dimensional labels."""
    names = dataset.dimensions
    if len(set(names)) < len(names) or not set(names) <= set(_DIMENSIONS):
        raise RequestError(
            f"dataset.dimensions=[{','.join(names)}]: must be some of {', '.join(_DIMENSIONS)}, "
            "each once"
        )
    if len(dataset.scale) != 2 or not dataset.scale[0] < dataset.scale[1]:
        raise RequestError(
            f"dataset.scale={dataset.scale}: dataset.dimensions needs the ends of the scale of the "
            "labels, as in dataset.scale=[1,5]"
        )


def _check_ccc_weights(config: Config) -> None:
    """Check the weights of the dimensions in the loss."""
    names, weights = config.dataset.dimensions, config.trainer.ccc_weights
    for name, weight in weights.items():
        if name not in names or not 0 <= weight < float("inf"):
            raise RequestError(
                f"trainer.ccc_weights.{name}={weight:g}: must be 0 or more, and its "
                f"dimension one of {', '.join(names)}"
            )


def _check_no_classes(config: Config) -> None:
    """Refuse settings for classes, which dimensional labels do not have."""
    for key, usual in _OF_CLASSES.items():
        if (value := _select(config, key)) != usual:
            raise RequestError(f"{key}={value} is for classes; with dataset.dimensions set {usual}")
    if config.dataset.parts:
        raise RequestError("dataset.dimensions needs a single corpus: the scales of corpora differ")
    if "copy_paste" in config.augment:
        raise RequestError(
            "augment=copy_paste needs classes, and dataset.dimensions has none; set augment=none"
        )


_DIMENSIONS = ("valence", "arousal", "dominance")

_OF_CLASSES = {
    "trainer.labels": "majority",
    "trainer.class_weights": "none",
    "trainer.focal_gamma": 0.0,
}
"""Setting for classes → its value without effect."""


def _check_learning_rate(config: Config) -> None:
    """Check that optimiser, schedule and training are compatible."""
    optim, schedule, steps = config.optim, config.schedule, config.trainer.steps
    if optim.momentum and optim.name.startswith("adam"):
        raise RequestError(
            f"optim.momentum={optim.momentum:g}: {optim.name} has no momentum; "
            "use optim=sgd or rmsprop, or optim.momentum=0"
        )
    if schedule.warmup > steps:
        raise RequestError(
            f"schedule.warmup={schedule.warmup}: must not be above trainer.steps={steps}"
        )
    if schedule.min_lr > optim.lr:
        raise RequestError(
            f"schedule.min_lr={schedule.min_lr:g}: must not be above optim.lr={optim.lr:g}"
        )
    if schedule.name == "plateau" and config.protocol.refit:
        raise RequestError(
            "schedule=plateau follows dev UA, and protocol.refit=true trains on dev; "
            "use schedule=step, cosine or linear"
        )


def _check_protocol(protocol: ProtocolConfig) -> None:
    """Check that the settings of the protocol are compatible."""
    needed = {"next": "leave_one_out", "column": "column"}.get(protocol.dev, protocol.folds)
    if protocol.folds != needed:
        raise RequestError(
            f"protocol.dev={protocol.dev} needs protocol.folds={needed}; "
            "set protocol.dev=speaker, speakers, dialogues or utterances"
        )
    if protocol.refit and protocol.dev == "test":
        raise RequestError(
            "protocol.refit=true with protocol.dev=test would train on test; change one of them"
        )
    wanted = set(ProtocolConfig().sides)
    if set(protocol.sides) != wanted:
        raise RequestError(f"protocol.sides must list the values of {', '.join(sorted(wanted))}")


def _check_streams(config: Config) -> None:
    for name in config.streams:
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise RequestError(f"streams.{name}: a name has letters, digits and _ only")


def _places(config: Config, key: str) -> list[str]:
    """Return a key, and those of the same setting of each stream."""
    group, _, name = key.partition(".")
    return [f"{each}.{name}" for each in features_by_key(config)] if group == "features" else [key]


def _select(config: Config, key: str) -> Any:
    node: Any = config
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else getattr(node, name)
    return node


def _positive(value: float | None) -> bool:
    return value is None or value > 0


def _share(value: float) -> bool:
    return 0 <= value < 1


def _name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _different_seeds(values: list[int]) -> bool:
    return bool(values) and min(values) >= 0 and len(set(values)) == len(values)


def _file_name(value: str) -> bool:
    return bool(value) and value[0] not in ".-" and not set(value) & set("/\\\0\n")


_RANGES: list[tuple[str, Callable[[Any], bool], str]] = [
    ("model.name", _name, "a name"),
    ("model.system", _name, "the name of a model"),
    ("cell.name", _name, "the name of a cell"),
    ("activation.name", _name, "the name of an activation"),
    ("seeds", _different_seeds, "at least one seed, none below 0, each only once"),
    ("experiment", _file_name, "a name that a folder can have, without '/' or a leading '.'"),
    ("trainer.steps", _positive, "1 or more"),
    ("trainer.batch_size", _positive, "1 or more"),
    ("trainer.accumulate", _positive, "1 or more"),
    ("trainer.eval_every", _positive, "1 or more"),
    ("trainer.min_ratings", _positive, "1 or more"),
    ("trainer.patience", _positive, "1 or more, or null for no early stop"),
    ("trainer.label_smoothing", _share, "in [0, 1)"),
    ("trainer.focal_gamma", lambda value: 0 <= value < float("inf"), "0 or more"),
    ("optim.lr", _positive, "above 0"),
    ("optim.encoder_lr", _positive, "above 0, or null for optim.lr"),
    ("optim.clip_norm", _positive, "above 0, or null for no clipping"),
    ("optim.weight_decay", lambda value: value >= 0, "0 or more"),
    ("optim.momentum", _share, "in [0, 1)"),
    ("schedule.warmup", lambda value: value >= 0, "0 or more"),
    ("schedule.step_size", _positive, "1 or more"),
    ("schedule.factor", lambda value: 0 < value < 1, "between 0 and 1"),
    ("schedule.patience", lambda value: value >= 0, "0 or more"),
    ("schedule.min_lr", lambda value: value >= 0, "0 or more"),
    ("adversary.weight", lambda value: 0 <= value < float("inf"), "0 or more"),
    ("adversary.hidden", _positive, "1 or more"),
    ("init.seed", lambda value: value is None or value >= 0, "0 or more, or null"),
    ("pretrain.tasks", _positive, "1 or more"),
    ("pretrain.inner_lr", lambda value: value >= 0, "0 or more"),
    ("pretrain.inner_steps", _positive, "1 or more"),
    ("pretrain.support", _positive, "1 or more"),
    ("pretrain.query", _positive, "1 or more"),
    ("features.sampling_rate", _positive, "above 0"),
    ("features.max_frames", _positive, "1 or more"),
    ("features.pool", _positive, "1 or more"),
    ("protocol.dev_share", lambda value: 0 < value < 1, "between 0 and 1"),
    ("protocol.seed", lambda value: value >= 0, "0 or more"),
    ("dataset.context.window", lambda value: value >= 0, "0 or more"),
    ("dataset.context.seed", lambda value: value >= 0, "0 or more"),
    ("launcher.array", _positive, "1 or more"),
    ("launcher.minutes", _positive, "1 or more"),
    ("launcher.signal_seconds", _positive, "1 or more"),
    ("launcher.cpus", _positive, "1 or more"),
    ("launcher.memory_gb", _positive, "above 0"),
    ("launcher.gpus", lambda value: value in (0, 1), "0 or 1: a worker trains on one GPU"),
]

_CHOICES: dict[str, tuple[str, ...]] = {
    "optim.name": ("adam", "adamw", "rmsprop", "sgd"),
    "schedule.name": ("none", "step", "cosine", "linear", "plateau"),
    "protocol.unit": ("session", "speaker", "corpus"),
    "protocol.folds": ("leave_one_out", "column", "speaker_pair"),
    "protocol.column": ("split", "session", "speaker", "dialogue", "corpus"),
    "protocol.dev": ("next", "column", "speaker", "speakers", "dialogues", "utterances", "test"),
    "trainer.batches": ("similar", "cut_to_last"),
    "features.level": ("lld", "lld_delta", "functionals"),
    "features.normalise": ("speaker", "corpus", "none"),
    "dataset.context.choose": ("last", "random", "random_any", "none"),
    "dataset.context.order": ("transcript", "start_time"),
    "trainer.labels": ("majority", "soft", "rater"),
    "trainer.class_weights": ("none", "balanced"),
    "adversary.column": ("none", "speaker", "corpus"),
    "init.train": ("all", "head"),
    "pretrain.objective": ("cpc", "fomaml", "sequential", "alternating"),
    "pretrain.use": ("all", "folds"),
    "trainer.keep_weights": ("all", "winner", "none"),
    "precision": ("float32", "bf16"),
    "recurrence.backend": ("auto", "eager", "cpp", "triton"),
    "arelu.share": ("direction", "layer", "model"),
    "launcher.name": ("local", "submitit"),
    "launcher.executor": ("slurm", "local"),
}

_USUAL: dict[str, tuple[str, ...]] = {
    "device": ("auto", "cpu", "cuda"),
    "activation.share": ("direction", "layer", "model"),
}
"""Values that completion proposes; they are checked where they are used."""
