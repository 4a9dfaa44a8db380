"""Whether a run and a published result may stand side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sercli.results.baselines import Baseline


def obstacle(card: Mapping[str, Any], baseline: Baseline) -> str | None:
    """Say why a run and a published result are not comparable; nothing where they are.

    Args:
        card: The run's protocol card.
        baseline: The published result.
    """
    if card["synthetic"]:
        return f"{baseline.corpus} is real speech, that of the run is synthetic"
    if card["dataset"] != baseline.corpus:
        return f"corpus {baseline.corpus}, not {card['dataset']}"
    if len(card["classes"]) != baseline.classes:
        return f"{baseline.classes} classes, not {len(card['classes'])}"
    if card["protocol"] != baseline.protocol:
        return f"protocol {baseline.protocol}, not {card['protocol']}"
    if card["expected"] is None:
        return "dataset.expected does not say how many utterances the complete corpus has"
    if card["utterances"] != card["expected"]:
        return f"the run has {card['utterances']} of {card['expected']} utterances"
    return None


def caution(baseline: Baseline) -> str:
    """Say what a comparable result still calls for."""
    return {
        "test": "selected on test: compare with the oracle",
        "unknown": "selection not stated",
    }.get(baseline.selection, "")
