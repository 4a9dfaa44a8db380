"""Kill the workers of a sweep at random, resume it each time, and count what was trained twice.

    python benchmarks/killed_sweep.py [TRIALS] [KILLS] [--storage URL]

The trials are real, on a small synthetic corpus, with two workers. Each kill is a SIGKILL at a
random moment to one worker, to both, or to the command with both; then the same command is given
again. At the end every trial must be finished, none twice, no fold trained twice (its folder is
written once), and no trial be left running or waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from sercli.corpora.synthetic import SyntheticSize, generate
from sercli.search.study.study import Study

SERCLI = Path(sys.executable).with_name("sercli")


def main() -> None:
    """Run the experiment and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=int, nargs="?", default=40)
    parser.add_argument("kills", type=int, nargs="?", default=15)
    parser.add_argument("--storage")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), given.trials, given.kills, given.storage, random.Random(given.seed))


def run(
    folder: Path, trials: int, kills: int, storage: str | None, dice: random.Random
) -> dict[str, int]:
    """Sweep, kill and resume; return the counts, of which all but finished must be 0."""
    generate(folder / "iemocap", 1, size=SyntheticSize(2, 10), workers=1)
    command = _command(folder, trials, storage)
    seen: dict[Path, int] = {}
    twice: set[Path] = set()
    for number in range(kills):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=None)
        before = _progress(folder)
        while process.poll() is None and _progress(folder) == before:  # until workers train
            _record_writes(folder, seen, twice)
            time.sleep(0.05)
        until = time.monotonic() + dice.uniform(0, 6)
        while process.poll() is None and time.monotonic() < until:
            _record_writes(folder, seen, twice)
            time.sleep(0.05)
        if process.poll() is None:
            _kill(process, dice)
        _wait(process, folder, seen, twice)
        done = len(list((folder / "runs" / "kills").glob("[!.]*/run.json")))
        print(f"kill {number + 1}: {done} of {trials} finished", flush=True)
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    study = Study("kills", folder / "runs", storage)
    summary, table = study.summarize()
    counts = {
        "status": finished.returncode,
        "finished": summary.states["complete"],
        "stale": summary.states["running"] + summary.states["waiting"],
        "runs twice": max(Counter(table["run"].dropna()).values()) - 1,
        "folds twice": len(twice),
        "folders left": len(list((folder / "runs" / "kills").glob(".*.partial"))),
    }
    print(json.dumps(counts))
    if finished.returncode:
        print(finished.stderr)
    return counts


def _command(folder: Path, trials: int, storage: str | None) -> list[str]:
    alphas = ",".join(f"{0.02 * (n + 1):.2f}" for n in range(trials))
    return [
        str(SERCLI),
        "sweep",
        "dataset=iemocap",
        f"dataset.root={folder / 'iemocap'}",
        "model.hidden=4",
        "model.context_hidden=4",
        "trainer=smoke",
        "trainer.steps=60",
        "activation=arelu",
        f"arelu.alpha={alphas}",
        "experiment=kills",
        "--workers",
        "2",
        *(["--storage", storage] if storage else []),
    ]


def _progress(folder: Path) -> int:
    """Return the number of finished folds and runs."""
    runs = folder / "runs" / "kills"
    return len(list(runs.glob(".*.partial/seed*/fold.json"))) + 5 * len(
        list(runs.glob("[!.]*/run.json"))
    )


def _kill(process: subprocess.Popen[bytes], dice: random.Random) -> None:
    """Kill one worker, or both, or both and the command."""
    workers = _children(process.pid)
    victims = {
        "one": workers[:1],
        "other": workers[1:2],
        "both": workers,
        "all": [*workers, process.pid],
    }[dice.choice(["one", "other", "both", "all"])]
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if process.pid not in victims:  # it would restart them, which the experiment does itself
        time.sleep(dice.uniform(0, 2))
        process.send_signal(signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """Return the workers of a sweep: forks of the server that it has started."""
    parents, servers = {}, set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = stat.with_name("cmdline").read_text()
        except OSError:
            continue
        process = int(stat.parent.name)
        parents[process] = parent
        if parent == pid and "forkserver" in command:
            servers.add(process)
    return [process for process, parent in parents.items() if parent in servers]


def _record_writes(folder: Path, seen: dict[Path, int], twice: set[Path]) -> None:
    """Record when each finished fold was written; a second time is one too many."""
    for fold in (folder / "runs" / "kills").glob(".*.partial/seed*/fold.json"):
        try:
            when = fold.stat().st_mtime_ns
        except FileNotFoundError:  # the run was finished just now
            continue
        if seen.setdefault(fold, when) != when:
            twice.add(fold)


def _wait(
    process: subprocess.Popen[bytes], folder: Path, seen: dict[Path, int], twice: set[Path]
) -> None:
    process.wait()
    time.sleep(1)  # orphans exit when they see that their parent is gone
    _record_writes(folder, seen, twice)


if __name__ == "__main__":
    main()
