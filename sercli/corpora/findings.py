"""Findings of the audit: problems that limit the interpretation of results, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from sercli.corpora.audio_stats import CLIPPED_SHARE, SILENT_PEAK, AudioStats
from sercli.corpora.expected_counts import ExpectedCounts
from sercli.corpora.manifest import Manifest

_SIGNIFICANCE = 0.01
"""Level of the test for speakers with one class, over all speakers of a corpus (our choice)."""

_NAMED = 5
"""Speakers or utterances named in a line (our choice)."""


@dataclass(frozen=True)
class Finding:
    """A problem of a corpus.

    Attributes:
        kind: ``count``, ``speaker``, ``split``, ``silent``, ``clipped`` or ``repeated``.
        text: Description on one line.
    """

    kind: str
    text: str


def list_findings(
    manifest: Manifest, expected: ExpectedCounts | None, audio: AudioStats | None
) -> tuple[Finding, ...]:
    """Return all findings."""
    findings = [
        *_deviating_counts(expected),
        *(_confounded_speakers(manifest.targets) if manifest.dimensions is None else ()),
        *_shared_speakers(manifest.targets),
    ]
    if audio is not None:
        findings += _doubtful_audio(manifest, audio)
    return tuple(findings)


def _deviating_counts(expected: ExpectedCounts | None) -> Iterator[Finding]:
    for comparison in expected.counts if expected else ():
        if not comparison.ok:
            yield Finding("count", str(comparison))


def _confounded_speakers(targets: pd.DataFrame) -> Iterator[Finding]:
    """Find speakers with one class only, and more utterances of it than chance explains.

    A model that recognises the speaker then recognises the emotion.
    """
    shares = targets["label"].value_counts(normalize=True)
    by_speaker = targets.groupby("speaker")["label"].agg(["nunique", "first", "size"])
    alone = by_speaker[by_speaker["nunique"] == 1]
    chance = shares.reindex(alone["first"]).to_numpy() ** alone["size"].to_numpy()
    confounded = [str(name) for name in alone.index[chance * len(by_speaker) < _SIGNIFICANCE]]
    if len(shares) > 1 and confounded:
        yield Finding(
            "speaker",
            f"{len(confounded)} of {len(by_speaker)} speakers have one class only "
            f"({_names(confounded)}): speaker and emotion are confounded, and results do not "
            "carry over to other speakers",
        )


def _shared_speakers(targets: pd.DataFrame) -> Iterator[Finding]:
    """Find speakers in several parts of the official split."""
    parts = targets.dropna(subset=["split"]).groupby("speaker")["split"].nunique()
    shared = [str(name) for name in parts.index[parts > 1]]
    if shared:
        yield Finding(
            "split",
            f"{len(shared)} of {len(parts)} speakers are in several parts of the official split "
            f"({_names(shared)}): results on it do not carry over to other speakers; "
            "leave speakers out instead (protocol=loso_speaker)",
        )


def _doubtful_audio(manifest: Manifest, audio: AudioStats) -> Iterator[Finding]:
    if audio.silent:
        what = f"nearly silent (peak below {SILENT_PEAK:g} of full scale)"
        yield Finding("silent", f"{len(audio.silent)} {what}: {_names(audio.silent)}")
    if audio.clipped:
        what = f"clipped ({CLIPPED_SHARE:.0%} of the samples or more at full scale)"
        yield Finding("clipped", f"{len(audio.clipped)} {what}: {_names(audio.clipped)}")
    said = manifest.table.set_index("utterance")
    for group in audio.repeated:
        differing = [
            f"{column} {' and '.join(values)}"
            for column in ("speaker", "emotion")
            if len(values := said.loc[list(group), column].unique()) > 1
        ]
        but = f", but {', '.join(differing)}" if differing else ""
        yield Finding("repeated", f"the same audio{but}: {_names(group)}")


def _names(names: Sequence[str]) -> str:
    more = f", … and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
