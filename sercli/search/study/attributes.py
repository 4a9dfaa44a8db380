"""The attributes of a study: spec, space, data and causes common to all of its trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from sercli.config.frozen import overrides_of
from sercli.errors import RequestError
from sercli.search.plan.plan import GRID
from sercli.search.plan.space import Space
from sercli.search.study.failures import Cause
from sercli.search.study.owner import Owner
from sercli.search.study.trial_queue import TrialQueue

_BASE, _CAUSE = "base:", "cause:"


@dataclass(frozen=True)
class StudySpec:
    """The settings common to all trials of a study.

    Attributes:
        sampler: Name of the sampler.
        seed: Seed of the sampler.
        objectives: ``dev_ua``, which is maximised, and perhaps costs, which are minimised.
        pruner: Name of the pruner, or None.
        comparison: True if the trials are pre-registered systems (`sercli.search.plan.plan.Plan`).
        seeds: Seeds of every trial.
        code: The version of the code that planned the trials.
    """

    sampler: str
    seed: int
    objectives: tuple[str, ...]
    pruner: str | None
    comparison: bool
    seeds: tuple[int, ...]
    code: Mapping[str, Any]


class StudyAttributes:
    """The attributes of a study, as its storage keeps them.

    Args:
        name: Name of the experiment.
        queue: The trials of the study.
    """

    def __init__(self, name: str, queue: TrialQueue) -> None:
        self._name = name
        self._queue = queue
        self._bases: dict[str, str] = {}

    # ---- the owner

    @property
    def owner(self) -> Owner | None:
        """The owner; None in a study of an earlier version."""
        stored = self._get("owner")
        return None if stored is None else Owner(**stored)

    def claim(self, owner: Owner) -> Owner:
        """Store the owner unless the study has one, and return the stored one."""
        return Owner(**self._queue.first_attr("owner", asdict(owner)))

    def move(self, owner: Owner) -> None:
        """Store the owner with its new runs folder."""
        self._set("owner", asdict(owner))

    # ---- the plan

    @cached_property
    def spec(self) -> StudySpec:
        """The settings common to all trials."""
        stored = self._get("spec")
        if stored is None:
            raise RequestError(f"'{self._name}' was not planned by sercli; plan it by sercli sweep")
        tuples = {name: tuple(stored[name]) for name in ("objectives", "seeds")}
        return StudySpec(**{**stored, **tuples})

    @cached_property
    def space(self) -> Space:
        """The space of a search; of a grid, its axes."""
        return self._read_space()

    def agree_on(self, spec: StudySpec, space: Space) -> None:
        """Store the spec and the space of a new study; those of an old one must be the same.

        A grid may grow; its trials and its axes are then added to the old ones.

        Raises:
            RequestError: The study was planned with another spec, or searches another space.
        """
        stored = self._get("spec")
        if stored is None:
            self._set("space", space.to_json())
            self._set("spec", asdict(spec))
            return
        wanted = json.loads(json.dumps(asdict(spec)))
        for name in ("sampler", "seed", "objectives", "pruner", "comparison"):
            if stored[name] != wanted[name]:
                raise RequestError(
                    f"experiment '{self._name}' was planned with {name}={stored[name]}, not "
                    f"{wanted[name]}; give this sweep another experiment="
                )
        before = self._read_space()
        if spec.sampler == GRID:
            self._set("space", _joined(before, space).to_json())
            self.__dict__.pop("space", None)  # it may have been read before it grew
        elif _search_of(before) != _search_of(space):
            axes = ", ".join(f"{axis.key}={axis.text}" for axis in before.axes)
            raise RequestError(
                f"experiment '{self._name}' searches another space ({axes}); give this sweep "
                "another experiment="
            )

    def add_bases(self, texts: Iterable[str]) -> None:
        """Store frozen configurations by their digests (`base`)."""
        stored = self._queue.get_attrs(_BASE)
        for text in texts:
            if (name := _BASE + digest(text)) not in stored:
                self._set(name, text)

    def base(self, name: str) -> str:
        """Return the frozen configuration of this digest."""
        if name not in self._bases:
            self._bases[name] = self._get(_BASE + name)
        return self._bases[name]

    # ---- the data

    def add_fingerprints(self, fingerprints: Mapping[str, str]) -> None:
        """Store the fingerprints of the data that the trials were planned on.

        Args:
            fingerprints: Data settings (`sercli.search.worker.runner.data_settings`) → fingerprint.
        """
        self._set("data", {**(self._get("data") or {}), **fingerprints})

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprints that `add_fingerprints` stored."""
        return self._get("data") or {}

    # ---- the course of the sweep

    @property
    def stop_reason(self) -> str | None:
        """The reason why workers claim no further trial; None while they do."""
        reason: str | None = self._get("stopped")
        return reason

    @stop_reason.setter
    def stop_reason(self, reason: str | None) -> None:
        self._set("stopped", reason)

    def add_cause(self, cause: Cause) -> None:
        """Store the cause of a failure, unless it is known."""
        if self._get(_CAUSE + cause.name) is None:
            self._set(_CAUSE + cause.name, {"text": cause.text, "traceback": cause.traceback})

    def causes(self) -> dict[str, dict[str, str]]:
        """Return name of a cause → its ``text`` and ``traceback``."""
        stored = self._queue.get_attrs(_CAUSE)
        return {name.removeprefix(_CAUSE): cause for name, cause in stored.items()}

    # ---- storage

    def _set(self, name: str, value: Any) -> None:
        self._queue.set_attr(name, value)

    def _get(self, name: str) -> Any:
        return self._queue.get_attrs(name).get(name)

    def _read_space(self) -> Space:
        return Space.from_json(self._get("space"))


def digest(text: str) -> str:
    """Return a short name of a text, the same on every machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _joined(before: Space, now: Space) -> Space:
    """Return the axes of a grid that has grown."""
    axes = {axis.key: axis for axis in before.axes}
    for axis in now.axes:
        text = axes[axis.key].text if axis.key in axes else axis.text
        grown = text if text == axis.text else f"{text}; {axis.text}"
        axes[axis.key] = replace(axis, text=grown)
    return replace(before, axes=tuple(axes.values()))


def _search_of(space: Space) -> Any:
    """Return what two searches must share: axes, exclusions, and all fixed overrides."""
    fixed = {name: overrides_of(text) for name, text in space.bases.items()}
    return space.axes, space.exclude, fixed
