"""Comparison of the fixed settings of a plan with those of earlier trials of its study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from sercli.config.frozen import thaw
from sercli.config.grammar import plain_key
from sercli.config.keys import flatten
from sercli.config.run_key import result_relevant
from sercli.search.plan.plan import Plan
from sercli.search.study.attributes import StudyAttributes, digest
from sercli.search.study.trial_queue import PLANNED, TrialRow


def trials_of_other_settings(
    plan: Plan, trials: Iterable[TrialRow], attributes: StudyAttributes
) -> tuple[int, tuple[str, ...]]:
    """Return the number of trials whose fixed settings differ from a plan's, and those keys.

    Args:
        plan: The plan.
        trials: The trials of the study.
        attributes: The attributes of the study.
    """
    new = {digest(text) for text in plan.space.bases.values()}
    swept = set(map(plain_key, attributes.space.axes))
    wanted: dict[str, list[Any]] = {}
    for text in plan.space.bases.values():
        for key, value in _leaves(text):
            wanted.setdefault(key, []).append(value)
    earlier = Counter(
        trial.attributes[PLANNED]["base"] for trial in trials if PLANNED in trial.attributes
    )
    other: dict[str, int] = {}
    found: dict[str, None] = {}
    for base in earlier.keys() - new:
        keys = [
            key
            for key, value in _leaves(attributes.base(base))
            if key in wanted and value not in wanted[key] and not _is_swept(key, swept)
        ]
        found.update(dict.fromkeys(keys))
        other[base] = earlier[base] if keys else 0
    return sum(other.values()), tuple(sorted(found))


def _leaves(base: str) -> Iterator[tuple[str, Any]]:
    yield from flatten(result_relevant(thaw(base, {}))).items()


def _is_swept(key: str, swept: Iterable[str]) -> bool:
    return any(key == axis or key.startswith(f"{axis}.") for axis in swept)
