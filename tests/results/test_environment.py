"""Where a result came from."""

from __future__ import annotations

import json
import platform
import sys
from datetime import UTC, datetime, timedelta

import pytest

from sercli import __version__
from sercli.results import environment


def test_the_environment_names_versions_machine_time_and_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["sercli", "train", "model=iaan"])

    described = environment.describe_environment(recurrence="eager")

    assert described["command"] == ["sercli", "train", "model=iaan"]
    assert described["sercli"] == __version__
    assert described["python"] == platform.python_version()
    assert set(described["packages"]) >= {"torch", "numpy", "opensmile"}
    assert all(described["packages"].values())
    age = datetime.now(UTC) - datetime.fromisoformat(described["time"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert isinstance(described["processor"], str)
    assert described["cores"] >= 1
    assert described["recurrence"] == "eager"
    assert json.loads(json.dumps(described)) == described


def test_without_git_the_rest_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    asked = environment._git_commit.__wrapped__  # a process asks once
    monkeypatch.setattr(environment, "_git_commit", asked)

    described = environment.describe_environment(recurrence="eager")

    assert described["git"] is None
    assert described["packages"]
