"""Heavy packages are imported where they are used, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sercli.results.run_record import Record

PROGRAM = """
import io, json, sys
from contextlib import redirect_stdout, suppress
from pathlib import Path

found = {}

def imported(part, *heavy):
    found[part] = sorted(set(heavy) & set(sys.modules))

import sercli.__main__
import sercli.cli
imported("command line", "torch", "opensmile", "pandas", "optuna", "hydra", "sklearn", "matplotlib")

import sercli.search.launch.gpus
import sercli.search.launch.local
imported("launcher", "torch", "optuna", "pandas")

from sercli.reporting.load import ReportRequest
from sercli.reporting.report import make_report
assert "70.0" in make_report(ReportRequest([], Path(sys.argv[1]))).text
imported("report", "torch", "matplotlib", "optuna", "hydra", "sklearn")

sys.argv = ["sercli", "config", "show", "model=iaan"]
with redirect_stdout(io.StringIO()) as shown, suppress(SystemExit):
    sercli.__main__.main()
assert "hidden: 256" in shown.getvalue()
imported("config show", "torch")

import sercli.reporting.figures.draw
imported("figures", "torch", "matplotlib.pyplot", "sklearn")

print(json.dumps(found))
"""
"""The lighter parts come first, in one interpreter: to start each alone would take seconds."""


def test_no_part_waits_for_a_package_that_it_does_not_use(
    record: Callable[..., Record], runs: Path
) -> None:
    record()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(runs)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    parts = ("command line", "launcher", "report", "config show", "figures")
    assert json.loads(done.stdout) == {part: [] for part in parts}
