"""What an installation needs: a whole wheel, a quick start."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from contextlib import chdir
from pathlib import Path

import pytest
from hatchling.build import build_wheel
from helpers.shell import Shell

from sercli import __version__

PROJECT = Path(__file__).parents[2]
VERBS = (
    *(
        "extract",
        "train",
        "sweep",
        "worker",
        "status",
        "stop",
        "report",
        "fuse",
        "attend",
        "verify",
        "rerun",
        "serve",
    ),
    *("runs", "runs delete", "runs rename"),
    *("config", "config show", "config explain", "config diff", "config groups"),
    *("bench", "bench extract", "bench sweep", "bench recurrent"),
)


def test_the_wheel_runs_from_an_empty_folder(tmp_path: Path, small: list[str]) -> None:
    with chdir(PROJECT):
        wheel = tmp_path / build_wheel(str(tmp_path))
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    page = {"page.css", "page.html.jinja", "page.js", "recorder.js"}
    assert page <= {path.name for path in (site / "sercli" / "inference" / "serve").iterdir()}
    assert (site / "sercli" / "palette.css").is_file()
    one_process = ["--fold-workers", "1", "trainer.steps=2"]
    code = (
        "import sercli, sys; from sercli.__main__ import main; "
        f"assert sercli.__file__.startswith({str(site)!r}), sercli.__file__; "
        f"sys.argv = ['sercli', 'sweep', '--plan', 'smoke', *{[*small, *one_process]!r}]; main()"
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


def test_help_names_every_verb(sercli: Shell) -> None:
    text = sercli.ok("--help")
    for verb in ("extract", "train", "sweep", "status", "stop", "report", "config"):
        assert verb in text


def test_the_version_is_shown(sercli: Shell) -> None:
    assert sercli.ok("--version") == f"sercli {__version__}\n"


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_fits_a_terminal_and_is_whole(verb: str, sercli: Shell) -> None:
    text = sercli.ok(*verb.split(), "-h")
    assert max(map(len, text.splitlines())) <= 80
    assert "]...]" not in text
    assert "…\n" not in text


def test_groups_are_listed_with_a_line_on_each_choice(sercli: Shell) -> None:
    groups = sercli.json("config", "groups")
    files = {path.parent.name for path in (PROJECT / "conf").glob("*/*.yaml")}
    assert set(groups) == files
    for group, choices in groups.items():
        names = {path.stem for path in (PROJECT / "conf" / group).glob("*.yaml")}
        assert {choice["name"] for choice in choices} == names
        assert all(choice["description"] for choice in choices)
        assert sum(choice["default"] for choice in choices) == 1
