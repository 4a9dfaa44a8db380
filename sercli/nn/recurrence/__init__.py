"""The loops over time that recurrent cells run in, behind one function: `recur`."""

from sercli.nn.recurrence.operands import Cell, Recurrence, StepWeights, Unrolled, Weights
from sercli.nn.recurrence.recur import recur

__all__ = ["Cell", "Recurrence", "StepWeights", "Unrolled", "Weights", "recur"]
