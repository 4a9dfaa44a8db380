"""`pytest --processes`: the parent reports the results of all processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, signal, warnings
import pytest

warnings.warn("a warning of the collection")

def test_passes(): pass

def test_fails():
    print("printed", "before")
    assert 1 == 2

def test_dies(): os.kill(os.getpid(), signal.SIGKILL)

def test_goes_on(): pass

def test_is_skipped(): pytest.skip("no reason")

def test_warns(): warnings.warn("a warning")
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="--processes needs Linux")
def test_failures_deaths_and_warnings_of_all_processes_are_reported(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "helpers.forks", "--processes", "2"]
    places = [str(Path(__file__).parent), *sys.path]

    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert "4 failed, 6 passed, 2 skipped, 4 warnings" in done.stdout
    assert done.stdout.count("the process of this test died: exit status -9") >= 2
    assert done.stdout.count("printed before") == 2
