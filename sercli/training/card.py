"""The protocol card: what a reader must know before comparing a number."""

from __future__ import annotations

from typing import Any

from sercli.config.schema import Config
from sercli.training.data import Data
from sercli.training.folds import Fold


def protocol_card(config: Config, data: Data, folds: list[Fold]) -> dict[str, Any]:
    """State how a run was done, as facts and as one paragraph for a paper."""
    manifest = data.manifest
    facts = {
        "dataset": manifest.dataset,
        "synthetic": manifest.synthetic,
        "classes": list(manifest.classes),
        "mapping": dict(config.dataset.classes),
        "utterances": len(manifest.targets),
        "expected": sum(config.dataset.expected.values()) if config.dataset.expected else None,
        "refused": len(manifest.refused),
        "turns": len(manifest.table),
        "protocol": config.protocol.name,
        "unit": config.protocol.unit,
        "folds": len(folds),
        "dev": f"the next {config.protocol.unit}",
        "selection": f"best dev UA, looked at every {config.trainer.eval_every} steps",
        "pooling": "test predictions pooled over folds, metrics averaged over seeds",
        "features": config.features.name,
        "normalisation": _NORMALISATION[config.features.normalise],
        "context": _context(config, data),
        "seeds": list(config.seeds),
    }
    return {**facts, "paragraph": _paragraph(facts)}


_NORMALISATION = {
    "speaker": "z-score per speaker over all of the speaker's frames, test speakers included "
    "(without labels)",
    "none": "none",
}


def _context(config: Config, data: Data) -> str:
    context = config.dataset.context
    if data.context.isna().all(axis=None):
        why = "the corpus has no dialogues" if context.window else "the window is 0"
        return f"none: {why}, a pad turn stands for the context"
    order = context.order.replace("_", " ")
    return (
        f"last turn of each speaker among the {context.window} preceding turns in {order} "
        f"order, of any label ({len(data.manifest.table)} turns)"
    )


def _paragraph(facts: dict[str, Any]) -> str:
    corpus = f"{facts['dataset']}, SYNTHETIC speech" if facts["synthetic"] else facts["dataset"]
    expected = f" of {facts['expected']} expected" if facts["expected"] else ""
    mapping = ", ".join(f"{emotion} → {label}" for emotion, label in facts["mapping"].items())
    return (
        f"{len(facts['classes'])}-class recognition on {corpus}: {facts['utterances']} utterances"
        f"{expected} ({mapping}). Leave-one-{facts['unit']}-out in {facts['folds']} folds; "
        f"the training step is chosen on {facts['dev']} ({facts['selection']}), which is not "
        f"trained on. Features: {facts['features']}; normalisation: {facts['normalisation']}. "
        f"Context: {facts['context']}. Seeds: {', '.join(map(str, facts['seeds']))}; "
        f"{facts['pooling']}. The oracle result selects the step on test and is no result."
    )
