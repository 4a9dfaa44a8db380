"""Names of systems in tables and figures.

A trial of a plan's named point has that name. Any other run is named by model, cell and activation,
and by the settings that differ among the runs. What all names of a table begin with is said once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sercli.config.keys import ARELU, augmentations, flatten, stream_choices
from sercli.config.settings import STREAMS, group_of
from sercli.results.run_record import NO_CONTEXT, Record
from sercli.results.sweep_summary import PARAMETER, read_trials, swept_settings

_POINT = f"{PARAMETER}point"
"""Column of the trials with the names of a plan's points."""

_IN_NAME = ("activation.alpha", "activation.beta")
"""Keys that the name of an activation always shows."""

_CHOICES = ("features.name", "optim.name", "schedule.name", "augment.name")
"""Choices that a name shows where they differ; those of model, cell and activation always are."""


_CONTEXT = "dataset.context."
"""Settings that a model without context does not have."""


@dataclass(frozen=True)
class SystemName:
    """The name of a run.

    Attributes:
        name: The plan's name of its point, else ``settings``.
        settings: Model, cell and activation, and further settings that differ between the runs.
    """

    name: str
    settings: str


def name_systems(records: Sequence[Record]) -> list[SystemName]:
    """Name runs, among each other."""
    points: dict[str, str] = {}
    for folder in dict.fromkeys(record.path.parent for record in records):
        points |= {f"{folder.name}/{run}": name for run, name in _named_points(folder).items()}
    settings = [_settings(record) for record in records]
    usual = _usual_values(settings)
    described = [
        _described(record, [key for key in usual if _differs(each, key, usual)], each)
        for record, each in zip(records, settings, strict=True)
    ]
    return [
        SystemName(points.get(f"{record.experiment}/{record.key}", text), text)
        for record, text in zip(records, described, strict=True)
    ]


def without_common_words(names: Sequence[str]) -> tuple[str, list[str]]:
    """Take off the words with which all names begin.

    >>> without_common_words(["iaan gru tanh", "iaan gru arelu α=1"])
    ('iaan gru', ['tanh', 'arelu α=1'])

    Returns:
        The words, and the names without them. A name keeps at least one word, and not only one in
        parentheses; names that are all equal stay as they are.
    """
    words = [name.split() for name in names]
    common = 0
    shortest = min(map(len, words), default=0)
    if len(set(names)) > 1:
        while common < shortest - 1 and len({each[common] for each in words}) == 1:
            common += 1
    if any(each[common].startswith("(") for each in words if each[common:]):
        common = 0  # "(I)" alone is no name
    return " ".join(words[0][:common]) if words else "", [" ".join(each[common:]) for each in words]


def matches(part: str, names: Mapping[str, str]) -> list[str]:
    """Return the keys whose key or name is ``part``, has it as words, or contains it.

    The first of the three that applies to any decides.

    >>> matches("tanh", {"1f": "iaan gru tanh", "2e": "iaan gru hardtanh"})
    ['1f']

    Args:
        part: The requested key, name or part, in any case.
        names: Key → name.
    """
    wanted = part.casefold()
    whole_words = re.compile(rf"(?<!\S){re.escape(wanted)}(?!\S)")
    for fits in (
        lambda key, name: wanted in (key, name),
        lambda key, name: whole_words.search(name) is not None,
        lambda key, name: wanted in name or key.startswith(wanted),
    ):
        if found := [key for key, name in names.items() if fits(key.casefold(), name.casefold())]:
            return found
    return []


def _named_points(folder: Path) -> dict[str, str]:
    """Return run → name of its point, with the further settings that a plan sweeps at each."""
    try:
        trials = read_trials(folder)
    except (OSError, ValueError):
        return {}
    if _POINT not in trials or "run" not in trials:
        return {}
    further = [
        str(name)
        for name in trials.columns
        if str(name).startswith(PARAMETER) and name != _POINT and trials[name].nunique() > 1
    ]
    return {
        str(trial["run"]): ", ".join(
            [str(trial[_POINT]), *swept_settings({name: trial[name] for name in further})]
        )
        for trial in trials.dropna(subset=["run", _POINT]).to_dict("records")
    }


def _settings(record: Record) -> dict[str, Any]:
    configuration = record.summary["configuration"]
    settings = flatten(configuration) | {"augment.name": augmentations(configuration)}
    settings |= stream_choices(configuration)
    alone = record.summary["card"].get("context") == NO_CONTEXT
    return {
        key: value
        for key, value in settings.items()
        if value != {} and not (alone and key.startswith(_CONTEXT))
    }


def _usual_values(settings: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str | None]]:
    """Return the keys that vary → choice of the key's group → the value of more than half of it.

    Runs with other choices, such as another activation, are not compared.
    """
    keys = dict.fromkeys(key for setting in settings for key in setting)
    found = {}
    for key in dict.fromkeys([*_CHOICES, *keys]):
        if (key.endswith("name") and key not in _CHOICES) or key in _IN_NAME:
            continue
        of_choice: dict[str, Counter[str]] = {}
        for setting in settings:
            if key.startswith(_CONTEXT) and key not in setting:
                continue
            of_choice.setdefault(_choice(setting, key), Counter())[str(setting.get(key))] += 1
        if any(len(values) > 1 for values in of_choice.values()):
            found[key] = {choice: _majority(values) for choice, values in of_choice.items()}
    return found


def _choice(setting: Mapping[str, Any], key: str) -> str:
    if key in _CHOICES or group_of(key):
        return ""
    if key.startswith(f"{STREAMS}."):
        return str(setting.get(".".join(key.split(".")[:2])))
    return str(setting.get(f"{key.partition('.')[0]}.name"))


def _majority(values: Counter[str]) -> str | None:
    value, count = values.most_common(1)[0]
    return value if 2 * count > values.total() else None


def _differs(
    setting: Mapping[str, Any], key: str, usual: Mapping[str, Mapping[str, str | None]]
) -> bool:
    return key in setting and str(setting[key]) != usual[key][_choice(setting, key)]


def _described(record: Record, differing: Sequence[str], setting: Mapping[str, Any]) -> str:
    configuration = record.summary["configuration"]
    names = [configuration["model"]["name"]]
    if record.summary["card"].get("recurrent", True):  # else cell and activation have no meaning
        names += [configuration["cell"]["name"], _activation_name(configuration["activation"])]
    as_set = (f"{_key_as_set(key, setting)}={setting[key]}" for key in differing)
    return " ".join([*names, *as_set])


def _key_as_set(key: str, setting: Mapping[str, Any]) -> str:
    """Return the key by which a person sets it: ``arelu.alpha_min`` for the activation's."""
    group, _, name = key.partition(".")
    arelu = group == "activation" and setting.get("activation.name") == ARELU
    return f"{ARELU}.{name}" if arelu else key.removesuffix(".name")


def _activation_name(activation: Mapping[str, Any]) -> str:
    letters = {"alpha": "α", "beta": "β"}
    values = [f"{letters[k]}={activation[k]:g}" for k in letters if k in activation]
    return " ".join([activation["name"], *values])
