"""Processes that begin at the same moment, as on two nodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def start_two(code: str, *arguments: str, folder: Path) -> list[subprocess.Popen[str]]:
    """Start two processes of the same code, and let them go once both are ready.

    Args:
        code: Python that prints ``ready`` and then waits for a line of input.
        arguments: Its command-line arguments.
        folder: Its working directory.
    """
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return both
