"""The key of a run: a short hash of everything that can change its result.

A part whose equations changed has a revision, which enters the key of the runs that use it: a
record of the part as it was is refused by name and never taken for one of the part as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sercli.config.keys import ARELU, flatten
from sercli.config.schema import Config, FeaturesConfig, InitConfig, ScheduleConfig

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
"""The oldest first: a record has those of its time, so that a new one is added at the end."""


def result_relevant(config: Config) -> dict[str, Any]:
    """Return the settings that can change a result.

    Left out are: locations, the device, the backend of the recurrence, the launcher, pre-
    training, the weights to keep and the name of the experiment; ``arelu``, because the
    activation that uses it holds its values (α means nothing to tanh); the corpus' folder and
    expected counts, the paths of features (an openSMILE configuration, an encoder, arrays) and
    of noise, because the data fingerprint covers what was read; ``max_frames`` and ``pool`` of
    functionals, which have no frames; settings that the optimiser or the schedule does not use,
    ``augment`` without augmentations, a ``cell.start`` of zeros, ``adversary`` without a
    column, and ``init`` of random initial weights, so that the keys of runs from before there
    were these settings stay the same. Of the weights of another run, their digest stands for
    the names.
    """
    settings = asdict(config)
    for name in ("experiment", "paths", "device", "recurrence", "launcher", "pretrain", ARELU):
        del settings[name]
    for name in ("keep_weights", "labels", "min_ratings"):
        del settings["trainer"][name]
    settings["trainer"] |= rating_settings(config)
    settings["dataset"] = corpus_settings(settings["dataset"])
    settings["features"] = _features(config.features)
    settings["augment"].get("noise", {}).pop("folder", None)
    if not settings["augment"]:
        del settings["augment"]
    if config.optim.name.startswith("adam"):
        del settings["optim"]["momentum"]
    if settings["cell"].get("start") == "zeros":  # as before it could be chosen
        del settings["cell"]["start"]
    used = {
        "schedule": _used(config.schedule),
        "adversary": asdict(config.adversary) if config.adversary.column != "none" else {},
        "init": _initial(config.init),
    }
    return {name: value for name, value in (settings | used).items() if used.get(name, True)}


def rating_settings(config: Config) -> dict[str, Any]:
    """Return the settings of training on labels of raters; nothing for ``labels: majority``."""
    labels = config.trainer.labels
    if labels == "majority":
        return {}
    minimum = {"min_ratings": config.trainer.min_ratings} if labels == "rater" else {}
    return {"labels": labels, **minimum}


def _features(features: FeaturesConfig) -> dict[str, Any]:
    left_out = ["config", "path"]
    if features.level == "functionals":
        left_out += ["max_frames", "pool"]
    return {name: value for name, value in asdict(features).items() if name not in left_out}


_OF_MACHINE = ("root", "expected", "expected_in", "of")
"""Settings of a corpus that do not decide what is read; ``parts`` stands for ``of``."""


def corpus_settings(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a corpus that can change a result, those of its parts included."""
    settings = {name: value for name, value in dataset.items() if name not in _OF_MACHINE}
    parts = {name: corpus_settings(part) for name, part in settings.pop("parts", {}).items()}
    return settings | ({"parts": parts} if parts else {})


def _initial(init: InitConfig) -> dict[str, Any]:
    """Return the settings of initial weights; nothing for random ones."""
    if init.digest is not None:
        return {"train": init.train, "digest": init.digest}
    if init.run is None:
        return {}
    return {name: value for name, value in asdict(init).items() if name != "digest"}


_OF_SCHEDULE = {
    "step": ("step_size", "factor"),
    "cosine": ("min_lr",),
    "plateau": ("factor", "patience", "min_lr"),
}
"""Schedule → its settings, without ``warmup``, which each has."""


def _used(schedule: ScheduleConfig) -> dict[str, Any]:
    """Return the settings that a schedule uses; nothing for a constant learning rate."""
    if schedule.name == "none" and schedule.warmup <= 1:  # the first step has the full rate
        return {}
    return {
        name: getattr(schedule, name)
        for name in ("name", "warmup", *_OF_SCHEDULE.get(schedule.name, ()))
    }


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
