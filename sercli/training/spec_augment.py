"""SpecAugment: time and frequency masks of training turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from sercli.config.schema import Config, FeaturesConfig
from sercli.errors import RequestError
from sercli.features.sets import frame_seconds, frequency_bands
from sercli.models.interface import Turns


class SpecAugment:
    """SpecAugment (Park et al. 2019, Interspeech, arXiv 1904.08779) without time warping.

    Masks hide consecutive steps, and neighbouring bands (mel bands, bins of a spectrogram), of each
    turn. The width of a mask is drawn from 0 to its maximum, and then its position. Masked values
    become the mean: 0 with ``features.normalise=speaker``, else that of the feature over the turn.
    The defaults are those of PANNs (Kong et al. 2020: two masks of up to 64 frames, two of up to 8
    bands of 64), with the upper bound of Park et al. on the share of a turn (p = 0.2).

    >>> print(SpecAugment(band_masks=0))
    spec_augment (2 time masks of up to 0.64 s and 20% of the turn)

    Args:
        time_masks: Number of time masks.
        seconds: Maximum width of a time mask.
        time_share: Maximum width of a time mask as a share of the turn.
        band_masks: Number of masks over bands; 0 for features that are not ``log_mel`` or
            ``spectrogram``.
        bands: Maximum width of a mask over bands.

    Raises:
        RequestError: A value is invalid.
    """

    def __init__(
        self,
        time_masks: int = 2,
        seconds: float = 0.64,
        time_share: float = 0.2,
        band_masks: int = 2,
        bands: int = 8,
    ) -> None:
        for name, value in (("time_masks", time_masks), ("band_masks", band_masks)):
            if value < 0:
                raise RequestError(f"augment.spec_augment.{name}={value}: must be 0 or more")
        if not time_masks + band_masks:
            raise RequestError("augment=spec_augment has no mask: set time_masks or band_masks")
        if bands < 1:
            raise RequestError(f"augment.spec_augment.bands={bands}: must be 1 or more")
        check_seconds("spec_augment.seconds", seconds)
        check_share("spec_augment.time_share", time_share)
        self.time_masks, self.seconds, self.time_share = time_masks, seconds, time_share
        self.band_masks, self.bands = band_masks, bands

    def __str__(self) -> str:
        parts = []
        if self.time_masks:
            parts.append(
                f"{self.time_masks} time masks of up to {self.seconds:g} s and "
                f"{self.time_share:.0%} of the turn"
            )
        if self.band_masks:
            parts.append(f"{self.band_masks} masks of up to {self.bands} bands")
        return f"spec_augment ({', '.join(parts)})"

    def check(self, config: Config) -> None:
        """Refuse features without frames, or without the bands to mask.

        Raises:
            RequestError: The features do not fit.
        """
        check_frames("spec_augment", config.features)
        if not self.band_masks:
            return
        present = frequency_bands(config.features)
        if not present:
            raise RequestError(
                f"augment.spec_augment.band_masks={self.band_masks} masks bands, and "
                f"features={config.features.name} has none; set augment.spec_augment.band_masks=0 "
                "for time masks alone, or features=log_mel"
            )
        if self.bands > present:
            raise RequestError(
                f"augment.spec_augment.bands={self.bands}: must not be above the {present} bands "
                "of the features"
            )


class Masker:
    """SpecAugment on the steps of some features.

    Args:
        settings: The settings.
        features: Settings of the features.
    """

    def __init__(self, settings: SpecAugment, features: FeaturesConfig) -> None:
        self._settings = settings
        self._steps = whole_steps(settings.seconds, features)
        self._bands = frequency_bands(features) if settings.band_masks else 0
        self._normalised = features.normalise != "none"

    def masks(
        self, lengths: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw masks.

        Args:
            lengths: Number of steps of each turn, (B,).
            random: Random generator.

        Returns:
            Booleans (B, longest turn) and (B, bands), true where a step or a band is hidden.
        """
        settings = self._settings
        widest = np.minimum(self._steps, (settings.time_share * lengths).astype(np.int64))
        bands = np.full(len(lengths), self._bands)
        width = np.minimum(settings.bands, bands)
        time = _masks(lengths, widest, settings.time_masks, random)
        return time, _masks(bands, width, settings.band_masks, random)

    def __call__(self, turns: Turns, random: np.random.Generator) -> Turns:
        """Return turns with random masks."""
        time, bands = self.masks(turns.lengths.numpy(force=True), random)
        device, (_, steps, columns) = turns.frames.device, turns.frames.shape
        hidden = torch.zeros((len(time), steps, 1), dtype=torch.bool, device=device)
        hidden[:, : time.shape[1], 0] = torch.from_numpy(time).to(device)
        if self._bands:
            of_columns = np.tile(bands, columns // self._bands)  # the bands, and their deltas
            hidden = hidden | torch.from_numpy(of_columns).to(device).unsqueeze(1)
        hidden = hidden & turns.valid.unsqueeze(-1)
        if self._normalised:
            return replace(turns, frames=turns.frames.masked_fill(hidden, 0.0))
        means = turns.real_frames.sum(dim=1, keepdim=True) / turns.lengths[:, None, None]
        return replace(turns, frames=torch.where(hidden, means, turns.frames))


def _masks(
    sizes: np.ndarray, widest: np.ndarray, number: int, random: np.random.Generator
) -> np.ndarray:
    """Draw masks of up to ``widest`` of ``sizes`` positions; booleans (B, largest size)."""
    width = random.integers(0, widest + 1, size=(number, len(sizes)))
    start = random.integers(0, sizes - width + 1)
    place = np.arange(sizes.max(initial=0))
    inside = (start[..., None] <= place) & (place < (start + width)[..., None])
    masks: np.ndarray = np.logical_or.reduce(inside, axis=0)
    return masks


def whole_steps(seconds: float, features: FeaturesConfig) -> int:
    """Return the number of steps of a duration, at least 1."""
    return max(1, round(seconds / (frame_seconds(features) * features.pool)))


def check_frames(name: str, features: FeaturesConfig) -> None:
    """Refuse features without a row per frame."""
    if features.level == "functionals":
        raise RequestError(
            f"augment={name} acts on frames, and features.level=functionals has one row per "
            "utterance; use augment=speed or noise, or features.level=lld"
        )


def check_share(key: str, value: float) -> None:
    """Refuse a share outside (0, 1]."""
    if not 0 < value <= 1:
        raise RequestError(f"augment.{key}={value:g}: must be above 0 and at most 1")


def check_seconds(key: str, value: float) -> None:
    """Refuse a duration that is not above 0, or infinite."""
    if not 0 < value < float("inf"):
        raise RequestError(f"augment.{key}={value:g}: must be above 0")
