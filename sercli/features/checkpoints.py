"""Known checkpoints of speech encoders: the source, the licence and the training data of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml import YAMLError

from sercli.config.schema import Config, FeaturesConfig, features_by_key
from sercli.errors import RequestError
from sercli.untrusted import parse_yaml

_LONGEST = 20_000
"""Characters of a model card that are read (our choice): the header comes first."""

_LISTED = 5
"""Data sets of a model card that are named (our choice)."""


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint; the user downloads it.

    Attributes:
        repository: Its name on huggingface.co.
        licence: As its page states it.
        data: Its training data.
        shape: Entries of its ``config.json`` that tell it from the others.
        seen: Corpora of `sercli` whose labels it was trained on.
    """

    repository: str
    licence: str
    data: str
    shape: Mapping[str, Any]
    seen: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.repository}, {self.licence}, trained on {self.data}"


def _shape(family: str, width: int, layers: int) -> dict[str, Any]:
    return {"model_type": family, "hidden_size": width, "num_hidden_layers": layers}


_MIX = "94 000 h of Libri-Light, GigaSpeech and VoxPopuli"

CHECKPOINTS = {
    "wav2vec2_base": Checkpoint(
        "facebook/wav2vec2-base", "Apache-2.0", "LibriSpeech 960 h", _shape("wav2vec2", 768, 12)
    ),
    "wav2vec2_large": Checkpoint(
        "facebook/wav2vec2-large", "Apache-2.0", "LibriSpeech 960 h", _shape("wav2vec2", 1024, 24)
    ),
    "hubert_base": Checkpoint(
        "facebook/hubert-base-ls960", "Apache-2.0", "LibriSpeech 960 h", _shape("hubert", 768, 12)
    ),
    "hubert_large": Checkpoint(
        "facebook/hubert-large-ll60k",
        "Apache-2.0",
        "Libri-Light, 60 000 h",
        _shape("hubert", 1024, 24),
    ),
    "wavlm_base_plus": Checkpoint(
        "microsoft/wavlm-base-plus", "CC BY-SA 3.0", _MIX, _shape("wavlm", 768, 12)
    ),
    "wavlm_large": Checkpoint(
        "microsoft/wavlm-large", "CC BY-SA 3.0", _MIX, _shape("wavlm", 1024, 24)
    ),
    "wav2vec2_msp": Checkpoint(
        "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        "CC BY-NC-SA 4.0",
        "read and telephone speech, and on the labels of MSP-Podcast",
        _shape("wav2vec2", 1024, 12),
        frozenset({"msp_podcast", "msp_podcast_full"}),
    ),
}
"""``features`` → checkpoint. Licences are those of the checkpoints' pages; check them there."""


def describe_model_card(folder: Path) -> str:
    """Return licence and training data as the model card of a checkpoint states them.

    Args:
        folder: The folder of the checkpoint; its card is ``README.md`` with a header in YAML, as
            on huggingface.co.

    Returns:
        Clauses that begin with a semicolon.
    """
    try:
        _, header, _ = (folder / "README.md").read_text(encoding="utf-8")[:_LONGEST].split("---", 2)
        stated = parse_yaml(header)
    except (OSError, ValueError, YAMLError):
        return "; no model card in its folder"
    found = stated if isinstance(stated, dict) else {}
    clauses = [_stated("licence", found.get("license")), _stated("data", found.get("datasets"))]
    return "".join(f"; {each}" for each in clauses) + ", by its model card"


def _stated(name: str, value: Any) -> str:
    listed = value if isinstance(value, list) else [value]
    words = [f"{each:.60}".strip() for each in listed[:_LISTED] if isinstance(each, str)]
    return f"{name} {', '.join(words)}" if words else f"{name} not stated"


def seen_by_checkpoints(config: Config) -> list[tuple[str, FeaturesConfig, str]]:
    """Find the encoders of a configuration that were trained on the labels of its corpus.

    Returns:
        Key of each, ``features`` or that of a stream; its settings; the corpus.
    """
    corpora = (config.dataset.name, *config.dataset.parts)
    return [
        (key, features, corpus)
        for key, features in features_by_key(config).items()
        if features.name in CHECKPOINTS
        for corpus in corpora
        if corpus in CHECKPOINTS[features.name].seen
    ]


def check_seen(config: Config) -> None:
    """Refuse an encoder that was trained on the labels of the corpus.

    Raises:
        RequestError: One was, and its ``options.allow_seen`` is not set.
    """
    for key, features, corpus in seen_by_checkpoints(config):
        if not features.options.get("allow_seen"):
            known = CHECKPOINTS[features.name]
            raise RequestError(
                f"{key}={features.name}: {known.repository} was trained on {known.data}, so "
                f"results on {corpus} would be biased; take another encoder, or set "
                f"{key}.options.allow_seen=true, which the protocol card states"
            )
