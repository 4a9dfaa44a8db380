"""Environments and commands of the runs of a report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sercli.passwords import without_password
from sercli.reporting.formats.html.content import Command, Machine
from sercli.reporting.table import value_text
from sercli.results.run_record import Record

Environment = Mapping[str, Any]
"""The content of ``environment.json`` (`sercli.results.environment.describe_environment`)."""

Facts = tuple[tuple[str, str], ...]

_OF_ONE_RUN = ("time", "command", "seconds")
_TITLE = {"sercli": "sercli ", "python": "Python ", "processor": ""}
"""Facts that name an environment → the word before them."""


def read_environments(records: Sequence[Record]) -> tuple[dict[str, Environment], list[str]]:
    """Read the environments of runs.

    Returns:
        Key → environment in order of time, and a line about each that cannot be read.
    """
    found: dict[str, Environment] = {}
    damaged = []
    for record in records:
        try:
            environment = record.environment()
            if not isinstance(environment, dict):
                raise TypeError("it is no mapping")
            found[record.key] = environment
        except (OSError, ValueError, TypeError) as error:
            path = record.path / "environment.json"
            damaged.append(f"{path} cannot be read ({error}); remove or restore the record")
    in_time = sorted(found.items(), key=lambda item: str(item[1].get("time", "")))
    return dict(in_time), damaged


def machines(environments: Mapping[str, Environment]) -> Iterator[Machine]:
    """Yield every distinct environment and its runs.

    An environment is named by its versions and processor, and by other facts that differ.

    Args:
        environments: Key of a run → environment.
    """
    found: dict[Facts, list[str]] = {}
    for key, environment in environments.items():
        found.setdefault(tuple(_facts(environment)), []).append(key)
    for facts, runs in found.items():
        yield Machine(_title(dict(facts), list(map(dict, found))), facts, tuple(runs))


def _title(facts: Mapping[str, str], every: Sequence[Mapping[str, str]]) -> str:
    known = [f"{word}{facts[name]}" for name, word in _TITLE.items() if name in facts]
    differing = [
        f"{name} {value}"
        for name, value in facts.items()
        if name not in _TITLE and any(other.get(name) != value for other in every)
    ]
    return ", ".join([*known, *differing]) or "Unknown environment"


def _facts(environment: Environment) -> Iterator[tuple[str, str]]:
    """Yield the facts that outlast one run."""
    for name, value in environment.items():
        if isinstance(value, Mapping):
            prefix = "" if name == "packages" else f"{name} "
            yield from ((f"{prefix}{inner}", value_text(each)) for inner, each in value.items())
        elif name not in _OF_ONE_RUN:
            yield name, value_text(value)


def commands(environments: Mapping[str, Environment]) -> Iterator[Command]:
    """Yield every distinct command, ready for a shell, and its runs.

    The program is written by name, without its folder; passwords are left out.

    Args:
        environments: Key of a run → environment.
    """
    found: dict[str, list[str]] = {}
    for key, environment in environments.items():
        command = environment.get("command")
        if isinstance(command, list) and command:
            program, *arguments = map(str, command)
            words = [Path(program).name, *map(without_password, arguments)]
            found.setdefault(shlex.join(words), []).append(key)
    for line, runs in found.items():
        yield Command(line, tuple(runs))
