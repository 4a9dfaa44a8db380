"""Where a result came from."""

from __future__ import annotations

import json
import platform
import sys
from datetime import UTC, datetime, timedelta

import pytest

from sercli import __version__
from sercli.results.environment import describe_environment


def test_the_environment_names_versions_machine_time_and_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["sercli", "train", "model=iaan"])

    environment = describe_environment(recurrence="eager")

    assert environment["command"] == ["sercli", "train", "model=iaan"]
    assert environment["sercli"] == __version__
    assert environment["python"] == platform.python_version()
    assert set(environment["packages"]) >= {"torch", "numpy", "opensmile"}
    assert all(environment["packages"].values())
    age = datetime.now(UTC) - datetime.fromisoformat(environment["time"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert isinstance(environment["processor"], str)
    assert environment["cores"] >= 1
    assert environment["recurrence"] == "eager"
    assert json.loads(json.dumps(environment)) == environment


def test_without_git_the_rest_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    environment = describe_environment(recurrence="eager")

    assert environment["git"] is None
    assert environment["packages"]
