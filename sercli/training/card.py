"""The protocol card: the facts to know before comparing a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from torch import nn

from sercli.config.schema import (
    Config,
    ContextConfig,
    FeaturesConfig,
    ProtocolConfig,
    TrainerConfig,
)
from sercli.corpora.manifest import Dimensions
from sercli.errors import counted
from sercli.features.checkpoints import CHECKPOINTS
from sercli.features.encoder import EncoderSet
from sercli.features.sets import feature_set, reads_text
from sercli.features.text import TextSet
from sercli.models import reads_dialogues
from sercli.nn.layer import recurrent_layers
from sercli.results.folds import Fold
from sercli.results.run_record import NO_CONTEXT
from sercli.training.augment import describe_augmentation
from sercli.training.caveats import caveats
from sercli.training.data import Data, TextCounts, count_texts
from sercli.training.initial_weights import InitialWeights

_LISTED = 4
"""Tensors that the paragraph lists by name (our choice: a weight and a bias of two layers)."""


def protocol_card(
    config: Config,
    data: Data,
    folds: Sequence[Fold],
    model: nn.Module,
    initial: InitialWeights | None = None,
) -> dict[str, Any]:
    """Return the protocol of a run, as facts and as one paragraph for a paper."""
    manifest, protocol = data.manifest, config.protocol
    task, expected = manifest.dimensions, config.dataset.expected
    facts = {
        "dataset": manifest.dataset,
        "synthetic": manifest.synthetic,
        "classes": list(manifest.classes),
        "mapping": {} if task else dict(config.dataset.classes),
        "utterances": len(manifest.targets),
        "expected": sum(expected.values()) if expected and not task else None,
        "refused": len(manifest.refused),
        "turns": len(manifest.table),
        "protocol": protocol.name,
        "division": _division(protocol),
        "divided": _divided(protocol, folds, len(manifest.targets)),
        "unit": protocol.unit,
        "folds": len(folds),
        "dev": _dev(protocol),
        "selected_on": "test" if protocol.dev == "test" else "dev",
        "selection": _selection(config, model),
        "refit": protocol.refit,
        "optimiser": None if hasattr(model, "trials") else _optimiser(config),
        "pooling": "test predictions pooled over folds, metrics averaged over seeds",
        "recurrent": any(True for _ in recurrent_layers(model)),
        "features": _features(config.features),
        "augmentation": describe_augmentation(config),
        "normalisation": _NORMALISATION[config.features.normalise],
        "context": _context(config, data, model),
        "seeds": list(config.seeds),
        "caveats": [*caveats(config, data, folds), *(initial.caveats if initial else ())],
    }
    facts |= _facts_of_streams(config, data)
    if task is not None:
        facts |= _facts_of_dimensions(config, task)
    if hasattr(model, "tuned"):
        facts["tuned"] = model.tuned
    if config.trainer.labels != "majority":
        facts["labels"] = _labels(config.trainer, len(data.raters))
    if config.adversary.column != "none":
        facts["adversary"] = asdict(config.adversary)
    if config.trainer.labels == "rater":
        facts["raters"] = data.raters
    if config.dataset.parts:
        facts["corpora"] = manifest.targets["corpus"].value_counts(sort=False).to_dict()
        facts["of"] = {name: dict(part["classes"]) for name, part in config.dataset.parts.items()}
    if initial is not None:
        facts["initial_weights"] = initial.facts()
    return {**facts, "paragraph": _paragraph(facts)}


def _facts_of_streams(config: Config, data: Data) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if config.streams:
        facts["streams"] = {
            name: {
                "features": _features(each),
                "normalisation": _NORMALISATION[each.normalise],
            }
            for name, each in config.streams.items()
        }
    if data.texts:
        facts["transcripts"] = {
            name: asdict(count_texts(texts, data.manifest)) for name, texts in data.texts.items()
        }
    return facts


def _facts_of_dimensions(config: Config, task: Dimensions) -> dict[str, Any]:
    return {
        "dimensions": list(task.names),
        "scale": [task.low, task.high],
        "ccc_weights": {name: config.trainer.ccc_weights.get(name, 1.0) for name in task.names},
        "pooling": "test predictions pooled over folds, CCC averaged over seeds",
    }


def with_caveats(card: Mapping[str, Any], found: Sequence[str]) -> dict[str, Any]:
    """Return a protocol card with further caveats, found in training."""
    facts = {**card, "caveats": [*card["caveats"], *found]}
    return {**facts, "paragraph": _paragraph(facts)}


def _division(protocol: ProtocolConfig) -> str:
    """Return the name of the test sets; runs with the same name are comparable."""
    return f"loso_{protocol.unit}" if protocol.folds == "leave_one_out" else protocol.name


def _divided(protocol: ProtocolConfig, folds: Sequence[Fold], targets: int) -> str:
    if protocol.folds == "leave_one_out":
        return f"Leave-one-{protocol.unit}-out in {len(folds)} folds"
    if protocol.folds == "speaker_pair":
        return f"One random speaker of each gender tests ({folds[0].name}, seed {protocol.seed})"
    given = {side: values for side, values in protocol.sides.items() if values}
    sides = "; ".join(f"{side}: {', '.join(values)}" for side, values in given.items())
    used = sum(map(len, (folds[0].train, folds[0].dev, folds[0].test)))
    left_out = f"; {counted(targets - used, 'utterance')} in no part" if used < targets else ""
    return f"One fold by the column '{protocol.column}' ({sides}{left_out})"


def _dev(protocol: ProtocolConfig) -> str:
    whole = ", in whole dialogues" if protocol.dev == "dialogues" else ""
    share = f"a random {protocol.dev_share:.0%} of the utterances that do not test{whole}"
    drawn = f"{share} (seed {protocol.seed}; other utterances of its speakers are trained on)"
    return {
        "next": f"the next {protocol.unit}",
        "column": "the dev set",
        "speaker": f"a random speaker of those who do not test (seed {protocol.seed})",
        "speakers": f"random speakers of each corpus with {protocol.dev_share:.0%} of its "
        f"utterances that do not test (seed {protocol.seed})",
        "test": "THE TEST SET",
    }.get(protocol.dev, drawn)


def _selection(config: Config, model: nn.Module) -> str:
    on = "TEST" if config.protocol.dev == "test" else "dev"
    score = "mean CCC" if config.dataset.dimensions else "UA"
    trials = getattr(model, "trials", None)
    if trials is not None:
        return f"best {on} UA of {len(trials)} settings"
    return f"best {on} {score}, evaluated every {config.trainer.eval_every} steps"


def _optimiser(config: Config) -> str:
    optim, schedule = config.optim, config.schedule
    momentum = f" with momentum {optim.momentum:g}" if optim.momentum else ""
    warmup = f" after {schedule.warmup} steps of linear warm-up" if schedule.warmup > 1 else ""
    rate = _SCHEDULES[schedule.name].format(schedule)
    encoder = "" if optim.encoder_lr is None else f" ({optim.encoder_lr:g} of the encoder)"
    batches = config.trainer.accumulate
    mean = f", on the mean of {batches} batches per step" if batches > 1 else ""
    return f"{optim.name}{momentum}, learning rate {optim.lr:g}{encoder}, {rate}{warmup}{mean}"


_SCHEDULES = {
    "none": "constant",
    "step": "times {0.factor:g} every {0.step_size} steps",
    "cosine": "half a cosine to {0.min_lr:g}",
    "linear": "linearly to {0.min_lr:g}",
    "plateau": "times {0.factor:g} after {0.patience} evaluations without a better dev UA",
}


def _features(features: FeaturesConfig) -> str:
    name = features.name if features.level == "lld" else f"{features.name}, {features.level}"
    if reads_text(features):
        chosen = cast("TextSet", feature_set(features))
        return f"{name} of the column {chosen.column} ({chosen.source})"
    known = CHECKPOINTS.get(features.name)
    if features.name == "encoder":
        of = cast("EncoderSet", feature_set(features)).source
        return f"{name}, layer {features.options['layer']} of {of}"
    if known is None:
        return name
    return f"{name}, layer {features.options['layer']} of {known}"


_NORMALISATION = {
    "speaker": "z-score per speaker over all of the speaker's frames, test speakers included "
    "(without labels)",
    "corpus": "z-score per corpus over all of the corpus' frames, test speakers and corpora "
    "included (without labels)",
    "none": "none",
}


def _context(config: Config, data: Data, model: nn.Module) -> str:
    context = config.dataset.context
    if reads_dialogues(config.model):
        return _dialogue(context)
    if not getattr(model, "uses_context", False):
        return NO_CONTEXT
    if data.context.isna().all(axis=None):
        return f"none: {_why_no_context(context)}, a pad turn stands for the context"
    ended = ", that has ended when the target starts" if context.past_only else ""
    turns = f"of any label ({len(data.manifest.table)} turns){ended}"
    if context.choose != "last":
        whom = "one of each speaker" if context.choose == "random" else "of whatever speaker"
        return f"two random turns of the dialogue, {whom} (seed {context.seed}), {turns}"
    order = context.order.replace("_", " ")
    return (
        f"last turn of each speaker among the {context.window} preceding turns in {order} "
        f"order, {turns}"
    )


def _dialogue(context: ContextConfig) -> str:
    if context.choose == "none":
        return "none: by choice, a dialogue is the turn alone"
    ended = " that have ended when the target starts" if context.past_only else ""
    order = context.order.replace("_", " ")
    return f"all turns of the dialogue before the target in {order} order{ended}, of any label"


def _why_no_context(context: ContextConfig) -> str:
    if context.choose == "none":
        return "by choice"
    if context.choose == "last" and context.window == 0:
        return "the window is 0"
    return "the corpus has no dialogues"


def _paragraph(facts: Mapping[str, Any]) -> str:
    corpus = f"{facts['dataset']}, SYNTHETIC speech" if facts["synthetic"] else facts["dataset"]
    expected = f" of {facts['expected']} expected" if facts["expected"] else ""
    mapping = _mapping(facts["mapping"])
    task = f"{len(facts['classes'])}-class recognition"
    if "dimensions" in facts:
        low, high = facts["scale"]
        weights = facts["ccc_weights"]
        task = f"Prediction of {', '.join(facts['dimensions'])}"
        mapping = f"means of raters, {low:g} to {high:g}, scaled to −1 to 1; loss: 1 − CCC, " + (
            "summed over the dimensions"
            if set(weights.values()) == {1.0}
            else ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
        )
    for name, classes in facts.get("of", {}).items():
        mapping += f"; {name}: {_mapping(classes)}"
    if "corpora" in facts:
        corpus += " (" + ", ".join(f"{name} {n}" for name, n in facts["corpora"].items()) + ")"
    return (
        f"{task} on {corpus}: {facts['utterances']} utterances"
        f"{expected} ({mapping}). {facts['divided']}; {_choice(facts)}{_training(facts)}"
        f"{_adversary(facts)}{_augmentation(facts)} Features: {facts['features']}; normalisation: "
        f"{facts['normalisation']}.{_tuned(facts)}{_streams(facts)} Context: {facts['context']}."
        f"{_initial(facts)} Seeds: {', '.join(map(str, facts['seeds']))}; {facts['pooling']}. "
        f"The oracle selects the step on test and is no result.{_caveats(facts)}"
    )


def _tuned(facts: Mapping[str, Any]) -> str:
    return f" Fine-tuned: {facts['tuned']}." if "tuned" in facts else ""


def _labels(trainer: TrainerConfig, raters: int) -> str:
    if trainer.labels == "soft":
        return "the share of raters for each class"
    few = f", those with fewer than {trainer.min_ratings} as one" if trainer.min_ratings > 1 else ""
    return f"each rater's own ({counted(raters, 'rater')}{few})"


def _choice(facts: Mapping[str, Any]) -> str:
    chosen = f"the training step is chosen on {facts['dev']} ({facts['selection']})"
    if facts["selected_on"] == "test":
        return f"{chosen}: the result is TEST-SELECTED."
    if facts["refit"]:
        return f"{chosen}; a new model, trained on train and dev up to that step, is tested."
    return f"{chosen}, which is not trained on."


def _training(facts: Mapping[str, Any]) -> str:
    """Describe labels other than those of utterances, and optimisers other than constant Adam."""
    optimiser = facts.get("optimiser") or ""
    plain = optimiser.startswith("adam,") and optimiser.endswith("constant")
    usual = not optimiser or (plain and "encoder" not in optimiser)
    labels = f" Labels in training: {facts['labels']}." if "labels" in facts else ""
    return labels if usual else f"{labels} Optimiser: {optimiser}."


def _adversary(facts: Mapping[str, Any]) -> str:
    found = facts.get("adversary")
    if found is None:
        return ""
    column, weight = found["column"], found["weight"]
    return f" The gradient of a classifier of the {column} is reversed (λ {weight:g})."


def _mapping(classes: Mapping[str, str]) -> str:
    return ", ".join(f"{emotion} → {label}" for emotion, label in classes.items())


def _initial(facts: Mapping[str, Any]) -> str:
    found = facts.get("initial_weights")
    if found is None:
        return ""
    names = found["anew"]
    if len(names) > _LISTED:  # by part of the model
        names = sorted({name.partition(".")[0] for name in names})
    anew = f"; {', '.join(names)} start anew" if names else ""
    trained = "all weights are" if found["train"] == "all" else "only the head is"
    if "file" in found:
        return (
            f" Training starts from the weights of the file {found['file']} (SHA-256 "
            f"{found['digest'][:12]}…){anew}; {trained} trained."
        )
    most = max(each["utterances"] for each in found["seen"].values())
    return (
        f" Training starts from the weights of run {found['run']} on {found['dataset']}{anew}; "
        f"{trained} trained. They have seen at most {most} utterances, none of them a test "
        "utterance of their fold."
    )


def _streams(facts: Mapping[str, Any]) -> str:
    """Describe the streams, and the transcripts of which features are computed."""
    text = "".join(
        f" Stream {name}: {each['features']}; normalisation: {each['normalisation']}."
        for name, each in facts.get("streams", {}).items()
    )
    for name, found in facts.get("transcripts", {}).items():
        text += f" Transcripts of {name}: {TextCounts(**found)}."
    return text


def _augmentation(facts: Mapping[str, Any]) -> str:
    found = facts.get("augmentation")
    return f" Augmentation in training alone: {found}." if found else ""


def _caveats(facts: Mapping[str, Any]) -> str:
    return f" Caveats: {'; '.join(facts['caveats'])}." if facts["caveats"] else ""
