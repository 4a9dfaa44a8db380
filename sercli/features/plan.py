"""The extraction plan: the key in the store of every utterance of a corpus."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercli.corpora.manifest import Refusal
from sercli.errors import RequestError
from sercli.features.arrays import ArraySet
from sercli.features.audio import AudioError, Change, check_file
from sercli.features.jobs import Job
from sercli.features.known import KnownFiles
from sercli.features.sets import FeatureSet
from sercli.features.text import TextSet, clean
from sercli.files import file_digest
from sercli.progress import SILENT, Progress

_METHOD = 1
"""Increased when sercli itself changes the samples in another way (mixing, quantising)."""


def recipe_digest(features: FeatureSet, sampling_rate: int, change: Change | None = None) -> str:
    """Return a hash of everything but the audio that the frames depend on.

    That is the configuration and level of the feature set, the version of the library that
    computes it, the sampling rate, and a change of the signal before extraction. The name of the
    set changes no number and is left out.
    """
    version = importlib.metadata.version(features.library)  # importing takes 0.3 s
    recipe = _hash(_METHOD, features.library, features.digest, version, sampling_rate)
    return recipe if change is None else _hash(recipe, change.digest)


def utterance_key(audio: str, start: float, end: float, recipe: str) -> str:
    """Return the key of one utterance.

    Args:
        audio: `sercli.files.file_digest` of its file.
        start: Seconds into the file; NaN: its beginning.
        end: Seconds into the file; NaN: its end.
        recipe: `recipe_digest` of its frames.
    """
    segment = [None if math.isnan(time) else float(time) for time in (start, end)]
    return _hash(audio, *segment, recipe)


def _hash(*parts: str | float | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class ExtractionPlan:
    """The keys of the utterances of a corpus; several utterances may share one.

    Attributes:
        keys: Utterance id → key in the store.
        jobs: Key → extraction job.
        refused: Utterance id → reason why its file cannot be opened.
    """

    keys: dict[str, str]
    jobs: dict[str, Job]
    refused: dict[str, Refusal]


def plan_extraction(
    table: pd.DataFrame,
    recipe: str,
    progress: Progress = SILENT,
    known: KnownFiles | None = None,
    features: FeatureSet | None = None,
) -> ExtractionPlan:
    """Hash the audio files of a manifest, and return the key of every utterance.

    Args:
        table: `sercli.corpora.manifest.Manifest.table`.
        recipe: `recipe_digest` of the frames.
        progress: The progress bar to advance.
        known: Digests of files that have not changed since; None: every file is hashed.
        features: The feature set; arrays and transcripts are part of the keys of their utterances.
    """

    @functools.cache
    def digest(audio: str) -> str:
        if known is None:
            return _checked_digest(audio)
        return str(known.get(audio, functools.partial(_checked_digest, audio)))

    plan = ExtractionPlan({}, {}, {})
    texts: Mapping[str, str] = {}
    if isinstance(features, TextSet):
        of_texts = plan_texts(table, features)
        texts = of_texts.keys
        plan.refused.update(of_texts.refused)
        table = table[~table["utterance"].isin(list(of_texts.refused))]
    columns = ["utterance", "audio", "audio_start", "audio_end"]
    with progress.task("reading audio files", total=len(table)) as bar:
        for name, audio, start, end in table[columns].itertuples(index=False, name=None):
            try:
                array = str(features.array(name)) if isinstance(features, ArraySet) else None
                text = texts.get(name)
                given = text if array is None else digest(array)
                made = recipe if given is None else _hash(recipe, given)
                key = utterance_key(digest(audio), start, end, made)
            except AudioError as refusal:
                plan.refused[name] = Refusal(audio, str(refusal))
            else:
                plan.keys[name] = key
                plan.jobs.setdefault(key, Job(key, audio, start, end, array, text))
            bar.advance()
    return plan


@dataclass(frozen=True)
class TextPlan:
    """The keys of the transcripts of a corpus; equal ones share a key.

    Attributes:
        keys: Utterance id → key in the store.
        texts: Key → transcript; empty where there is none.
        refused: Utterance id → reason why it is left out.
    """

    keys: dict[str, str]
    texts: dict[str, str]
    refused: dict[str, Refusal]


def plan_texts(table: pd.DataFrame, features: TextSet) -> TextPlan:
    """Return the key of the transcript of every utterance.

    Raises:
        RequestError: No utterance has one.
    """
    recipe = recipe_digest(features, sampling_rate=0)
    plan = TextPlan({}, {}, {})
    for name, audio, given in table[["utterance", "audio", features.column]].itertuples(
        index=False, name=None
    ):
        text = clean(given)
        if not text and features.missing == "refuse":
            plan.refused[name] = Refusal(audio, f"has no {features.column}")
            continue
        key = _hash("text", text, recipe)
        plan.keys[name], plan.texts[key] = key, text
    if not any(plan.texts.values()):
        raise RequestError(
            f"features={features.name} reads the column {features.column}, and the corpus has no "
            f"{features.column} of any utterance"
        )
    return plan


def _checked_digest(audio: str) -> str:
    path = Path(audio)
    check_file(path)
    try:
        return file_digest(path)
    except OSError as error:
        raise AudioError(f"cannot be read: {error.strerror}") from None
