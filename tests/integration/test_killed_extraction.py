"""Kill an extraction again and again, at random moments, and lose and repeat nothing."""

from __future__ import annotations

import json
import random
import signal
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from helpers.shell import Shell

from sercli.errors import SercliError
from sercli.features.store import FeatureStore

UTTERANCES = 300


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
    return [
        *("extract", "dataset=manifest", "dataset.root=mine.csv", "dataset.classes={A: a}"),
        *("--workers", "2"),
    ]


def _stored(folder: Path) -> dict[str, int]:
    """Return key → the moment at which its frames were stored."""
    try:
        keys = FeatureStore(folder / "store").keys()
    except SercliError:  # it is not made yet
        return {}
    files = {path.stem: path for path in (folder / "store").glob("??/*.safetensors")}
    return {key: files[key].stat().st_mtime_ns for key in keys if key in files}


@pytest.mark.parametrize("kills_planned", [3, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_after_many_kills_everything_is_there_and_nothing_was_extracted_twice(
    sercli: Shell, command: list[str], kills_planned: int
) -> None:
    moments = random.Random(4)
    known: dict[str, int] = {}
    progressed = set()
    for kill in range(kills_planned):
        process = sercli.start(*command)
        # half of them while it starts and reads, half while frames are written
        if kill % 2:
            while process.poll() is None and len(_stored(sercli.folder)) == len(known):
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.03))
        else:
            time.sleep(moments.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        stored = _stored(sercli.folder)
        assert known.items() <= stored.items()
        known = stored
        progressed.add(len(known))
    assert len(progressed) > kills_planned // 3  # most kills fell into the work
    assert len(known) < UTTERANCES

    left = UTTERANCES - len(known)
    done = sercli(*command)
    assert f"{left} utterances extracted, {len(known)} known, 0 refused" in done.stderr
    assert known.items() <= _stored(sercli.folder).items()
    verified = json.loads(sercli.ok(*command[:-2], "--verify", "--format", "json"))
    assert (verified["stored"], verified["faults"]) == (UTTERANCES, [])
