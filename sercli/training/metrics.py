"""UA and WA, the two metrics of the field."""

from __future__ import annotations

from collections.abc import Sequence

import audmetric


def ua(truth: Sequence[object], prediction: Sequence[object]) -> float:
    """Unweighted accuracy: the mean recall over the classes that occur in ``truth``."""
    labels = sorted(set(truth), key=str)
    return float(audmetric.unweighted_average_recall(truth, prediction, labels=labels))


def wa(truth: Sequence[object], prediction: Sequence[object]) -> float:
    """Weighted accuracy: the share of utterances that are right."""
    return float(audmetric.accuracy(truth, prediction))
