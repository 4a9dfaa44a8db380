"""Hidden states of a pretrained text encoder such as BERT, frozen, from a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sercli.errors import RequestError, nearest
from sercli.features.pretrained import (
    as_stored,
    check_dtype,
    check_folder,
    check_installed,
    check_layer,
    choose_layer,
    files_digest,
    load_checkpoint,
    read_config,
    settings_digest,
)
from sercli.features.text import EncodedText, TextFacts, TextSet
from sercli.files import absolute

_WIDTH = {"distilbert": ("dim", "n_layers")}
_FAMILIES = (
    *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra"),
    *("modernbert", "mpnet", "roberta", "xlm-roberta"),
)
"""Supported families: bidirectional encoders (our choice)."""

_OFFSET = ("camembert", "mpnet", "roberta", "xlm-roberta")
"""Families whose position ids start after ``pad_token_id``."""

_LAYERS = ("last", "mean")

_TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model"),
    *("spm.model",),
)
"""Files that a tokenizer may have, in the order in which they are hashed."""


@dataclass(frozen=True)
class TextEncoder(TextSet):
    """A layer of a frozen text encoder: a step per token, sub-words included.

    Texts are encoded one at a time, so that none is padded.

    Attributes:
        layer: ``last``; a number from 0, the embeddings; or ``mean`` of these.
        special_tokens: Keep the steps of special tokens, such as [CLS] and [SEP].
        max_tokens: Tokens at which a text is truncated; None: the maximum of the encoder.
        dtype: Type of the values in the store: ``float32`` or ``float16``.
        device: Device of the encoder, which is not part of the key.
    """

    library: ClassVar[str] = "transformers"

    layer: str | int
    special_tokens: bool
    max_tokens: int | None
    dtype: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dtype(self.dtype)
        check_layer(self.layer, self._size(1), _LAYERS)
        if self.max_tokens is not None and self.max_tokens < 3:
            raise RequestError(
                f"features.options.max_tokens={self.max_tokens}: must be at least 3, or null"
            )

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.json``.

        Raises:
            RequestError: The folder is not that of a text encoder.
        """
        return _read_config(Path(self.path))

    @property
    def source(self) -> str:
        """Family and SHA-256 of the weights, and the layer."""
        weights = files_digest(Path(self.path), ())
        kept = "with" if self.special_tokens else "without"
        return (
            f"{self.config['model_type']}, SHA-256 {weights[:12]}…, layer {self.layer}, {kept} "
            "special tokens"
        )

    @property
    def width(self) -> int:
        """The number of features of a step."""
        return self._size(0)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files, the settings and the version of torch."""
        folder = Path(self.path)
        files = ["config.json", *(name for name in _TOKENIZER if (folder / name).is_file())]
        settings = (self.level, self.layer, self.special_tokens, self.max_tokens)
        return settings_digest((files_digest(folder, files), *settings), self.dtype)

    def encode_all(self, texts: Sequence[str]) -> Iterator[EncodedText]:
        """Yield the steps of each text, of the type of the set; see `TextSet.encode_all`."""
        for each in super().encode_all(texts):
            yield EncodedText(as_stored(each.steps, self.dtype), each.facts)

    def encode(self, texts: Sequence[str]) -> Iterator[EncodedText]:
        """Yield the states of the tokens of each text.

        Raises:
            RequestError: The checkpoint lacks tensors, or cannot be read.
        """
        for text in texts:
            yield self._encode(text)

    def _encode(self, text: str) -> EncodedText:
        import torch

        tokenizer, model = _loaded(self.path, self.device)
        most = min(self._positions, tokenizer.model_max_length, self.max_tokens or np.inf)
        tokens = tokenizer(
            text,
            truncation=True,
            max_length=int(most),
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        special = tokens.pop("special_tokens_mask")[0].bool()
        ids = tokens["input_ids"][0]
        with torch.inference_mode():
            output = model(**tokens.to(self.device), output_hidden_states=self.layer != "last")
        words, states = ids[~special], choose_layer(self.layer, output)[0].cpu()
        unknown = int((words == tokenizer.unk_token_id).sum())
        kept = torch.ones_like(special) if self.special_tokens else ~special
        return EncodedText(states[kept].numpy(), TextFacts(len(words), unknown))

    @property
    def _positions(self) -> float:
        positions = self.config.get("max_position_embeddings")
        if not isinstance(positions, int):
            return np.inf
        offset = self.config.get("pad_token_id", 0) + 1
        return positions - (offset if self.config["model_type"] in _OFFSET else 0)

    def _size(self, which: int) -> int:
        names = _WIDTH.get(self.config["model_type"], ("hidden_size", "num_hidden_layers"))
        return int(self.config[names[which]])


def text_encoder(
    name: str,
    level: str,
    path: str | None,
    layer: str | int = "last",
    special_tokens: bool = True,
    max_tokens: int | None = None,
    missing: str = "zeros",
    column: str = "transcript",
    dtype: str = "float32",
) -> TextEncoder:
    """Return the set of a text encoder's states.

    Args:
        name: ``features.name``.
        level: ``features.level``.
        path: ``features.path``, the folder.
        layer: ``last``; a number from 0, the embeddings; or ``mean`` of these.
        special_tokens: Keep the steps of special tokens, such as [CLS] and [SEP].
        max_tokens: Tokens at which a text is truncated; null: the maximum of the encoder.
        missing: Treatment of a turn without text: ``zeros`` (one step) or ``refuse``.
        column: Column of the manifest with the text: ``transcript`` or ``asr_transcript``.
        dtype: ``float32``; ``float16`` halves the store.

    Raises:
        RequestError: transformers is not installed, the folder does not hold a text encoder, or a
            setting is invalid.
    """
    check_installed(name)
    if path is None:
        raise RequestError(
            f"features={name} needs a folder: set features.path to a downloaded copy of a BERT or "
            "RoBERTa (from huggingface.co)"
        )
    folder = str(absolute(path))
    return TextEncoder(
        name, level, folder, column, missing, layer, special_tokens, max_tokens, dtype
    )


@cache
def _loaded(path: str, device: str) -> tuple[Any, Any]:
    """Return the tokenizer and the model of a folder.

    Raises:
        RequestError: They cannot be loaded (`sercli.features.pretrained.load_checkpoint`).
    """

    def tokenizer() -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)

    return load_checkpoint(path, tokenizer, lambda name: name.startswith("pooler."), device)


def _read_config(folder: Path) -> dict[str, Any]:
    check_folder(folder, ("config.json",))
    where = f"features.path={folder}"
    config = read_config(folder)
    family = config.get("model_type")
    if not isinstance(family, str):
        raise RequestError(f"{where}: config.json is not that of a text encoder, e.g. BERT")
    if family not in _FAMILIES:
        known = nearest(family, _FAMILIES)
        raise RequestError(f"{where}: model_type {family} is not a supported text encoder.{known}")
    sizes = [config.get(x) for x in _WIDTH.get(family, ("hidden_size", "num_hidden_layers"))]
    if not all(isinstance(each, int) and each > 0 for each in sizes):
        raise RequestError(f"{where}: config.json states no sizes; download the checkpoint again")
    if not any((folder / name).is_file() for name in _TOKENIZER if name != "tokenizer_config.json"):
        raise RequestError(
            f"{where}: it holds no tokenizer, tokenizer.json or vocab.txt; download the whole "
            "checkpoint into the folder"
        )
    return config
