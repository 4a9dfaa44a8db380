"""What the audio of a corpus is like, from what extraction measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pandas as pd

from sercli.corpora.manifest import Manifest

if TYPE_CHECKING:  # features lie above corpora; their facts come down as data
    from sercli.features.audio import AudioFacts

SILENT_PEAK = 1e-3
"""Largest sample, of full scale, below which speech is called silent: −60 dB (our choice)."""

CLIPPED_SHARE = 0.01
"""Share of samples at full scale from which audio is called clipped (our choice)."""


@dataclass(frozen=True)
class Durations:
    """How long utterances are, in seconds."""

    total: float
    minimum: float
    percentile_5: float
    median: float
    mean: float
    percentile_95: float
    maximum: float


@dataclass(frozen=True)
class Sound:
    """What the audio is like.

    Attributes:
        utterances: Durations of all utterances.
        targets: Durations of those that the task classifies; None where there is none.
        sampling_rates: Hz of the files → utterances, most frequent first.
        channels: Channels of the files → utterances, most frequent first.
        silent: Utterances whose peak is below `SILENT_PEAK`.
        clipped: Utterances with `CLIPPED_SHARE` of the samples or more at full scale.
        repeated: Groups of utterances with the same samples.
    """

    utterances: Durations
    targets: Durations | None
    sampling_rates: dict[str, int]
    channels: dict[str, int]
    silent: tuple[str, ...]
    clipped: tuple[str, ...]
    repeated: tuple[tuple[str, ...], ...]


def describe_sound(manifest: Manifest, facts: Mapping[str, AudioFacts]) -> Sound | None:
    """Summarise the facts of the utterances of ``manifest``; None where there are none."""
    measured = {name: facts[name] for name in manifest.table["utterance"] if name in facts}
    if not measured:
        return None
    table = pd.DataFrame([asdict(each) for each in measured.values()], index=list(measured))
    of_targets = table["seconds"][table.index.isin(manifest.targets["utterance"])]
    return Sound(
        utterances=_durations(table["seconds"]),
        targets=None if of_targets.empty else _durations(of_targets),
        sampling_rates=_frequencies(table["sampling_rate"]),
        channels=_frequencies(table["channels"]),
        silent=tuple(table.index[table["peak"] < SILENT_PEAK]),
        clipped=tuple(table.index[table["clipped_share"] >= CLIPPED_SHARE]),
        repeated=_repeated(table["content"]),
    )


def _durations(seconds: pd.Series[float]) -> Durations:
    return Durations(
        total=float(seconds.sum()),
        minimum=float(seconds.min()),
        percentile_5=float(seconds.quantile(0.05)),
        median=float(seconds.median()),
        mean=float(seconds.mean()),
        percentile_95=float(seconds.quantile(0.95)),
        maximum=float(seconds.max()),
    )


def _frequencies(values: pd.Series[int]) -> dict[str, int]:
    return {str(value): int(n) for value, n in values.value_counts().items()}


def _repeated(content: pd.Series[str]) -> tuple[tuple[str, ...], ...]:
    again = content[content.duplicated(keep=False)]
    return tuple(tuple(group.index) for _, group in again.groupby(again, sort=False))
