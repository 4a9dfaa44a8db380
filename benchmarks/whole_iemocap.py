"""Measure the time to read and audit a corpus of IEMOCAP's size.

    .venv/bin/python benchmarks/whole_iemocap.py

The tree is that of the tests: 151 dialogues, 10 039 turns, silence for audio. The first time
includes loading what a corpus needs; neither includes extraction.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.corpus_factory import audited
from helpers.iemocap_tree import make_iemocap_tree


def main() -> None:
    """Make the tree, and read and audit it three times."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        root = make_iemocap_tree(Path(folder) / "IEMOCAP")
        print(f"made in {time.perf_counter() - began:.2f} s")
        for _ in range(3):
            began = time.perf_counter()
            audited("iemocap", root)
            print(f"read and audited in {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
