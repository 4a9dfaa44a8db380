"""The feature sets: what can be computed of a signal, by the names of the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from sercli.config.component import build
from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError, nearest
from sercli.features.smile import SmileSet
from sercli.features.smile_probe import probe_config
from sercli.features.smile_sets import PACKAGED, own_set, packaged_set
from sercli.features.spectral import log_mel, mfcc


class Extractor(Protocol):
    """Computes the features of one signal after the other.

    Attributes:
        names: The columns, in order.
    """

    names: tuple[str, ...]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of a signal.

        Args:
            signal: (samples,), within [−1, 1].

        Returns:
            float32 (frames, features); of functionals one row.

        Raises:
            AudioError: Nothing can be computed of it.
        """


class FeatureSet(Protocol):
    """A choice of features; hashable, and light until `extractor` is called.

    Attributes:
        name: The name in the configuration and in tables.
        level: ``lld``, ``lld_delta`` or ``functionals``.
        library: The distribution that computes it, whose version is part of the keys.
        digest: Changes with everything that the features depend on but audio, sampling rate
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
        """Set up what computes it for signals of one sampling rate (Hz)."""


BUILDERS: dict[str, Callable[..., FeatureSet]] = {"log_mel": log_mel, "mfcc": mfcc}
"""The sets that openSMILE does not compute: name → what makes one of its level and options."""


def feature_set(features: FeaturesConfig) -> FeatureSet:
    """Return the feature set that a configuration asks for.

    Raises:
        RequestError: There is none of that name, it does not have that level or those options,
            or the user's own openSMILE configuration cannot be used.
    """
    if features.name in BUILDERS:
        return _built(features)
    chosen = _smile(features)
    if features.options:
        raise RequestError(
            f"unknown setting 'features.options.{next(iter(features.options))}': the set "
            f"{features.name} has no options; its openSMILE configuration states everything"
        )
    return chosen


def column_names(features: FeaturesConfig) -> tuple[str, ...]:
    """Return the names of all columns, in order.

    Raises:
        RequestError: As `feature_set`.
    """
    return feature_set(features).extractor(features.sampling_rate).names


def _built(features: FeaturesConfig) -> FeatureSet:
    _check_no_file(features)
    part = BUILDERS[features.name]
    return build("features.options", part, features.options, level=features.level)


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
            "features=custom: which openSMILE configuration? Say it with features.config=PATH"
        )
    known = (*PACKAGED, *BUILDERS, "custom")
    raise RequestError(f"unknown features.name '{features.name}'.{nearest(features.name, known)}")


def _check_no_file(features: FeaturesConfig) -> None:
    if features.config is not None:
        raise RequestError(
            f"features.config={features.config}: {features.name} has a configuration; "
            "one of your own is read with features=custom"
        )
