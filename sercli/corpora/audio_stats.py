"""Statistics of the audio of a corpus, from measurements made during extraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # extraction workers need the facts, and not pandas, which takes 0.5 s
    import pandas as pd

    from sercli.corpora.manifest import Manifest

SILENT_PEAK = 1e-3
"""Peak, relative to full scale, below which audio counts as nearly silent: −60 dB (our choice)."""

CLIPPED_SHARE = 0.01
"""Share of samples at full scale from which audio counts as clipped (our choice)."""


@dataclass(frozen=True)
class AudioFacts:
    """Measurements of the audio of an utterance, before mixing to mono and resampling.

    Attributes:
        seconds: Duration.
        sampling_rate: Hz of the file.
        channels: Channels of the file.
        peak: Largest absolute sample of any channel; 1 is full scale.
        clipped_share: Share of the samples of all channels at full scale.
        content: SHA-256 of the decoded samples, in hexadecimal: equal for equal samples in
            different files, such as a WAV file and its FLAC copy.
    """

    seconds: float
    sampling_rate: int
    channels: int
    peak: float
    clipped_share: float
    content: str


@dataclass(frozen=True)
class Durations:
    """Statistics of the durations of utterances, in seconds."""

    total: float
    minimum: float
    percentile_5: float
    median: float
    mean: float
    percentile_95: float
    maximum: float


@dataclass(frozen=True)
class AudioStats:
    """Statistics of the audio of a corpus.

    Attributes:
        utterances: Durations of all utterances.
        targets: Durations of the utterances that the task classifies; None if there are none.
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


def summarise_audio(manifest: Manifest, facts: Mapping[str, AudioFacts]) -> AudioStats | None:
    """Summarise the measurements of the utterances of ``manifest``; None if there are none."""
    measured = {name: facts[name] for name in manifest.table["utterance"] if name in facts}
    if not measured:
        return None
    import pandas as pd

    table = pd.DataFrame([asdict(each) for each in measured.values()], index=list(measured))
    of_targets = table["seconds"][table.index.isin(manifest.targets["utterance"])]
    return AudioStats(
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
