"""An extraction that crashes or kills its worker process."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from sercli.corpora.audio_stats import AudioFacts
from sercli.features.jobs import Job, JobResults

FACTS = AudioFacts(1.0, 16000, 1, peak=0.5, clipped_share=0.0, content="")


def run(jobs: Sequence[Job]) -> JobResults:
    """Return facts for every job.

    Audio "crash" raises SIGSEGV in this process. A path that does not exist is created before
    SIGKILL ends this process, which therefore happens once per path.
    """
    for job in jobs:
        if job.audio == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if job.audio != "good" and not os.path.exists(job.audio):  # noqa: PTH110
            with open(job.audio, "x", encoding="utf-8"):  # noqa: PTH123
                os.kill(os.getpid(), signal.SIGKILL)
    return JobResults(extracted={job.key: FACTS for job in jobs})
