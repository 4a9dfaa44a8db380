"""A trained model on disk: the record of a run, or a model folder.

Both are data from others. Configurations are JSON and checked against the schema, parts are chosen
by their registered names, paths are never read from a file, and weights are compared with the
model before memory is allocated for either (`sercli.inference.network`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sercli.config.check import check
from sercli.config.run_key import result_relevant, revisions
from sercli.config.schema import Config, corpus_name
from sercli.errors import RequestError, SercliError, nearest, one_line
from sercli.features.sets import BUILDERS, column_names
from sercli.features.smile_sets import PACKAGED
from sercli.results.run_record import NORMALISATION, Record, fold_run_name, is_record
from sercli.results.seen import read_seen, seen_by_fold
from sercli.untrusted import read_json, read_yaml
from sercli.validation import StrictModel, validate, validate_settings

FORMAT = 1
"""Version of the model folder; other versions are refused."""

FILE = "model.json"
"""The description of a model in its folder."""

GRAPHS = "onnx"
"""Folder of the ONNX graphs of a model folder."""

FEATURES_FILE = "features.conf"
"""The openSMILE configuration of a model with ``features=custom``."""

_LARGEST = 2**24
"""Bytes of a description above which it is not read (our choice)."""

_RATES = range(1000, 384_001)
"""Sampling rates that a model folder may ask for, Hz (our choice)."""

_BANDS = 10_000
"""The largest number among the options of a feature set in a model folder (our choice)."""


@dataclass(frozen=True)
class Member:
    """One trained network of a run.

    Attributes:
        seed: Its seed.
        fold: Name of its fold, whose test utterances it was not trained on.
        number: Position of the fold in the run.
    """

    seed: int
    fold: str
    number: int

    @property
    def name(self) -> str:
        """Name of its file of weights, without the suffix."""
        return fold_run_name(self.seed, self.number)


@dataclass(frozen=True)
class Source:
    """A trained model on disk.

    Attributes:
        path: The record or the model folder.
        name: Name in messages and tables: the run's key.
        config: Its configuration.
        classes: The classes, in the order of the outputs.
        columns: Names of the features of a frame.
        values: Column of the manifest → its values among the targets, for auxiliary tasks.
        folds: Names of all folds, in order.
        members: The chosen networks.
        summary: The protocol card and the metrics of the run, under ``card`` and ``metrics``; of
            networks that were trained on all utterances, also ``refit``.
    """

    path: Path
    name: str
    config: Config
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    values: Callable[[str], Sequence[str]]
    folds: tuple[str, ...]
    members: tuple[Member, ...]
    summary: Mapping[str, Any]

    @property
    def refit(self) -> Mapping[str, Any] | None:
        """Facts of the training on all utterances; None for networks of folds."""
        found: Mapping[str, Any] | None = self.summary.get("refit")
        return found

    @property
    def pretraining(self) -> Mapping[str, Any] | None:
        """Facts of pre-training (`sercli.training.pretrain`); None for a trained model."""
        found: Mapping[str, Any] | None = self.summary.get("pretraining")
        return found

    @property
    def no_test_figure(self) -> str:
        """The reason why the model has no test figure; empty for a network that was tested."""
        if self.refit is not None:
            return "trained on all utterances, those of dev and test included"
        if len({member.fold for member in self.members}) > 1:
            return "every utterance of the corpus is in the training set of some of its networks"
        return ""

    @property
    def is_folder(self) -> bool:
        """True if it is a model folder, not a record."""
        return (self.path / FILE).is_file()

    def seen(self) -> dict[str, pd.DataFrame]:
        """Return the utterances that the networks of each fold have seen (`sercli.results.seen`).

        Raises:
            SercliError: They are not known, or a file is damaged.
        """
        if is_record(self.path):
            return seen_by_fold(self.path, corpus_name(self.config.dataset))
        return read_seen(self.path)

    @property
    def normalisation(self) -> Path:
        """The file with the statistics of the training speakers of each fold."""
        return self.path / NORMALISATION

    def weights(self, member: Member) -> Path:
        """Return the file of weights of a network."""
        return self.path / "weights" / f"{member.name}.safetensors"

    def graph(self, member: Member) -> Path:
        """Return the file of the ONNX graph of a network."""
        return self.path / GRAPHS / f"{member.name}.onnx"


def open_source(
    name: str, runs: Path, *, fold: str | None = None, seed: int | None = None
) -> Source:
    """Find a trained model.

    Args:
        name: A model folder, or a run as of `sercli.results.find.find_run`.
        runs: The folder of the experiments.
        fold: The networks of this fold only.
        seed: The networks of this seed only.

    Raises:
        RequestError: There is no such model, fold or seed.
        SercliError: The model is damaged, or of another format.
    """
    folder = Path(name)
    if (folder / FILE).is_file():
        source = _read_folder(folder)
    else:
        from sercli.results.find import find_run  # a folder does without

        source = _read_run(find_run(name, runs))
    return replace(source, members=_chosen(source, fold, seed))


def _read_run(record: Record) -> Source:
    summary = record.summary
    config = _config(dict(summary["configuration"]), f"{record.path / 'run.json'}: configuration.")
    if config.features.name not in (*PACKAGED, *BUILDERS):
        paths = _paths_of_features(record.path / "config.yaml")
        config = replace(config, features=replace(config.features, **paths))
    try:
        folds = tuple(read_json(record.path / "folds.json"))
    except (OSError, ValueError) as error:
        raise SercliError(
            f"{record.path}: folds.json cannot be read: {one_line(error)}; restore it"
        ) from error
    lost = {where["seed"] for where in summary["diverged"]}
    return Source(
        path=record.path,
        name=record.key,
        config=config,
        classes=tuple(summary["card"]["classes"]),
        columns=column_names(config.features),
        values=_values_of(record),
        folds=folds,
        members=_members([seed for seed in config.seeds if seed not in lost], folds),
        summary=summary,
    )


def check_classifies(source: Source, verb: str) -> None:
    """Refuse a model that predicts dimensional labels.

    Args:
        source: The model.
        verb: The verb that needs classes, for the message.

    Raises:
        RequestError: The model predicts dimensional labels.
    """
    if names := source.config.dataset.dimensions:
        raise RequestError(
            f"{source.name} predicts {', '.join(names)}; sercli {verb} needs a model of classes"
        )


class _Description(StrictModel):
    """``model.json``."""

    format: int
    sercli: str
    run: str
    configuration: dict[str, Any]
    classes: list[str]
    columns: list[str]
    revisions: list[str]
    values: dict[str, int]
    folds: list[str]
    members: list[tuple[int, int]]
    card: dict[str, Any]
    metrics: dict[str, Any]
    refit: dict[str, Any] | None = None
    pretraining: dict[str, Any] | None = None


def describe(source: Source, counts: Mapping[str, int], version: str) -> dict[str, Any]:
    """Return the content of ``model.json`` of a model to export.

    Args:
        source: The model.
        counts: Column of the manifest → number of its values, of those the model asked for.
        version: The version of sercli.
    """
    settings = result_relevant(source.config)
    optional = {"refit": source.refit, "pretraining": source.pretraining}
    return {
        "format": FORMAT,
        "sercli": version,
        "run": source.name,
        "configuration": settings,
        "revisions": revisions(settings),
        "classes": list(source.classes),
        "columns": list(source.columns),
        "values": dict(counts),
        "folds": list(source.folds),
        "members": [[member.seed, member.number] for member in source.members],
        "card": source.summary["card"],
        "metrics": source.summary["metrics"],
        **{name: facts for name, facts in optional.items() if facts is not None},
    }


def _read_folder(folder: Path) -> Source:
    content = _read_description(folder / FILE)
    config = _config(content.configuration, f"{folder / FILE}: configuration.")
    _check_sizes(config, folder)
    if content.revisions != revisions(result_relevant(config)):
        raise SercliError(
            f"{folder}: the equations of a part have changed since the model was trained "
            f"({', '.join(content.revisions) or 'no revision'} then): train it again"
        )
    own = folder / FEATURES_FILE
    if own.is_file():
        config = replace(config, features=replace(config.features, config=str(own)))
    columns = column_names(config.features)
    if columns != tuple(content.columns):
        raise SercliError(
            f"{folder}: {config.features.name} gives other features here ({len(columns)}) than "
            f"the model was trained with ({len(content.columns)}): another version of its library?"
        )
    places = [
        (seed, number) for seed, number in content.members if 0 <= number < len(content.folds)
    ]
    counts = {name: n for name, n in content.values.items() if 0 <= n < _BANDS}
    return Source(
        path=folder,
        name=content.run,
        config=config,
        classes=tuple(content.classes),
        columns=columns,
        values=lambda column: [""] * counts.get(column, 0),
        folds=tuple(content.folds),
        members=tuple(Member(seed, content.folds[number], number) for seed, number in places),
        summary={
            "card": content.card,
            "metrics": content.metrics,
            "refit": content.refit,
            "pretraining": content.pretraining,
        },
    )


def _read_description(path: Path) -> _Description:
    try:
        if path.stat().st_size > _LARGEST:
            raise SercliError(f"{path} is larger than {_LARGEST // 2**20} MB: not a model's")
        content = read_json(path)
        version = content["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SercliError(f"{path} cannot be read: {one_line(error)}; export it again") from error
    if version != FORMAT:
        raise SercliError(
            f"{path} has model format {version!r:.20}; this sercli reads {FORMAT}: export the "
            "model again, or use the sercli that wrote it"
        )
    try:
        # tuples: JSON has lists
        content["members"] = [tuple(member) for member in content.get("members", ())]
        return validate(_Description, content, f"{path}: ")
    except (RequestError, TypeError) as error:
        raise SercliError(f"{one_line(error)}; export the model again") from error


def _config(settings: dict[str, Any], place: str) -> Config:
    try:
        config = validate_settings(Config, settings, place)
        check(config)
    except RequestError as error:
        raise SercliError(f"{error}; written by another version of sercli?") from error
    return config


def _check_sizes(config: Config, folder: Path) -> None:
    """Refuse feature settings that could exhaust the memory."""
    features = config.features
    wrong = f"{folder / FILE}: configuration.features"
    if features.sampling_rate not in _RATES:
        raise SercliError(
            f"{wrong}.sampling_rate={features.sampling_rate}: must be from {_RATES[0]} to "
            f"{_RATES[-1]} Hz"
        )
    for name, value in features.options.items():
        if not isinstance(value, int) or value > _BANDS:
            raise SercliError(f"{wrong}.options.{name:.40}={value!r:.20}: must be at most {_BANDS}")


def _paths_of_features(path: Path) -> dict[str, Any]:
    """Return the paths that define a user's own features, which run.json does not have."""
    try:
        found = read_yaml(path)["features"]
        return {name: found.get(name) for name in ("config", "path")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise SercliError(f"{path} cannot be read: {one_line(error)}; restore it") from error


def _values_of(record: Record) -> Callable[[str], Sequence[str]]:
    def values(column: str) -> Sequence[str]:
        if column == "rater":
            raters: Sequence[str] = record.summary["card"].get("raters", ())
            return raters
        table: pd.DataFrame = record.utterances()
        return sorted(table[column].dropna().unique())

    return values


def _members(seeds: Sequence[int], folds: Sequence[str]) -> tuple[Member, ...]:
    return tuple(Member(seed, fold, n) for seed in seeds for n, fold in enumerate(folds))


def _chosen(source: Source, fold: str | None, seed: int | None) -> tuple[Member, ...]:
    folds = dict.fromkeys(member.fold for member in source.members)
    seeds = dict.fromkeys(str(member.seed) for member in source.members)
    if fold is not None and fold not in folds:
        raise RequestError(f"{source.name} has no fold '{fold}'.{nearest(fold, folds)}")
    if seed is not None and str(seed) not in seeds:
        raise RequestError(f"{source.name} has no seed {seed}.{nearest(str(seed), seeds)}")
    found = tuple(
        member
        for member in source.members
        if fold in (None, member.fold) and seed in (None, member.seed)
    )
    if not found:
        raise SercliError(f"{source.path} has no trained network: every seed diverged")
    return found
