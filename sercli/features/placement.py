"""The device that computes a feature set, and the number of processes that extract on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from sercli.features.encoder import EncoderSet
from sercli.features.sets import FeatureSet
from sercli.features.text_encoder import TextEncoder

T = TypeVar("T", bound=FeatureSet)


def placed(features: T, device: str) -> T:
    """Return a feature set with its encoder on a device; other sets are returned as they are.

    Args:
        features: The feature set.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Raises:
        RequestError: There is no such device on this machine.

    >>> from sercli.config.schema import FeaturesConfig
    >>> from sercli.features.sets import feature_set
    >>> placed(feature_set(FeaturesConfig("mfcc")), "cuda").name
    'mfcc'
    """
    if not isinstance(features, EncoderSet | TextEncoder) or device == "cpu":
        return features
    from sercli.nn.device import choose_device  # imports torch

    return replace(features, device=str(choose_device(device)))


def extracting_processes(features: FeatureSet, workers: int) -> int:
    """Return the number of processes: one on a GPU, where each would hold a copy of the encoder.

    Args:
        features: The feature set, on its device.
        workers: Maximum number of processes.
    """
    return 1 if getattr(features, "device", "cpu").startswith("cuda") else workers
