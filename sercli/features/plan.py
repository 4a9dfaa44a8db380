"""Who needs what of the store: the keys of a corpus' utterances."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercli.corpora.manifest import Refusal
from sercli.features.audio import AudioError, check_file
from sercli.features.keys import audio_digest, utterance_key
from sercli.features.worker import Job
from sercli.progress import SILENT, Progress


@dataclass(frozen=True)
class Plan:
    """The keys of a corpus' utterances; several utterances may share one.

    Attributes:
        keys: Utterance id → key in the store.
        jobs: Key → the audio that it stands for.
        refused: Utterance id → why its file cannot even be opened.
    """

    keys: dict[str, str]
    jobs: dict[str, Job]
    refused: dict[str, Refusal]


def plan_extraction(table: pd.DataFrame, recipe: str, progress: Progress = SILENT) -> Plan:
    """Read the audio files of a manifest's table, for their content, and name the keys.

    Args:
        table: `sercli.corpora.manifest.Manifest.table`.
        recipe: `sercli.features.keys.recipe_digest` of the frames.
        progress: Where to show how far it is.
    """
    digest = functools.cache(_checked_digest)
    plan = Plan({}, {}, {})
    columns = ["utterance", "audio", "audio_start", "audio_end"]
    with progress.task("reading audio files", total=len(table)) as bar:
        for name, audio, start, end in table[columns].itertuples(index=False, name=None):
            try:
                key = utterance_key(digest(audio), start, end, recipe)
            except AudioError as refusal:
                plan.refused[name] = Refusal(audio, str(refusal))
            else:
                plan.keys[name] = key
                plan.jobs.setdefault(key, Job(key, audio, start, end))
            bar.advance()
    return plan


def _checked_digest(audio: str) -> str:
    path = Path(audio)
    check_file(path)
    try:
        return audio_digest(path)
    except OSError as error:
        raise AudioError(f"cannot be read: {error.strerror}") from None
