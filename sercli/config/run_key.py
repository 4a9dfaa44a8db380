"""The key of a run: a short hash of everything that can change its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sercli.config.keys import ARELU
from sercli.config.schema import Config

KEY_LENGTH = 10


def result_relevant(config: Config) -> dict[str, Any]:
    """Return the settings that can change a result.

    Left out are: locations, the device, the backend of the recurrence, the launcher and the name
    of the experiment; ``arelu``, because the activation that uses it holds its values (α means
    nothing to tanh); the corpus' folder and expected counts, and the path of a custom openSMILE
    configuration, because the data fingerprint covers what was read; ``max_frames`` and ``pool``
    of functionals, which have no frames.
    """
    settings = asdict(config)
    for name in ("experiment", "paths", "device", "recurrence", "launcher", ARELU):
        del settings[name]
    for name in ("root", "expected", "expected_in"):
        del settings["dataset"][name]
    del settings["features"]["config"]
    if config.features.level == "functionals":
        for name in ("max_frames", "pool"):
            del settings["features"][name]
    return settings


def run_key(config: Config, fingerprint: str) -> str:
    """Return the key of the run of ``config`` on data with this fingerprint."""
    return key_of(result_relevant(config), fingerprint)


def key_of(settings: Mapping[str, Any], fingerprint: str) -> str:
    """Return the key of a run from its result-relevant settings, as its record holds them."""
    content = json.dumps([settings, fingerprint], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:KEY_LENGTH]
