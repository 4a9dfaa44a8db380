"""Mean and deviation by which new recordings are normalised.

In training, frames are normalised by the mean and deviation of their speaker or corpus
(`sercli.features.load`). The speaker of a new recording may be unknown, or be heard in no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError, SercliError
from sercli.features.extract import Extraction, extract
from sercli.features.load import grouped_statistics
from sercli.features.preprocess import Statistics, frame_statistics, unstack_statistics
from sercli.features.store import FeatureStore
from sercli.inference.recordings import Recordings
from sercli.progress import Progress
from sercli.results.weights import read_weights
from sercli.training.source import Source

CHOICES = {
    "training": "of the training speakers",
    "file": "of each audio file",
    "speaker": "of all recordings of the speaker",
}
"""Statistics to normalise by → words. Anything else is the path of reference recordings."""

_COLUMN = {"file": "audio", "speaker": "speaker"}

StatisticsOf = Callable[[int], Mapping[str, Statistics] | None]
"""Statistics of each recording for the networks of a fold, by its position in the run."""


@dataclass(frozen=True)
class Heard:
    """Recordings with their frames.

    Attributes:
        manifest: The recordings that could be read.
        extraction: The extraction of all.
        store: The feature store with their frames.
    """

    manifest: Manifest
    extraction: Extraction
    store: FeatureStore


def hear(
    recordings: Recordings,
    source: Source,
    folder: Path,
    workers: int,
    device: str,
    progress: Progress,
) -> Heard:
    """Extract the frames of recordings into a store below a folder."""
    place = folder / "store"
    extraction = extract(
        recordings.manifest,
        source.config.features,
        place,
        workers=workers,
        device=device,
        progress=progress,
    )
    return Heard(recordings.manifest.without(extraction.refused), extraction, FeatureStore(place))


def choose(source: Source, wanted: str | None, *, speakers: bool) -> str:
    """Return the choice of the statistics.

    Args:
        source: The model.
        wanted: A choice of the user; None: ``speaker`` with speakers if the model was trained so,
            else ``training``.
        speakers: True if every recording has a speaker.

    Raises:
        RequestError: The model was trained without normalisation, a run keeps no statistics, or
            there is no such choice or path.
    """
    if source.config.features.normalise == "none":
        if wanted is not None:
            raise RequestError(
                f"--normalize {wanted}: {source.name} was trained without normalisation"
            )
        return "none"
    own = speakers and source.config.features.normalise == "speaker"
    choice = wanted or ("speaker" if own else "training")
    if choice not in CHOICES and not Path(choice).exists():
        raise RequestError(
            f"--normalize {choice}: must be {', '.join(CHOICES)} or the path of reference "
            "recordings, and there is no such path"
        )
    if choice == "training" and not source.normalisation.is_file():
        raise RequestError(
            f"{source.name} holds no statistics of its training speakers (an earlier sercli "
            "trained it): use --normalize file, speaker or the path of reference recordings"
        )
    return choice


def find_statistics(
    source: Source, choice: str, heard: Heard, reference: Callable[[str], Heard]
) -> StatisticsOf:
    """Return the statistics by which each recording is normalised.

    Args:
        source: The model.
        choice: Result of `choose`.
        heard: The recordings.
        reference: Reads reference recordings.

    Raises:
        RequestError: No reference recording can be used.
        SercliError: The statistics of the training speakers cannot be read.
    """
    names = list(heard.manifest.table["utterance"])
    if choice == "none" or not names:
        return lambda fold: None
    if choice == "training":
        of_folds = _of_training(source)
        return lambda fold: dict.fromkeys(names, of_folds[fold])
    if choice in _COLUMN:
        table, keys = heard.manifest.table, heard.extraction.keys
        own = grouped_statistics(heard.store, table, keys, _COLUMN[choice])
        return lambda fold: own
    same = dict.fromkeys(names, _of_reference(reference(choice)))
    return lambda fold: same


def describe(choice: str, group: str = "speaker") -> str:
    """Return the choice in words.

    Args:
        choice: Result of `choose`.
        group: ``features.normalise`` of the model.
    """
    if choice == "none":
        return "none"
    if choice == "training" and group == "corpus":
        return "z-score by mean and deviation of the training corpora"
    return f"z-score by mean and deviation {CHOICES.get(choice, f'of the recordings in {choice}')}"


def _of_training(source: Source) -> list[Statistics]:
    folds, features = len(source.folds), len(source.columns)
    sums = ("F64", (folds, features))
    shapes = {"mean": sums, "squares": sums, "frames": ("I64", (folds,))}
    found = unstack_statistics(read_weights(source.normalisation, shapes))
    if not all(each.frames > 0 for each in found):
        raise SercliError(f"{source.normalisation} holds statistics of no frames; restore it")
    return found


def _of_reference(heard: Heard) -> Statistics:
    if heard.manifest.table.empty:
        first = next(iter(heard.extraction.refused.values()))
        raise RequestError(f"no reference recording can be used: {first.file}: {first.reason}")
    keys = heard.extraction.keys
    return frame_statistics(
        heard.store.get(keys[name]) for name in heard.manifest.table["utterance"]
    )
