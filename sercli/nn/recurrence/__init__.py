"""The loops over time in which recurrent cells run, behind one function: `recur`."""

from sercli.nn.recurrence.backend import recur
from sercli.nn.recurrence.operands import (
    Cell,
    Phi,
    Recurrence,
    State,
    StepWeights,
    Unrolled,
    Weights,
    affine,
    product,
)

__all__ = [
    "Cell",
    "Phi",
    "Recurrence",
    "State",
    "StepWeights",
    "Unrolled",
    "Weights",
    "affine",
    "product",
    "recur",
]
