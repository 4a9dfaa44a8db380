"""Usage errors: one line, with the corrected command."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.shell import InProcessShell


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --activation tanh", "--activation: settings are overrides; write activation=tanh"),
        ("train -lr 0.1", "settings are overrides; write optim.lr=0.1"),
        ("config show --epochs=5", "write trainer.steps=5"),
        ("sweep --seeds 5", "write 'seeds=[5]'"),
        ("train -m activation=tanh,relu x=1", "write sercli sweep activation=tanh,relu x=1"),
        ("train --cfg job", "write sercli config show"),
        ("activation=tanh", "is an override, not a command; write sercli train activation=tanh"),
        ("train --frame 3", "No such option: --frame"),
        ("report --lr 3", "No such option: --lr"),
        ("tarin", "No such command 'tarin'. Did you mean 'train'? (sercli --help)"),
        ("train --workers many", "Invalid value for '--workers'"),
        ("attend", "Missing argument 'RUN' (sercli attend --help)"),
    ],
)
def test_an_error_of_usage_is_one_line(tmp_path: Path, line: str, message: str) -> None:
    assert message in InProcessShell(tmp_path).refused(*line.split())


def test_without_a_verb_help_is_printed(tmp_path: Path) -> None:
    done = InProcessShell(tmp_path)("config")
    assert done.returncode == 2
    assert "Show, explain and compare configurations." in done.stdout
    assert not done.stderr


def test_a_home_is_expanded_in_the_value_of_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    line = InProcessShell(tmp_path).refused("report", "x", "--runs=~/mine", status=2)
    assert str(tmp_path / "home" / "mine") in line
