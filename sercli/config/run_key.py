"""The key of a run: a short hash of everything that can change its result.

A part whose equations changed has a revision, which enters the key of the runs that use it: a
record of the part as it was is refused by name and never taken for one of the part as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sercli.config.keys import ARELU, flatten
from sercli.config.schema import Config

KEY_LENGTH = 10


@dataclass(frozen=True)
class Revision:
    """A change in the equations of a part.

    Attributes:
        name: Its name in the key: the part and a number.
        settings: Settings of the affected runs, by dotted key.
        change: The change, a clause for messages.
    """

    name: str
    settings: Mapping[str, Any]
    change: str


REVISIONS = (
    Revision(
        "gru reset=before 2",
        {"cell.name": "gru", "cell.reset": "before"},
        "cell gru with reset=before has one bias now, not two",
    ),
    Revision(
        "lstm_at 2",
        {"cell.name": "lstm_at"},
        "cell lstm_at has no input gate now, as published",
    ),
    Revision(
        "lstm_tf_at 2",
        {"model.system": "lstm_tf_at"},
        "model lstm_tf_at has a dense layer before the classifier now",
    ),
    Revision(
        "context random_any 2",
        {"dataset.context.choose": "random_any"},
        "dataset.context.choose=random_any draws two different turns now",
    ),
    Revision(
        "maec 2",
        {"model.system": "maec"},
        "model maec has the published equations now",
    ),
)
"""In chronological order. Add new ones at the end: a record has the revisions of its time."""


_LEFT_OUT: Sequence[tuple[Callable[[Config], bool], Sequence[str]]] = (
    (
        lambda config: True,
        (
            *("experiment", "paths", "device", "recurrence", "launcher", "pretrain"),
            ARELU,  # the activation that uses it holds the values; α means nothing to tanh
            *("trainer.keep_weights", "augment.noise.folder"),
        ),
    ),
    (lambda config: not config.streams, ("streams",)),
    (lambda config: not config.augment, ("augment",)),
    (lambda config: config.cell.get("start") == "zeros", ("cell.start",)),
    (
        lambda config: (
            config.model["system"] == "compact_graph" and not config.model.get("streams")
        ),
        ("model.streams",),
    ),
    (lambda config: config.model.get("adapt") == ["dense"], ("model.adapt",)),
    (lambda config: config.optim.name.startswith("adam"), ("optim.momentum",)),
    (
        lambda config: config.schedule.name == "none" and config.schedule.warmup <= 1,
        ("schedule",),  # the first step of warm-up has the full rate
    ),
    (lambda config: config.schedule.name != "step", ("schedule.step_size",)),
    (lambda config: config.schedule.name not in ("step", "plateau"), ("schedule.factor",)),
    (lambda config: config.schedule.name != "plateau", ("schedule.patience",)),
    (
        lambda config: config.schedule.name not in ("cosine", "linear", "plateau"),
        ("schedule.min_lr",),
    ),
    (lambda config: config.optim.encoder_lr is None, ("optim.encoder_lr",)),
    (lambda config: config.trainer.accumulate == 1, ("trainer.accumulate",)),
    (lambda config: config.trainer.labels == "majority", ("trainer.labels",)),
    (lambda config: config.trainer.labels != "rater", ("trainer.min_ratings",)),
    (lambda config: not config.trainer.ccc_weights, ("trainer.ccc_weights",)),
    (
        lambda config: bool(config.dataset.dimensions),  # the loss of the classes
        ("trainer.label_smoothing", "trainer.class_weights", "trainer.focal_gamma"),
    ),
    (lambda config: config.adversary.column == "none", ("adversary",)),
    (
        lambda config: config.init.run is config.init.file is config.init.digest is None,
        ("init",),
    ),
    (lambda config: config.init.file is None, ("init.file",)),
    (lambda config: config.init.digest is None, ("init.digest",)),
    (
        lambda config: config.init.digest is not None,
        ("init.run", "init.file", "init.fold", "init.seed"),
    ),
)
"""Condition → settings that cannot change the result of a run that meets it, by dotted key.

A new setting must be left out where it does nothing, so that existing runs keep their keys.
"""

_LEFT_OUT_OF_FEATURES: Sequence[tuple[Callable[[Mapping[str, Any]], bool], Sequence[str]]] = (
    (lambda features: True, ("config", "path")),
    (
        lambda features: features.get("level") == "functionals",  # no frames to truncate or pool
        ("max_frames", "pool"),
    ),
    (lambda features: features.get("options", {}).get("dtype") == "float32", ("options.dtype",)),
)
"""The same for the settings of a feature set: ``features``, and each of ``streams``."""


def result_relevant(config: Config) -> dict[str, Any]:
    """Return the settings that can change a result.

    Left out are locations, the device, the launcher and the like; settings that the run does not
    use; and paths of features and noise and the folder and counts of the corpus, because the data
    fingerprint covers what was read. The digest of initial weights stands for their source.
    """
    settings = asdict(config)
    settings["dataset"] = corpus_settings(settings["dataset"])
    for features in (settings["features"], *settings["streams"].values()):
        _leave_out(features, _LEFT_OUT_OF_FEATURES, features)
    _leave_out(settings, _LEFT_OUT, config)
    return settings


def _leave_out(
    settings: dict[str, Any], rules: Sequence[tuple[Callable[[Any], bool], Sequence[str]]], of: Any
) -> None:
    for applies, keys in rules:
        if applies(of):
            for key in keys:
                _remove(settings, key)


def _remove(settings: dict[str, Any], key: str) -> None:
    *groups, name = key.split(".")
    for group in groups:
        settings = settings.get(group, {})
    settings.pop(name, None)


def rating_settings(config: Config) -> dict[str, Any]:
    """Return the settings of training on labels of raters; empty for ``labels: majority``."""
    trainer = result_relevant(config)["trainer"]
    return {name: trainer[name] for name in ("labels", "min_ratings") if name in trainer}


_OF_MACHINE = ("root", "expected", "expected_in", "of")
"""Settings of a corpus that do not decide what is read; ``parts`` stands for ``of``."""

_OF_DIMENSIONS = ("dimensions", "scale")
"""Settings of dimensional labels, without effect where there are none."""


def corpus_settings(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a corpus that can change a result, those of its parts included."""
    settings = {name: value for name, value in dataset.items() if name not in _OF_MACHINE}
    if "options" in settings:
        settings["options"] = _without_paths(settings["options"])
    if not settings.get("dimensions"):
        settings = {name: x for name, x in settings.items() if name not in _OF_DIMENSIONS}
    parts = {name: corpus_settings(part) for name, part in settings.pop("parts", {}).items()}
    return settings | ({"parts": parts} if parts else {})


def _without_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "ratings"}


def run_key(config: Config, fingerprint: str) -> str:
    """Return the key of the run of ``config`` on data with this fingerprint."""
    return key_of(result_relevant(config), fingerprint)


def key_of(settings: Mapping[str, Any], fingerprint: str) -> str:
    """Return the key of a run from its result-relevant settings, as its record holds them."""
    return _hash([settings, fingerprint, *revisions(settings)])


def revisions(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the revisions of the parts that a run uses."""
    return [each.name for each in _revisions(settings)]


def outdated(settings: Mapping[str, Any], fingerprint: str, key: str) -> str | None:
    """Return the changes of parts since a record was made; None if it is current.

    Args:
        settings: Its result-relevant settings.
        fingerprint: Fingerprint of its data.
        key: Its key.
    """
    every = _revisions(settings)
    for known in range(len(every)):
        if key == _hash([settings, fingerprint, *(each.name for each in every[:known])]):
            return "; ".join(each.change for each in every[known:])
    return None


def _revisions(settings: Mapping[str, Any]) -> list[Revision]:
    leaves = flatten(settings)
    return [
        each
        for each in REVISIONS
        if all(leaves.get(key) == value for key, value in each.settings.items())
    ]


def _hash(content: Sequence[Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
