"""UA and WA, the two metrics of the field, and MAF and MAP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import audmetric
import numpy as np


def ua(truth: Sequence[object], prediction: Sequence[object]) -> float:
    """Unweighted accuracy: the mean recall over the classes that occur in ``truth``.

    >>> ua(["anger", "anger", "neutral"], ["anger", "neutral", "neutral"])
    0.75
    """
    return _mean(audmetric.recall_per_class(truth, prediction), truth)


def wa(truth: Sequence[object], prediction: Sequence[object]) -> float:
    """Weighted accuracy: the share of correctly recognised utterances.

    >>> round(wa(["anger", "anger", "neutral"], ["anger", "neutral", "neutral"]), 3)
    0.667
    """
    return float(audmetric.accuracy(truth, prediction))


def maf(truth: Sequence[object], prediction: Sequence[object]) -> float:
    """Unweighted average F (Tao & Liu 2018): the mean F1 over the classes in ``truth``."""
    return _mean(audmetric.fscore_per_class(truth, prediction), truth)


def map(truth: Sequence[object], prediction: Sequence[object]) -> float:  # noqa: A001 - its name
    """Unweighted average precision (Tao & Liu 2018): the mean over the classes in ``truth``.

    The precision of a class that was never predicted is 0.
    """
    return _mean(audmetric.precision_per_class(truth, prediction), truth)


def _mean(values: Mapping[object, float], truth: Sequence[object]) -> float:
    return float(np.mean([values[label] for label in sorted(set(truth), key=str)]))
