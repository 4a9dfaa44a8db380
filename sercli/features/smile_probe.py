"""Probe a user's openSMILE configuration before any work begins with it.

On an invalid configuration openSMILE may report an error, but may as well corrupt the memory of its
process, which then crashes at once or later. The probe therefore runs in a process of its own.
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

_TIMEOUT = 60
"""Seconds for openSMILE to start and to process one second of audio (our choice)."""

_LINE = re.compile(r"\(line (\d+)\)")
_ENTRY = re.compile(r"^\s*(?:\[ .* \]|\(\w+\) \[\d+\])", re.MULTILINE)
_IGNORED = "commandlineParser"
"""Complains about options that a broken configuration does not read, and hides the cause."""


@cache
def probe_config(features: SmileSet, sampling_rate: int) -> None:
    """Compute the features of a second of noise, in a process of its own (0.7 s).

    Raises:
        RequestError: openSMILE rejects the configuration, or crashes. The message quotes the
            first error of openSMILE that names a line, else its first error.
    """
    with tempfile.TemporaryDirectory() as folder, worker_pool(1, module=__name__) as pool:
        log = Path(folder) / "log"
        try:
            pool.submit(_compute, features, sampling_rate, log).result(_TIMEOUT)
        except BrokenProcessPool:
            raise RequestError(
                f"openSMILE does not accept {features.origin}: {_reason(log, features)}"
            ) from None
        except TimeoutError:
            raise RequestError(
                f"{features.origin} takes more than {_TIMEOUT} s for a second of audio"
            ) from None
        finally:
            stop_workers(pool)


def _compute(features: SmileSet, sampling_rate: int, log: Path) -> None:
    import numpy as np
    from opensmile.core.lib import OpenSmileException

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # messages of C++ on abort
    try:
        start_opensmile(features, sampling_rate, log)
    except OpenSmileException:
        os._exit(1)  # before a crash: the log has the reason
    noise = 0.1 * np.random.default_rng(0).normal(size=sampling_rate)
    try:
        SmileExtractor(features, sampling_rate)(noise)
    except AudioError as error:
        raise RequestError(f"{features.origin} fails on a second of noise: {error}") from None


def _reason(log: Path, features: SmileSet) -> str:
    messages = log.read_text(errors="replace") if log.exists() else ""
    entries = [" ".join(each.split()) for each in _ENTRY.split(messages)]
    errors = [each for each in entries if each and not each.startswith(_IGNORED)]
    first = next(filter(_LINE.search, errors), next(iter(errors), "it crashes"))
    lines = with_memory_io(features.text).split("\n")  # openSMILE's numbers count what is included
    return _LINE.sub(lambda number: f"'{lines[int(number[1]) - 1].strip()}':", first)
