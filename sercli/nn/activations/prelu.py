"""PReLU, the parametric rectified linear unit."""

from __future__ import annotations

import torch
from torch import Tensor

from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.activations.learned import learned
from sercli.nn.checks import check_finite


@ACTIVATIONS.register("prelu")
class PReLU(Activation):
    """PReLU: x where x > 0, else slope·x with a learned slope.

    He et al.: "Delving Deep into Rectifiers" (2015), arXiv 1502.01852.

    Args:
        slope: Initial slope of the negative part; 0.25 is that of He et al.
        learn: Train the slope.
        units: H, if every unit has a slope of its own; None: one for all.

    Raises:
        RequestError: The slope is not finite.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> ACTIVATIONS["prelu"]()(torch.tensor([-2.0, 2.0])).detach()
    tensor([-0.5000,  2.0000])
    """

    def __init__(self, slope: float = 0.25, learn: bool = True, units: int | None = None) -> None:
        super().__init__()
        check_finite("activation.slope", slope)
        self.slope = learned(slope, units, learn)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        return (self.slope,)

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        (slope,) = coefficients
        return torch.where(x > 0, x, slope * x)
