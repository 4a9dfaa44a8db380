"""Copies of training turns: speed perturbation, noise, vocal tract length perturbation.

Each copy of an utterance is made once, from its audio, and kept in the feature store under its own
key: a hash of the audio, the segment, the feature set and the change.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import audresample
import numpy as np

from sercli.config.component import build
from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError, counted
from sercli.features.audio import SHORTEST, AudioError, Change, read_audio
from sercli.features.known import known_digest
from sercli.features.sets import FeatureSet, feature_set, reads_text
from sercli.features.spectral import SpectralSet
from sercli.features.vtlp import WarpedSet

T = TypeVar("T")

_AUDIO = frozenset({".aif", ".aiff", ".flac", ".mp3", ".ogg", ".opus", ".wav"})
"""Suffixes of the files that are taken from a folder of noise."""

_KEPT = 8
"""Files of noise that a process keeps decoded (our choice)."""


@dataclass(frozen=True)
class Copy:
    """A recipe for one copy of every training turn.

    Attributes:
        name: Name, unique among the copies of a configuration.
        features: Feature set of the copy.
        change: Change of the signal before extraction; None: the signal as it is.
    """

    name: str
    features: FeatureSet
    change: Change | None = None


def unchanged(features: FeaturesConfig) -> Copy:
    """Return the recipe of the utterances themselves, without a name."""
    return Copy("", feature_set(features))


def copy_settings(copy: Copy, recipe: str) -> dict[str, str]:
    """Return the setting that distinguishes a copy among the uses of a store; empty without one."""
    return {"copy": f"{copy.name}, {recipe[:8]}"} if copy.name else {}


def copied(manifest: Manifest, copy: Copy) -> Manifest:
    """Return the targets of a corpus, renamed as their copies: ``a`` to ``a (speed 0.9)``."""
    targets = manifest.targets
    names = targets["utterance"] + f" ({copy.name})"
    return replace(manifest, table=targets.assign(utterance=names))


@dataclass(frozen=True)
class TurnCopies:
    """Copies of utterances for training, made of changed audio.

    Attributes:
        of: Name of a copy → utterance id.
        steps: Name of a copy → float32 (steps, features).
        lengths: Name of a copy → number of steps.
    """

    of: Mapping[str, str]
    steps: Mapping[str, np.ndarray]
    lengths: Mapping[str, int]


class Speed:
    """Speed perturbation (Ko et al. 2015, Interspeech): the audio is resampled.

    Tempo, pitch and formants change together. Ko et al. train on the original and copies at 0.9
    and 1.1 times the speed.

    >>> str(Speed([0.9, 1.1]))
    'speed (copies at 0.9 and 1.1 times the speed)'

    Args:
        factors: Speed of each copy, from 0.5 to 2; below 1 is slower.

    Raises:
        RequestError: There is no factor, or one is invalid.
    """

    def __init__(self, factors: list[Any] | tuple[float, ...] = (0.9, 1.1)) -> None:
        self._factors = _checked_factors("speed", factors)

    def __str__(self) -> str:
        return f"speed (copies at {_listed(self._factors)} times the speed)"

    def copies(self, features: FeaturesConfig) -> list[Copy]:
        """Return a copy for each factor."""
        chosen = feature_set(features)
        return [Copy(f"speed {each:g}", chosen, _Resampled(each)) for each in self._factors]


class Vtlp:
    """Vocal tract length perturbation (Jaitly and Hinton 2013) by warped mel filters.

    Jaitly and Hinton draw a factor from 0.9 to 1.1 for each use of an utterance; Xu et al. (2021,
    ICASSP) store seven copies with factors drawn from 0.8 to 1.2. Here the factors are listed, and
    the same for all utterances (our choice).

    Args:
        factors: Warp factor α of each copy, from 0.5 to 2; below 1 moves formants up.
        boundary: Frequency up to which the warp is α f, in Hz (4 800 in both papers).

    Raises:
        RequestError: There is no factor, or a number is invalid.
    """

    def __init__(
        self,
        factors: list[Any] | tuple[float, ...] = (0.8, 0.87, 0.93, 1.07, 1.13, 1.2),
        boundary: float = 4800.0,
    ) -> None:
        self._factors = _checked_factors("vtlp", factors)
        if not boundary > 0:
            raise RequestError(f"augment.vtlp.boundary={boundary:g}: must be above 0")
        self._boundary = float(boundary)

    def __str__(self) -> str:
        return (
            f"vtlp (copies with mel filters warped by {_listed(self._factors)} up to "
            f"{self._boundary:g} Hz)"
        )

    def copies(self, features: FeaturesConfig) -> list[Copy]:
        """Return a copy for each factor.

        Raises:
            RequestError: The feature set has no mel filters that can be warped, or the factors or
                the boundary do not fit it.
        """
        chosen = feature_set(features)
        if not isinstance(chosen, SpectralSet):
            raise RequestError(
                f"augment=vtlp warps mel filters, and features={features.name} has none that can "
                "be warped; use features=log_mel or mfcc, or augment=speed"
            )
        warped = [WarpedSet(chosen, each, self._boundary) for each in self._factors]
        for each in warped:
            each.extractor(features.sampling_rate)
        return [Copy(f"vtlp {each.factor:g}", each) for each in warped]


class Noise:
    """Copies in noise, at a signal-to-noise ratio drawn for each copy of each utterance.

    Noise is white and Gaussian, or a random excerpt of a random file of a folder, repeated if it is
    too short. The draws depend on the audio and the settings alone.

    >>> str(Noise([10, 20], copies=1))
    'noise (1 copy in white noise at 10 to 20 dB)'

    Args:
        snr: Lowest and highest signal-to-noise ratio, in dB; drawn uniformly between them. It is
            the ratio of the mean squares of the whole signals.
        copies: Copies of each utterance.
        folder: Folder with files of noise, searched with its subfolders; null: white noise.

    Raises:
        RequestError: A value is invalid, or the folder holds no audio.
    """

    def __init__(
        self,
        snr: list[Any] | tuple[float, float] = (0.0, 20.0),
        copies: int = 2,
        folder: str | None = None,
    ) -> None:
        if not (len(snr) == 2 and all(map(_is_number, snr))):
            raise RequestError(f"augment.noise.snr={list(snr)}: must be [LOWEST,HIGHEST] in dB")
        if snr[0] > snr[1]:
            raise RequestError(
                f"augment.noise.snr={list(snr)}: the lowest ratio comes first; write "
                f"augment.noise.snr=[{snr[1]:g},{snr[0]:g}]"
            )
        if copies < 1:
            raise RequestError(f"augment.noise.copies={copies}: must be 1 or more")
        self._low, self._high, self._copies = float(snr[0]), float(snr[1]), copies
        self._files = () if folder is None else _noise_files(Path(folder).expanduser())

    def __str__(self) -> str:
        number = f"{self._copies} cop{'y' if self._copies == 1 else 'ies'}"
        files = counted(len(self._files), "file")
        kind = f"the noise of {files}" if self._files else "white noise"
        return f"noise ({number} in {kind} at {self._low:g} to {self._high:g} dB)"

    def copies(self, features: FeaturesConfig) -> list[Copy]:
        """Return the copies."""
        chosen = feature_set(features)
        return [
            Copy(f"noise {each}", chosen, _Noisy(self._low, self._high, each, self._files))
            for each in range(1, self._copies + 1)
        ]


class _OfAudio(Protocol):
    def copies(self, features: FeaturesConfig) -> list[Copy]: ...


OF_AUDIO: Mapping[str, Callable[..., _OfAudio]] = {"noise": Noise, "speed": Speed, "vtlp": Vtlp}
"""Augmentations that make copies of turns from their audio, by name."""


def audio_settings(augment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the augmentations of audio, on which extraction depends."""
    return {name: settings for name, settings in augment.items() if name in OF_AUDIO}


def audio_copies(augment: Mapping[str, Any], features: FeaturesConfig) -> list[Copy]:
    """Return the recipes of the copies of every training turn.

    Args:
        augment: Augmentations, by name, with their settings.
        features: The feature set.

    Raises:
        RequestError: A setting is invalid, or does not fit the features.
    """
    asked = [name for name in augment if name in OF_AUDIO]
    if asked and (features.name == "arrays" or reads_text(features)):
        raise RequestError(
            f"augment={asked[0]} changes audio, and features={features.name} are not computed from "
            "it; use augment=spec_augment or copy_paste"
        )
    return [copy for part in built(augment, OF_AUDIO) for copy in part.copies(features)]


def built(augment: Mapping[str, Any], parts: Mapping[str, Callable[..., T]]) -> Iterator[T]:
    """Build the augmentations of a configuration that are in ``parts``.

    Raises:
        RequestError: A setting is unknown, or of the wrong type.
    """
    for name, settings in augment.items():
        if name in parts:
            if not isinstance(settings, Mapping):
                raise RequestError(f"augment.{name}={settings}: must be a mapping of its settings")
            yield build(f"augment.{name}", parts[name], settings)


@dataclass(frozen=True)
class _Resampled:
    factor: float

    @property
    def digest(self) -> str:
        return _digest("speed", self.factor)

    def __call__(
        self, signal: np.ndarray, sampling_rate: int, random: np.random.Generator
    ) -> np.ndarray:
        played = round(self.factor * sampling_rate)
        changed: np.ndarray = audresample.resample(signal[None], played, sampling_rate)[0]
        if len(changed) < SHORTEST * sampling_rate:
            raise AudioError(f"shorter than one frame at {self.factor:g} times the speed")
        return changed


@dataclass(frozen=True)
class _Noisy:
    """Noise at a random ratio.

    Attributes:
        low: Lowest ratio, in dB.
        high: Highest ratio, in dB.
        number: Number of the copy.
        files: Hash and path of the files of noise, sorted; empty: white noise.
    """

    low: float
    high: float
    number: int
    files: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        return _digest("noise", self.low, self.high, self.number, *(file for file, _ in self.files))

    def __call__(
        self, signal: np.ndarray, sampling_rate: int, random: np.random.Generator
    ) -> np.ndarray:
        ratio = random.uniform(self.low, self.high)
        noise = self._noise(len(signal), sampling_rate, random)
        power = np.square(noise, dtype=np.float64).mean()
        if power == 0:  # a silent excerpt of a file
            return signal
        wanted = np.square(signal, dtype=np.float64).mean() / 10 ** (ratio / 10)
        mixed: np.ndarray = signal + noise * np.sqrt(wanted / power)
        return mixed.astype(np.float32)

    def _noise(self, samples: int, sampling_rate: int, random: np.random.Generator) -> np.ndarray:
        if not self.files:
            return random.standard_normal(samples)
        path = self.files[random.integers(len(self.files))][1]
        noise = _read_noise(path, sampling_rate)
        start = random.integers(max(len(noise) - samples, 0) + 1)
        return np.resize(noise[start : start + samples], samples)


@functools.lru_cache(maxsize=_KEPT)
def _read_noise(path: str, sampling_rate: int) -> np.ndarray:
    try:
        return read_audio(Path(path), np.nan, np.nan, sampling_rate)
    except AudioError as error:
        raise AudioError(f"the noise {path} cannot be used: {error}") from error


def _noise_files(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return hash and path of the audio files in a folder, one of each content, sorted."""
    if not folder.is_dir():
        raise RequestError(f"augment.noise.folder={folder} is not a folder")
    found = {}
    try:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in _AUDIO and not path.name.startswith(".") and path.is_file():
                found[known_digest(path)] = str(path)
    except OSError as error:
        raise RequestError(
            f"augment.noise.folder={folder} cannot be read: {error.strerror}"
        ) from error
    if not found:
        raise RequestError(
            f"augment.noise.folder={folder}: no audio in it ({', '.join(sorted(_AUDIO))}); "
            "augment.noise.folder=null adds white noise"
        )
    return tuple(sorted(found.items()))


def _checked_factors(name: str, factors: Sequence[Any]) -> tuple[float, ...]:
    for factor in factors:
        if not (_is_number(factor) and 0.5 <= factor <= 2 and factor != 1):
            raise RequestError(
                f"augment.{name}.factors={list(factors)}: must be numbers from 0.5 to 2 without "
                "1, the turn itself"
            )
    if not factors or len(set(factors)) < len(factors):
        raise RequestError(
            f"augment.{name}.factors={list(factors)}: at least one factor, each only once"
        )
    return tuple(map(float, factors))


def _is_number(value: Any) -> bool:
    """Return True for a finite number that is not a boolean."""
    return type(value) in (int, float) and math.isfinite(value)


def _listed(numbers: Sequence[float]) -> str:
    *first, last = (f"{number:g}" for number in numbers)
    return f"{', '.join(first)} and {last}" if first else last


def _digest(*parts: str | float) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
