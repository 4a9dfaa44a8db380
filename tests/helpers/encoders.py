"""Tiny random speech encoders, in folders as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

RATE = 16000
LAYERS = 2
FAMILIES = ("Wav2Vec2", "Hubert", "WavLM", "Wav2Vec2-layer")
"""The last has the layer normalisation of the large models."""

_TINY = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 32,
}
_NORM_BY_LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


def tiny_encoder(folder: Path, name: str = "Wav2Vec2") -> Path:
    """Write an encoder of one of `FAMILIES`; skip the test without transformers."""
    transformers: Any = pytest.importorskip("transformers")
    family, _, norm = name.partition("-")
    config = getattr(transformers, f"{family}Config")(**_TINY, **(_NORM_BY_LAYER if norm else {}))
    torch.manual_seed(0)
    getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=RATE, do_normalize=True, return_attention_mask=False
    ).save_pretrained(folder)
    return folder
