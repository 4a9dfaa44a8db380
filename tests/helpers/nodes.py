"""Configuration nodes of single choices, without composing all groups."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any, cast

from omegaconf import OmegaConf

from sercli.config.compose import compose
from sercli.resources import packaged


@cache
def node_of(group: str, choice: str) -> dict[str, Any]:
    """Return the node of a choice, resolved among the defaults, without composing all groups."""
    whole = OmegaConf.create(asdict(compose([])))
    whole[group] = OmegaConf.load(packaged("conf") / group / f"{choice}.yaml")
    return cast("dict[str, Any]", OmegaConf.to_container(whole[group], resolve=True))
