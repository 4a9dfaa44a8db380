"""UA and WA, the two metrics of the field."""

from __future__ import annotations

from collections.abc import Sequence

import audmetric
import numpy as np


def ua(truth: Sequence[object], prediction: Sequence[object]) -> float:
    """Unweighted accuracy: the mean recall over the classes that occur in ``truth``."""
    recalls = audmetric.recall_per_class(truth, prediction)
    return float(np.mean([recalls[label] for label in sorted(set(truth), key=str)]))


def wa(truth: Sequence[object], prediction: Sequence[object]) -> float:
    """Weighted accuracy: the share of utterances that are right."""
    return float(audmetric.accuracy(truth, prediction))
