"""The model card of an exported model, in the form of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sercli.features.sets import frame_seconds
from sercli.training.source import Source

_OPENSMILE = (
    "openSMILE computes the features. Its licence (audEERING) allows research, teaching and "
    "personal use. A product that uses it, or a model trained on its features, needs a commercial "
    "licence."
)
_KALDI = "kaldi-native-fbank computes the features (Apache License 2.0)."
_NUMPY = "NumPy computes the features (BSD 3-Clause License)."
_FEATURES = {
    "log_mel": _KALDI,
    "log_mel_panns": _NUMPY,
    "mfcc": _KALDI,
    "spectrogram": _NUMPY,
}
"""Feature set → library and licence, of those that openSMILE does not compute."""

_CORPORA = {
    "nemo": "CC BY-NC-SA 4.0",
    "crema_d": "Open Database License 1.0",
    "ravdess": "CC BY-NC-SA 4.0",
    "tess": "CC BY-NC-ND 4.0",
    "iemocap": "an agreement with the University of Southern California, for academic research",
    "msp_improv": "an agreement with the MSP lab, for academic research",
    "msp_podcast": "an agreement with the MSP lab, for academic research",
}
"""Corpus → licence under which its publishers release it."""

_ESCAPES = str.maketrans({"<": "&lt;", "|": "\\|", "*": "\\*", "`": "\\`", "_": "\\_", "\n": " "})


def model_card(source: Source, name: str) -> str:
    """Return the model card as Markdown with a YAML head.

    Args:
        source: The model.
        name: Name of its folder.
    """
    head = yaml.safe_dump(_head(source, name), sort_keys=False, allow_unicode=True)
    parts = [
        f"# {_text(name)}",
        _summary(source),
        _use(name),
        f"## Data and protocol\n\n{_text(source.summary['card']['paragraph'])}",
        f"## Results\n\n{_results(source)}",
        _intended(),
        f"## Limits\n\n{_limits(source)}",
        f"## Licences\n\n{_licences(source)}",
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(parts) + "\n"


def _head(source: Source, name: str) -> dict[str, Any]:
    card, metrics = source.summary["card"], source.summary["metrics"]
    figures = [
        {"type": kind, "name": label, "value": round(100 * metrics[key], 2)}
        for kind, label, key in (("recall", "UA", "ua"), ("accuracy", "WA", "wa"))
        if key in metrics
    ]
    results = {
        "task": {"type": "audio-classification", "name": "Speech emotion recognition"},
        "dataset": {"type": card["dataset"], "name": card["dataset"]},
        "metrics": figures,
    }
    return {
        "library_name": "sercli",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", source.config.model["name"]],
        "license": "other",
        "model-index": [{"name": name, "results": [results] if figures else []}],
    }


def _summary(source: Source) -> str:
    config, card = source.config, source.summary["card"]
    networks, first = len(source.members), source.members[0]
    trained_on = "all utterances" if source.refit else f"fold {_text(first.fold)}"
    several = (
        f"The probabilities of {networks} networks ({'' if source.refit else 'folds × '}seeds) "
        "are averaged."
        if networks > 1
        else f"One network: {trained_on}, seed {first.seed}."
    )
    speech = (
        "Trained on SYNTHETIC speech: of no use outside of tests. " if card["synthetic"] else ""
    )
    return (
        f"{speech}Recognises {', '.join(map(_text, source.classes))} in speech: "
        f"{_text(config.model['name'])} with {_text(config.cell['name'])} and "
        f"{_text(config.activation['name'])}, on {len(source.columns)} features of "
        f"{_text(card['features'])}. {several} Trained by sercli as run `{source.name}`."
    )


def _use(name: str) -> str:
    return (
        "## Use\n\n"
        f"```sh\nsercli predict {name} recording.wav\n```\n\n```python\nimport sercli\n\n"
        f'sercli.load("{name}").predict(["recording.wav"])\n```'
    )


def _results(source: Source) -> str:
    if source.refit is not None:
        return _of_refit(source, source.refit)
    return _figures(source, source.summary["metrics"])


def _of_refit(source: Source, refit: Mapping[str, Any]) -> str:
    """State that networks trained on all utterances have no test figure."""
    return (
        f"**This model has no test figure.** It was {source.no_test_figure} "
        f"({refit['utterances']} utterances), for {refit['steps']} steps "
        f"({refit['steps_from']}), without evaluation.\n\n"
        "The run that it was refitted from, whose networks are others, trained on less:\n\n"
        f"{_figures(source, refit['cross_validation'])}"
    )


def _figures(source: Source, metrics: Mapping[str, Any]) -> str:
    if "ua" not in metrics:
        return (
            "The run is a trial of a search, whose test results are sealed. "
            f"UA on dev, on which it was selected: {_percent(metrics.get('dev_ua'))} %."
        )
    recalls = metrics.get("recall", {})
    rows = [
        ("UA", metrics["ua"], metrics.get("ua_ci")),
        ("WA", metrics["wa"], metrics.get("wa_ci")),
        *((f"recall of {_text(label)}", recall, None) for label, recall in recalls.items()),
    ]
    table = ["| test | % | 95 % CI |", "| --- | ---: | ---: |"]
    table += [f"| {label} | {_percent(value)} | {_interval(ci)} |" for label, value, ci in rows]
    several = len({each["fold"] for each in metrics.get("by_fold", ())}) > 1
    networks = "of networks, each tested on its fold" if several else "of one network"
    note = (
        f"The figures are those {networks}, pooled over {metrics['n']} utterances. "
        "Intervals: bootstrap over speakers and seeds."
    )
    if source.refit is None and source.no_test_figure:
        note += f" There is no test figure for the mean of these networks: {source.no_test_figure}."
    return "\n".join([*table, "", note])


def _intended() -> str:
    return (
        "## Intended use\n\nResearch on the recognition of emotion in speech, and its "
        "teaching. Not for decisions about people. In the European Union, Regulation (EU) "
        "2024/1689, Article 5(1)(f), prohibits systems that infer emotions at work and in "
        "education, except for medical or safety reasons."
    )


def _limits(source: Source) -> str:
    card, features = source.summary["card"], source.config.features
    limits = [
        f"It was trained on the speakers, language and recording conditions of "
        f"{_text(card['dataset'])} only. Expect lower accuracy on other speech.",
        f"It always predicts one of {len(source.classes)} classes. Its probabilities are not "
        "calibrated.",
    ]
    if features.normalise != "none":
        group = features.normalise
        plural = {"speaker": "speakers", "corpus": "corpora"}[group]
        limits.append(
            f"It was trained and tested with features normalised per {group}, test {plural} "
            f"included. Expect lower accuracy on a single recording of an unknown {group}."
        )
    if features.level != "functionals":
        seconds = frame_seconds(features) * features.max_frames
        limits.append(f"It reads the first {seconds:g} s of a recording.")
    limits += [_text(f"{caveat}.") for caveat in card.get("caveats", ())]
    return "\n".join(f"- {limit}" for limit in limits)


def _licences(source: Source) -> str:
    corpus = source.summary["card"]["dataset"]
    known = _CORPORA.get(corpus.removesuffix("_full"))
    lines = [
        f"Corpus {_text(corpus)}: {known}." if known else f"Corpus {_text(corpus)}: see its terms.",
        _FEATURES.get(source.config.features.name, _OPENSMILE),
        "sercli: MIT.",
        "A model may be shared only as far as all of these allow.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def _interval(bounds: Sequence[float] | None) -> str:
    return "–" if bounds is None else "–".join(f"{100 * bound:.1f}" for bound in bounds)


def _text(text: str) -> str:
    return text.translate(_ESCAPES)
