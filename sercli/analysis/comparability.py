"""Comparability of runs with published results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sercli.results.baselines import Baseline

_ADDED = {
    "augmentation": "augmentation",
    "adversary": "an adversary",
    "initial_weights": "pretrained initial weights",
    "labels": "labels of raters",
}
"""Entry of a protocol card that no published system has → its name."""


def why_incomparable(card: Mapping[str, Any], baseline: Baseline) -> str | None:
    """Return why a run and a published result are not comparable; None if they are.

    Args:
        card: The run's protocol card.
        baseline: The published result.
    """
    if card["synthetic"]:
        return f"{baseline.corpus} is real speech, that of the run is synthetic"
    if card["dataset"] != baseline.corpus:
        return f"corpus {baseline.corpus}, not {card['dataset']}"
    if card.get("dimensions"):
        return f"{baseline.classes} classes, not {', '.join(card['dimensions'])}"
    if len(card["classes"]) != baseline.classes:
        return f"{baseline.classes} classes, not {len(card['classes'])}"
    division = card.get("division", card["protocol"])
    if division != baseline.protocol:
        return f"protocol {baseline.protocol}, not {division}"
    if added := [name for part, name in _ADDED.items() if card.get(part)]:
        return f"the run is trained with {' and '.join(added)}"
    if card.get("selected_on") == "test" and baseline.selection == "dev":
        return "selected on dev, the run on test"
    return _why_other_modality(card, baseline) or _why_incomplete(card)


def _why_other_modality(card: Mapping[str, Any], baseline: Baseline) -> str | None:
    """Return the reason if only one of the two reads transcripts, else None."""
    reads = _reads_text(card)
    if reads == ("text" in baseline.modality.split("+")):
        return None
    return f"only the {'run' if reads else 'published system'} reads transcripts"


def _reads_text(card: Mapping[str, Any]) -> bool:
    """Return True if predictions need transcripts; as targets of CTC, only training does."""
    features = {name: each["features"] for name, each in card.get("streams", {}).items()}
    features["features"] = card.get("features", "")
    return any(not features[name].startswith("characters") for name in card.get("transcripts", {}))


def _why_incomplete(card: Mapping[str, Any]) -> str | None:
    if card["expected"] is None:
        return "dataset.expected does not say how many utterances the complete corpus has"
    if card["utterances"] != card["expected"]:
        return f"the run has {card['utterances']} of {card['expected']} utterances"
    return None


def published_match(
    configuration: Mapping[str, Any], baselines: Sequence[Baseline]
) -> Baseline | None:
    """Return the published result with a run's model, cell, activation, α and β.

    Of several, one on the corpus of the run is taken, else the first. The two need not be
    comparable (`why_incomparable`).

    Args:
        configuration: Configuration of the run.
        baselines: The published results.
    """
    activation = configuration["activation"]
    is_so = {
        "cell": configuration["cell"]["name"],
        "activation": activation["name"],
        "alpha": activation.get("alpha"),
        "beta": activation.get("beta"),
    }
    model, corpus = configuration["model"]["name"], configuration["dataset"]["name"]
    found = [
        baseline
        for baseline in baselines
        if model in baseline.models
        and all(getattr(baseline, name) in (None, value) for name, value in is_so.items())
    ]
    on_corpus = [baseline for baseline in found if baseline.corpus == corpus]
    return next(iter(on_corpus or found), None)


def caveat(baseline: Baseline) -> str:
    """Return the caveat of a comparable published result; empty for none."""
    return {
        "test": "selected on test: compare with the oracle",
        "unknown": "selection not stated",
    }.get(baseline.selection, "")
