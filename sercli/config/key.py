"""The key of a run: a short hash of whatever can change its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sercli.config.schema import Config

KEY_LENGTH = 10


def result_relevant(config: Config) -> dict[str, Any]:
    """Return the configuration without what cannot change a result.

    Left out: where things lie, the device, the backend of the recurrence, the launcher, the name
    of the experiment; ``arelu``, because an activation that uses it carries its values (so α means
    nothing to tanh); the corpus' folder and its expected counts, because the data fingerprint
    says what was really read; likewise the path of an own openSMILE configuration, and what would
    clip and pool frames where there are none.
    """
    settings = asdict(config)
    for name in ("experiment", "paths", "device", "recurrence", "launcher", "arelu"):
        del settings[name]
    for name in ("root", "expected", "expected_in"):
        del settings["dataset"][name]
    del settings["features"]["config"]
    if config.features.level == "functionals":
        for name in ("max_frames", "pool"):
            del settings["features"][name]
    return settings


def run_key(config: Config, fingerprint: str) -> str:
    """Return the key of the run of ``config`` on the data with this fingerprint."""
    return key_of(result_relevant(config), fingerprint)


def key_of(settings: Mapping[str, Any], fingerprint: str) -> str:
    """Return the key of a run by its result-relevant settings, as its record keeps them too."""
    content = json.dumps([settings, fingerprint], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:KEY_LENGTH]
