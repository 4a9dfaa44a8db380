"""What an installation needs: a whole wheel, a quick start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.shell import Shell

PROJECT = Path(__file__).parents[2]


def test_the_wheel_runs_from_an_empty_folder(tmp_path: Path, small: list[str]) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*build, str(tmp_path), str(PROJECT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("sercli-*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target"]
    subprocess.run([*install, str(site), str(wheel)], check=True, capture_output=True)
    code = (
        "import sercli, sys; from sercli.__main__ import main; "
        f"assert sercli.__file__.startswith({str(site)!r}), sercli.__file__; "
        f"sys.argv = ['sercli', 'sweep', '--plan', 'smoke', *{small!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 trials" in done.stdout


@pytest.mark.parametrize("heavy", ["torch", "opensmile", "pandas", "optuna", "hydra", "sklearn"])
def test_the_command_line_starts_without_heavy_packages(heavy: str) -> None:
    code = f"import sys, sercli.__main__, sercli.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_configuration_is_shown_without_torch(sercli: Shell) -> None:
    code = (
        "import sys; sys.argv = ['sercli', 'config', 'show', 'model=iaan']\n"
        "from sercli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: sys.exit(end.code or 3 * ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "hidden: 256" in done.stdout


def test_help_names_every_verb(sercli: Shell) -> None:
    text = sercli.ok("--help")
    for verb in ("extract", "train", "sweep", "report", "config"):
        assert verb in text


def test_groups_are_listed_with_a_line_on_each_choice(sercli: Shell) -> None:
    groups = sercli.json("config", "groups")
    files = {path.parent.name for path in (PROJECT / "conf").glob("*/*.yaml")}
    assert set(groups) == files
    for group, choices in groups.items():
        names = {path.stem for path in (PROJECT / "conf" / group).glob("*.yaml")}
        assert {choice["name"] for choice in choices} == names
        assert all(choice["description"] for choice in choices)
        assert sum(choice["default"] for choice in choices) == 1
