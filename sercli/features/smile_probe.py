"""Try an openSMILE configuration that nobody knows, before work begins with it.

Where a configuration is wrong openSMILE may give up, but may as well damage its process's memory,
which ends the process at once or later. So it is tried in a process of its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path

from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.smile import SmileExtractor, SmileSet, start_opensmile, with_memory_io
from sercli.processes import stop_workers, worker_pool

_PATIENCE = 60
"""Seconds that openSMILE may take for one second of audio, and to start (our choice)."""

_LINE = re.compile(r"\(line (\d+)\)")
_ENTRY = re.compile(r"^\s*(?:\[ .* \]|\(\w+\) \[\d+\])", re.MULTILINE)
_UNHEARD = "commandlineParser"
"""Complains of options that a broken configuration does not read, and hides the cause."""


@cache
def probe_config(features: SmileSet, sampling_rate: int) -> None:
    """Compute features of a second of noise, in a process of its own (which takes 0.7 s).

    Raises:
        RequestError: openSMILE does not accept the configuration, or crashes; the message
            quotes the first of openSMILE's own that names a line, else the first.
    """
    with tempfile.TemporaryDirectory() as folder, worker_pool(1) as pool:
        log = Path(folder) / "log"
        try:
            pool.submit(_compute, features, sampling_rate, log).result(_PATIENCE)
        except BrokenProcessPool:
            raise RequestError(
                f"openSMILE does not accept {features.origin}: {_reason(log, features)}"
            ) from None
        except TimeoutError:
            raise RequestError(
                f"{features.origin} takes more than {_PATIENCE} s for a second of audio"
            ) from None
        finally:
            stop_workers(pool)


def _compute(features: SmileSet, sampling_rate: int, log: Path) -> None:
    import numpy as np
    from opensmile.core.lib import OpenSmileException

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C++ says as it aborts
    try:
        start_opensmile(features, sampling_rate, log)
    except OpenSmileException:
        os._exit(1)  # before the damage shows: the log has the reason
    noise = 0.1 * np.random.default_rng(0).normal(size=sampling_rate)
    try:
        SmileExtractor(features, sampling_rate)(noise)
    except AudioError as error:
        raise RequestError(f"{features.origin} fails on a second of noise: {error}") from None


def _reason(log: Path, features: SmileSet) -> str:
    said = log.read_text(errors="replace") if log.exists() else ""
    entries = [" ".join(each.split()) for each in _ENTRY.split(said)]
    errors = [each for each in entries if each and not each.startswith(_UNHEARD)]
    first = next(filter(_LINE.search, errors), next(iter(errors), "it crashes"))
    lines = with_memory_io(features.text).split("\n")  # openSMILE's numbers count what is included
    return _LINE.sub(lambda number: f"'{lines[int(number[1]) - 1].strip()}':", first)
