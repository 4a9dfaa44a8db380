"""Kill an extraction again and again, at random moments, and lose and repeat nothing."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from helpers.shell import Shell

from sercli.errors import SercliError
from sercli.features.store import FeatureStore

UTTERANCES = 600

# The real command, which also writes down what it has put into the store.
_COMMAND = """
import os, sys
from sercli.__main__ import main
from sercli.features.store import FeatureStore

put = FeatureStore.put
log = os.open("put.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def put_and_tell(self, key, frames, facts):
    put(self, key, frames, facts)
    os.write(log, f"{key}\\n".encode())

FeatureStore.put = put_and_tell
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def command(sercli: Shell) -> list[str]:
    """An extraction of short noises, each different, by two processes."""
    noise = np.random.default_rng(0).normal(0, 3000, UTTERANCES + 3200).astype("<i2")
    lines = ["utterance,audio,speaker,emotion"]
    for each in range(UTTERANCES):
        with wave.open(str(sercli.folder / f"{each}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(noise[each : each + 3200].tobytes())
        lines.append(f"u{each},{each}.wav,s{each % 4},A")
    (sercli.folder / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    (sercli.folder / "command.py").write_text(_COMMAND, encoding="utf-8")
    return [
        *("extract", "dataset=manifest", "dataset.root=mine.csv", "dataset.classes={A: a}"),
        *("--workers", "2"),
    ]


def _stored(folder: Path) -> int:
    try:
        return len(FeatureStore(folder / "store"))
    except SercliError:  # it is not made yet
        return 0


@pytest.mark.parametrize("kills_planned", [4, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_after_many_kills_everything_is_there_and_nothing_was_extracted_twice(
    sercli: Shell, command: list[str], kills_planned: int
) -> None:
    moments = random.Random(4)
    kills = 0
    progressed = set()
    while kills < kills_planned:
        process = subprocess.Popen(
            [sys.executable, "command.py", *command],
            cwd=sercli.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        known = _stored(sercli.folder)
        # half of them while it starts and reads, half while frames are written
        if kills % 2:
            while process.poll() is None and _stored(sercli.folder) == known:
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.03))
        else:
            time.sleep(moments.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        process.communicate()  # ends with the workers, which store for a moment longer
        assert process.returncode == -signal.SIGKILL
        kills += 1
        assert _stored(sercli.folder) >= known
        progressed.add(_stored(sercli.folder))
    assert len(progressed) > kills_planned // 3  # most kills fell into the work
    assert _stored(sercli.folder) < UTTERANCES

    left = UTTERANCES - _stored(sercli.folder)
    done = sercli(*command)
    assert f"{left} utterances extracted, {UTTERANCES - left} known, 0 refused" in done.stderr
    verified = json.loads(sercli.ok(*command[:-2], "--verify", "--format", "json"))
    assert (verified["stored"], verified["faults"]) == (UTTERANCES, [])
    told = (sercli.folder / "put.log").read_text().split()
    assert len(told) == len(set(told)) <= UTTERANCES - left  # a kill may come before the telling
    assert len(told) >= UTTERANCES - left - 2 * kills_planned
