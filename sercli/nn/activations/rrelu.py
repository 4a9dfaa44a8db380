"""RReLU, the randomised leaky rectified linear unit."""

from __future__ import annotations

import torch
from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS, Activation
from sercli.nn.checks import check_finite


@ACTIVATIONS.register("rrelu")
class RReLU(Activation):
    """RReLU: x where x > 0, else slope·x with a random slope.

    Xu et al.: "Empirical Evaluation of Rectified Activations" (2015), arXiv 1505.00853. In
    training a slope is drawn from U(lower, upper) for each unit and sequence, and stays the same
    for all of its steps, unlike with torch's module. In evaluation it is the mean of both.

    Args:
        lower: Smallest slope; 1/8 is torch's.
        upper: Largest slope; 1/3 is torch's.

    Raises:
        RequestError: A bound is not finite, or lower is above upper.

    >>> import torch
    >>> from sercli.nn.activations import ACTIVATIONS
    >>> ACTIVATIONS["rrelu"](0.0, 1.0).eval()(torch.tensor([-2.0, 2.0]))
    tensor([-1.,  2.])
    """

    bounds: Tensor

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3) -> None:
        super().__init__()
        check_finite("activation.lower", lower)
        check_finite("activation.upper", upper)
        if lower > upper:
            raise RequestError(
                f"activation.lower={lower:g} lies above activation.upper={upper:g}: swap them"
            )
        # A buffer, so that slopes are drawn on the device and in the dtype of the module.
        self.register_buffer("bounds", torch.tensor([lower, upper]), persistent=False)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        lower, upper = self.bounds.unbind()
        if not self.training:
            return ((lower + upper) / 2,)
        drawn = torch.rand(shape, dtype=lower.dtype, device=lower.device)
        return (lower + (upper - lower) * drawn,)

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        (slope,) = coefficients
        return torch.where(x > 0, x, slope * x)
