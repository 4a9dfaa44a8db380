"""The feature sets, by their names in the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from sercli.config.component import build
from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError, SercliError, nearest
from sercli.features.arrays import arrays
from sercli.features.characters import characters
from sercli.features.checkpoints import CHECKPOINTS
from sercli.features.encoder import HOP, encoder
from sercli.features.panns import PannsSet, log_mel_panns
from sercli.features.smile import SmileSet
from sercli.features.smile_probe import probe_config
from sercli.features.smile_sets import PACKAGED, own_set, packaged_set
from sercli.features.spectral import SpectralSet, log_mel, mfcc
from sercli.features.spectrogram import Spectrogram, spectrogram
from sercli.features.text import TextSet
from sercli.features.text_encoder import text_encoder
from sercli.features.word_vectors import word_vectors

_HOP = 10.0
"""Frame period in ms of a feature set that is not in `_HOPS`, without the option ``hop``."""

_HOPS = dict.fromkeys(("encoder", *CHECKPOINTS), HOP)
"""Name → frame period in ms."""


class Extractor(Protocol):
    """Compute the features of signals.

    Attributes:
        names: Column names, in order.
    """

    names: tuple[str, ...]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of a signal.

        Args:
            signal: (samples,), within [−1, 1].

        Returns:
            float32 (frames, features); a single row of functionals.

        Raises:
            AudioError: The features cannot be computed.
        """


class FeatureSet(Protocol):
    """A feature set at one level; hashable, and cheap to make.

    Attributes:
        name: The name in the configuration and in tables.
        level: ``lld``, ``lld_delta`` or ``functionals``.
        library: The distribution that computes the features; its version is part of the keys.
        digest: A hash of everything that the features depend on, except audio, sampling rate
            and library.
    """

    @property
    def name(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def library(self) -> str: ...
    @property
    def digest(self) -> str: ...

    def __hash__(self) -> int: ...

    def extractor(self, sampling_rate: int) -> Extractor:
        """Set up the computation for signals of one sampling rate (Hz)."""


BUILDERS: dict[str, Callable[..., FeatureSet]] = {
    "characters": characters,
    "log_mel": log_mel,
    "log_mel_panns": log_mel_panns,
    "mfcc": mfcc,
    "spectrogram": spectrogram,
}
"""Feature sets not computed by openSMILE: name → function of the level and the options."""

OF_TEXT: dict[str, Callable[..., TextSet]] = {
    "text_encoder": text_encoder,
    "word_vectors": word_vectors,
}
"""Feature sets of transcripts, also of a folder or file."""

_TEXT = frozenset({"characters", *OF_TEXT})
"""All feature sets of transcripts."""

FROM_FOLDER: dict[str, Callable[..., FeatureSet]] = {
    "arrays": arrays,
    "encoder": encoder,
    **dict.fromkeys(CHECKPOINTS, encoder),
    **OF_TEXT,
}
"""Feature sets of a folder or file, ``features.path``: name → function of name, level, path and
options."""


def feature_set(features: FeaturesConfig) -> FeatureSet:
    """Return the feature set of a configuration.

    Raises:
        RequestError: There is no set of that name, it does not have that level or those options,
            or the user's own openSMILE configuration cannot be used.

    Example:
        >>> extractor = feature_set(FeaturesConfig("mfcc")).extractor(16000)
        >>> extractor.names[:3]
        ('log_energy', 'mfcc[1]', 'mfcc[2]')
        >>> extractor(0.1 * np.sin(np.arange(16000))).shape
        (98, 13)
    """
    if features.name in FROM_FOLDER:
        return _from_folder(features)
    if features.path is not None:
        raise RequestError(
            f"features.path={features.path}: {features.name} reads no path; the sets that do are "
            f"{', '.join(sorted(FROM_FOLDER))}"
        )
    if features.name in BUILDERS:
        return _built(features)
    chosen = _smile(features)
    if features.options:
        raise RequestError(
            f"unknown setting 'features.options.{next(iter(features.options))}': the set "
            f"{features.name} has no options; its openSMILE configuration states everything"
        )
    return chosen


@contextmanager
def of_stream(name: str) -> Iterator[None]:
    """Rename settings in the errors of a stream: ``features.path`` to ``streams.text.path``."""
    try:
        yield
    except SercliError as error:
        text = re.sub(r"\bfeatures(?=[.=]\w)", f"streams.{name}", str(error))
        raise type(error)(text) from error


def reads_text(features: FeaturesConfig) -> bool:
    """Return True for a feature set that is computed from transcripts.

    >>> reads_text(FeaturesConfig("word_vectors")), reads_text(FeaturesConfig("mfcc"))
    (True, False)
    """
    return features.name in _TEXT


def frequency_bands(features: FeaturesConfig) -> int:
    """Return the number of frequency bands; 0 if the columns are not neighbouring bands.

    With deltas, the columns are the bands and then their deltas.

    Raises:
        RequestError: As for `feature_set`.

    >>> frequency_bands(FeaturesConfig("log_mel")), frequency_bands(FeaturesConfig("mfcc"))
    (80, 0)
    """
    chosen = feature_set(features)
    if isinstance(chosen, SpectralSet):
        return 0 if chosen.coefficients else chosen.bands
    return len(column_names(features)) if isinstance(chosen, PannsSet | Spectrogram) else 0


def column_names(features: FeaturesConfig) -> tuple[str, ...]:
    """Return the names of all columns, in order.

    Raises:
        RequestError: As for `feature_set`.

    Example:
        >>> column_names(FeaturesConfig("log_mel", options={"bands": 2}))
        ('log_mel[0]', 'log_mel[1]')
    """
    return feature_set(features).extractor(features.sampling_rate).names


def frame_seconds(features: FeaturesConfig) -> float:
    """Return the frame period of a feature set, in s.

    Example:
        >>> frame_seconds(FeaturesConfig("iaan45"))
        0.01
        >>> frame_seconds(FeaturesConfig("spectrogram", options={"hop": 25.0}))
        0.025
    """
    options = features.options
    hop = 1000 / options["rate"] if options.get("rate") else options.get("hop")
    return float(hop or _HOPS.get(features.name, _HOP)) / 1000


def _built(features: FeaturesConfig) -> FeatureSet:
    _check_no_file(features)
    part = BUILDERS[features.name]
    return build("features.options", part, features.options, level=features.level)


def _from_folder(features: FeaturesConfig) -> FeatureSet:
    _check_no_file(features)
    part = FROM_FOLDER[features.name]
    given = {"name": features.name, "level": features.level, "path": features.path}
    return build("features.options", part, features.options, **given)


def _smile(features: FeaturesConfig) -> SmileSet:
    if features.name in PACKAGED:
        _check_no_file(features)
        return packaged_set(features.name, features.level)
    if features.config is not None:
        own = own_set(features.name, features.config, features.level)
        probe_config(own, features.sampling_rate)
        return own
    if features.name == "custom":
        raise RequestError(
            "features=custom needs an openSMILE configuration: add features.config=PATH"
        )
    known = (*PACKAGED, *BUILDERS, *FROM_FOLDER, "custom")
    raise RequestError(f"unknown features.name '{features.name}'.{nearest(features.name, known)}")


def _check_no_file(features: FeaturesConfig) -> None:
    if features.config is not None:
        raise RequestError(
            f"features.config={features.config}: {features.name} has a configuration of its own; "
            "use features=custom with yours"
        )
