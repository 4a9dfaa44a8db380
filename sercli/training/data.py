"""Training data: the manifest, the features of every utterance, the context turns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sercli.config.run_key import rating_settings
from sercli.config.schema import Config
from sercli.corpora.audit import Audit, audit, save_audit
from sercli.corpora.context import find_context, turns_until
from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.ratings import rater_labels
from sercli.corpora.read import read_corpus
from sercli.corpora.validate import DIMENSIONS
from sercli.errors import SercliError, counted
from sercli.features.copies import Copy, TurnCopies, audio_copies, copied
from sercli.features.extract import Extraction, extract, extract_texts
from sercli.features.load import StoredSteps, load_features
from sercli.features.sets import of_stream, reads_text
from sercli.features.store_uses import corpus_location
from sercli.features.text import COLUMNS, TextFacts
from sercli.features.verify import Verification, verify
from sercli.progress import SILENT, Progress
from sercli.results.run_record import OF_MANIFEST
from sercli.training.dialogues import DialogueSteps

if TYPE_CHECKING:
    from sercli.training.packed import PackedTurns


OTHER = "other"
"""Name of the rater that pools all raters with few labels."""


@dataclass(frozen=True)
class Data:
    """A corpus, ready for training.

    Attributes:
        manifest: Without the utterances that extraction refused.
        steps: Utterance id → float32 (steps, features).
        context: Indexed by target utterance, columns ``own`` and ``interlocutor``.
        fingerprint: Hash of all that was read: audio, labels, speakers, turns, order.
        seconds: Utterance id → duration of its audio, where known.
        contents: Utterance id → SHA-256 of its samples, where known.
        copies: Copies of the targets for training; None: there are none.
        streams: Name of a stream → utterance id → float32 (steps, features).
        texts: ``features``, or name of a stream → utterance id → facts of its transcript, where
            they are computed from it.
        min_ratings: Raters with fewer labels than this are `OTHER`.
    """

    manifest: Manifest
    steps: Mapping[str, np.ndarray]
    context: pd.DataFrame
    fingerprint: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    copies: TurnCopies | None = None
    min_ratings: int = 1
    streams: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, TextFacts]] = field(default_factory=dict)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Target utterance id → class."""
        targets = self.manifest.targets
        return dict(zip(targets["utterance"], targets["label"], strict=True))

    @cached_property
    def ratings(self) -> pd.DataFrame:
        """Columns ``utterance``, ``rater`` and ``label``: a class for each target and rater."""
        found = rater_labels(self.manifest)
        few = found.groupby("rater")["label"].transform("size") < self.min_ratings
        return found.assign(rater=found["rater"].mask(few, OTHER))

    @cached_property
    def raters(self) -> list[str]:
        """The raters, sorted."""
        return sorted(self.ratings["rater"].unique())

    @cached_property
    def speakers(self) -> dict[str, str]:
        """Utterance id → speaker."""
        table = self.manifest.table
        return dict(zip(table["utterance"], table["speaker"], strict=True))

    @cached_property
    def lengths(self) -> Mapping[str, int]:
        """Utterance id → number of steps; of a corpus in the store, without reading them."""
        return _lengths(self.steps)

    @cached_property
    def packed(self) -> PackedTurns:
        """The turns of the corpus, packed for batches."""
        from sercli.training.packed import PackedTurns

        streams = {name: (steps, _lengths(steps)) for name, steps in self.streams.items()}
        return PackedTurns(
            self.steps, self.lengths, self.manifest, self.context, self.copies, streams
        )

    def values(self, column: str) -> list[str]:
        """Return the sorted values of a column among the targets; ``rater`` is one too."""
        if column == "rater":
            return self.raters
        return sorted(self.manifest.targets[column].dropna().unique())

    @cached_property
    def features(self) -> int:
        """Features of a step."""
        return _width(self.steps)

    @cached_property
    def stream_features(self) -> dict[str, int]:
        """Name of a stream → features of a step."""
        return {name: _width(steps) for name, steps in self.streams.items()}


def _lengths(steps: Mapping[str, np.ndarray]) -> Mapping[str, int]:
    if isinstance(steps, StoredSteps | DialogueSteps):
        return steps.lengths
    return {name: len(each) for name, each in steps.items()}


def _width(steps: Mapping[str, np.ndarray]) -> int:
    return int(next(iter(steps.values())).shape[1])


def read_data(config: Config, *, workers: int = 1, progress: Progress = SILENT) -> Data:
    """Read the corpus, extract what the store lacks, and load the features.

    Raises:
        SercliError: No target utterance could be read.
        RequestError: The corpus is missing, or is not what the configuration says.
    """
    from sercli.models import reads_dialogues  # imports torch

    manifest = read_corpus(config.dataset, progress)
    extraction = _extract(config, manifest, workers, progress)
    streams = _extract_streams(config, manifest, workers, progress)
    refused = extraction.refused
    for each in streams.values():
        refused = each.refused | refused
    readable = manifest.without(refused)
    if readable.targets.empty:
        first = next(iter(refused.values()))
        raise SercliError(
            f"{manifest.dataset}: none of the {len(manifest.targets)} target utterances "
            f"could be read ({first.file}: {first.reason}); `sercli extract` lists all reasons"
        )
    if readable.refused:
        progress.note(
            f"{counted(len(readable.refused), 'utterance')} of {manifest.dataset} refused and left "
            f"out, {len(readable.table)} used; `sercli extract` lists the reasons"
        )
    store = Path(config.paths.store)
    steps = load_features(
        readable, extraction.keys, store, config.features, counts=extraction.frames
    )
    made = _extract_copies(config, readable, workers, progress)
    rated = rating_settings(config)
    texts = {name: each.texts for name, each in {"features": extraction, **streams}.items()}
    texts = {name: found for name, found in texts.items() if found}
    for name, found in texts.items():
        progress.note(f"{name}: {count_texts(found, readable)}")
    of_streams: dict[str, Mapping[str, np.ndarray]] = {
        name: _load_stream(name, config, readable, each) for name, each in streams.items()
    }
    of_turns: Mapping[str, np.ndarray] = steps
    if reads_dialogues(config.model):
        until = turns_until(readable, config.dataset.context)
        of_turns = DialogueSteps(steps, until)
        of_streams = {name: DialogueSteps(each, until) for name, each in of_streams.items()}
    return Data(
        manifest=readable,
        steps=of_turns,
        context=find_context(readable, config.dataset.context),
        fingerprint=_fingerprint(readable, extraction.keys, made.keys, streams, rated=bool(rated)),
        seconds=extraction.seconds,
        contents={name: facts.content for name, facts in extraction.facts.items()},
        copies=_load_copies(config, made, steps),
        min_ratings=rated.get("min_ratings", 1),
        streams=of_streams,
        texts=texts,
    )


@dataclass(frozen=True)
class TextCounts:
    """The transcripts of the targets of a corpus.

    >>> print(TextCounts(turns=12, without=1, tokens=33, unknown=11))
    33 tokens in 12 turns, 11 (33.3 %) not in the vocabulary; 1 turn without transcript

    Attributes:
        turns: Number of targets.
        without: Number of those without a transcript.
        tokens: Tokens of all.
        unknown: Tokens that the vocabulary lacks.
    """

    turns: int
    without: int
    tokens: int
    unknown: int

    def __str__(self) -> str:
        share = f"{100 * self.unknown / max(self.tokens, 1):.1f} %"
        return (
            f"{counted(self.tokens, 'token')} in {counted(self.turns, 'turn')}, {self.unknown} "
            f"({share}) not in the vocabulary; {counted(self.without, 'turn')} without transcript"
        )


def count_texts(texts: Mapping[str, TextFacts], manifest: Manifest) -> TextCounts:
    """Count the transcripts and tokens of the targets of a corpus."""
    found = [texts[name] for name in manifest.targets["utterance"]]
    return TextCounts(
        turns=len(found),
        without=sum(not each.tokens for each in found),
        tokens=sum(each.tokens for each in found),
        unknown=sum(each.unknown for each in found),
    )


def _load_stream(
    name: str, config: Config, manifest: Manifest, extraction: Extraction
) -> StoredSteps:
    store = Path(config.paths.store)
    with of_stream(name):
        return load_features(
            manifest,
            extraction.keys,
            store,
            config.streams[name],
            counts=extraction.frames,
        )


def extract_corpus(config: Config, *, workers: int = 1, progress: Progress = SILENT) -> Audit:
    """Read the corpus, extract what the store lacks, audit what was read, and keep the audit.

    Raises:
        RequestError: The corpus is missing, or is not what the configuration says.
    """
    manifest = read_corpus(config.dataset, progress)
    extraction = _extract(config, manifest, workers, progress)
    progress.note(extraction.summary)
    readable = manifest.without(extraction.refused)
    for name, each in _extract_streams(config, manifest, workers, progress).items():
        progress.note(f"stream {name}: {each.summary}")
        readable = readable.without(each.refused)
    _extract_copies(config, readable, workers, progress, note=progress.note)
    found = audit(readable, config.dataset, extraction.facts)
    _keep(readable, found, config, progress)
    return found


def verify_corpus(config: Config, progress: Progress = SILENT) -> Verification:
    """Verify that the store holds the frames of the corpus, and of its copies, unchanged.

    Raises:
        RequestError: The corpus is missing, or is not what the configuration says.
        SercliError: There is no store, or it cannot be opened.
    """
    return verify(
        read_corpus(config.dataset, progress),
        config.features,
        Path(config.paths.store),
        location=corpus_location(config.dataset),
        copies=audio_copies(config.augment, config.features),
        streams=config.streams,
        progress=progress,
    )


def describe_utterances(data: Data) -> pd.DataFrame:
    """Tabulate the target utterances of a corpus, so that a record can be read without it.

    Returns:
        One row per target utterance: the columns of the manifest that a report groups by,
        ``seconds`` and ``content``, the SHA-256 of its samples (NaN where extraction did not
        measure it), and booleans ``own`` and ``interlocutor``: True if there is such a context
        turn.
    """
    columns = [*OF_MANIFEST, *data.manifest.dimension_names]
    table = data.manifest.targets[columns].reset_index(drop=True)
    context = data.context.reindex(table["utterance"])
    return table.assign(
        seconds=[data.seconds.get(name, float("nan")) for name in table["utterance"]],
        content=table["utterance"].map(dict(data.contents)),
        own=context["own"].notna().to_numpy(),
        interlocutor=context["interlocutor"].notna().to_numpy(),
    )


def _keep(manifest: Manifest, found: Audit, config: Config, progress: Progress) -> None:
    """Save manifest and audit if possible; the extraction is done either way."""
    try:
        folder = save_audit(manifest, found, config.dataset, Path(config.paths.data))
    except OSError as error:
        progress.note(f"manifest and audit cannot be kept under paths.data: {error}")
    else:
        progress.note(f"manifest, refusals and audit: {folder}")


def _extract(
    config: Config, manifest: Manifest, workers: int, progress: Progress, copy: Copy | None = None
) -> Extraction:
    return extract(
        manifest,
        config.features,
        Path(config.paths.store),
        location=corpus_location(config.dataset),
        copy=copy,
        workers=workers,
        device=config.device,
        progress=progress,
    )


def _extract_streams(
    config: Config, manifest: Manifest, workers: int, progress: Progress
) -> dict[str, Extraction]:
    """Extract the streams of a configuration, those of transcripts without reading audio."""
    found = {}
    for name, features in config.streams.items():
        with of_stream(name):
            run = extract_texts if reads_text(features) else partial(extract, workers=workers)
            found[name] = run(
                manifest,
                features,
                Path(config.paths.store),
                location=corpus_location(config.dataset),
                device=config.device,
                progress=progress,
            )
    return found


@dataclass(frozen=True)
class _Copied:
    """The copies of a corpus in the store.

    Attributes:
        manifest: The copies, in place of the utterances.
        of: Name of a copy → utterance id.
        keys: Name of a copy → key in the store.
        frames: Name of a copy → number of frames; only of copies already in the store before.
    """

    manifest: Manifest
    of: Mapping[str, str]
    keys: Mapping[str, str]
    frames: Mapping[str, int]


def _extract_copies(
    config: Config,
    manifest: Manifest,
    workers: int,
    progress: Progress,
    note: Callable[[str], None] = lambda text: None,
) -> _Copied:
    """Extract the copies of the targets that the augmentations of a configuration make.

    Raises:
        SercliError: No copy could be made.
    """
    tables = [manifest.table[:0]]
    of: dict[str, str] = {}
    keys: dict[str, str] = {}
    frames: dict[str, int] = {}
    refused: dict[str, Refusal] = {}
    for copy in audio_copies(config.augment, config.features):
        turns = copied(manifest, copy)
        done = _extract(config, turns, workers, progress, copy)
        note(f"copies, {copy.name}: {done.summary}")
        tables.append(turns.table)
        utterances = manifest.targets["utterance"]
        for name, utterance in zip(turns.table["utterance"], utterances, strict=True):
            if name in done.keys:
                of[name], keys[name] = utterance, done.keys[name]
        frames |= done.frames
        refused |= done.refused
    if refused:
        name, first = next(iter(refused.items()))
        text = f"the first, '{name}': {first.reason}"
        if not keys:
            raise SercliError(f"augment: none of {len(refused)} copies can be made; {text}")
        progress.note(f"{len(refused)} of {len(refused) + len(keys)} copies cannot be made; {text}")
    return _Copied(replace(manifest, table=pd.concat(tables)), of, keys, frames)


def _load_copies(config: Config, made: _Copied, steps: StoredSteps) -> TurnCopies | None:
    """Load copies, normalised by the statistics of the unchanged turns of their speakers."""
    if not made.keys:
        return None
    statistics = steps.statistics and {name: steps.statistics[of] for name, of in made.of.items()}
    loaded = load_features(
        made.manifest,
        made.keys,
        Path(config.paths.store),
        config.features,
        statistics,
        made.frames,
    )
    return TurnCopies(made.of, loaded, loaded.lengths)


def _fingerprint(
    manifest: Manifest,
    keys: Mapping[str, str],
    of_copies: Mapping[str, str],
    streams: Mapping[str, Extraction],
    *,
    rated: bool,
) -> str:
    """Hash what was read, in its order, from which batches are drawn.

    Paths are left out, because the keys stand for the audio itself.
    """
    unused = {*DIMENSIONS} - {*manifest.dimension_names}
    table = manifest.table.drop(columns=["audio", *COLUMNS, *unused])
    if table["corpus"].isna().all():  # as before there was the column
        table = table.drop(columns="corpus")
    table["features"] = table["utterance"].map(dict(keys))
    text = table.to_csv(index=False) + "".join(of_copies.values())
    for name, stream in sorted(streams.items()):
        text += f"{name} {''.join(stream.keys[each] for each in table['utterance'])}"
    if rated:
        text += manifest.ratings.to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()
