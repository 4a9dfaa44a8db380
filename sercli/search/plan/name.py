"""Default name of a sweep: its axes and a digest of its overrides and options.

Without the digest, two searches of the same axes over different values would share an experiment,
and have one winner.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from sercli.config.grammar import Axis, plain_key

_HOW_TO_RUN = ("experiment", "device", "paths.", "recurrence.", "launcher", "trainer.keep_weights")
"""Prefixes of overrides that change no result."""

_NAMED_AXES = 3
_LONGEST = 40


def has_name(items: Sequence[str | Axis]) -> bool:
    """Return True if an override names the experiment."""
    return any(plain_key(item) == "experiment" for item in items)


def sweep_name(items: Sequence[str | Axis], options: Sequence[Any]) -> str:
    """Return the name of a sweep: the same for the same overrides, in any order, and options.

    >>> from sercli.config.grammar import read_sweep
    >>> sweep_name(read_sweep(["arelu.alpha=0.01,0.9", "arelu.beta=-1,1"]), ["grid"])
    'alpha-beta-833335'

    Args:
        items: Overrides and axes of the sweep (`sercli.config.grammar.read_sweep`).
        options: Options that change the search: sampler, objectives, …
    """
    axes = [item for item in items if isinstance(item, Axis)]
    words = [re.sub(r"\W+", "_", plain_key(axis).rpartition(".")[2]) for axis in axes[:_NAMED_AXES]]
    asked = sorted(_content(item) for item in items if not plain_key(item).startswith(_HOW_TO_RUN))
    digest = hashlib.sha256(json.dumps([asked, options], sort_keys=True).encode()).hexdigest()
    return f"{'-'.join(words)[:_LONGEST]}-{digest[:6]}"


def _content(item: str | Axis) -> str:
    if isinstance(item, str):
        return item
    return f"{item.key}={list(item.values) if item.values else item.text}"
