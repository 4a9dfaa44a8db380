"""Fine-tuning of tiny random encoders: exactness, gradients, masks, CTC."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.encoders import FAMILIES, RATE, tiny_encoder
from torch import Tensor
from torch.nn import functional as F

from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError, SercliError
from sercli.features.checkpoints import describe_model_card
from sercli.features.encoder import EncoderSet
from sercli.features.sets import feature_set
from sercli.models.adversary import attach_adversary, find_classifier
from sercli.models.ctc import ctc, word_errors
from sercli.models.interface import Batch, CorpusInfo, Turns
from sercli.models.wav2vec2_tuned import Wav2Vec2Tuned, draw_masks
from sercli.training.encoder import pretrained_encoder
from sercli.training.weights import kept_weights

CHARACTERS = 5
LENGTHS = (24, 9, 13)
TEXTS = ((0, 3, 3, 1), (2,), ())


@pytest.fixture(scope="module", name="folders")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {name: tiny_encoder(root / name, name) for name in FAMILIES}


def features_of(folder: Path, **options: Any) -> FeaturesConfig:
    return FeaturesConfig("encoder", path=str(folder), options={"layer": "conv", **options})


def tuned(folder: Path, classes: int = 4, **settings: Any) -> Wav2Vec2Tuned:
    corpus = CorpusInfo(
        streams={"text": CHARACTERS},
        encoder=partial(pretrained_encoder, features_of(folder), "wav2vec2_tuned"),
    )
    torch.manual_seed(1)
    return Wav2Vec2Tuned(inputs=16, classes=classes, corpus=corpus, **settings)


def turns(padding: int = 0, filler: float = 0.0) -> Turns:
    frames = torch.full((len(LENGTHS), max(LENGTHS) + padding, 16), filler)
    random = torch.Generator().manual_seed(0)
    for row, length in zip(frames, LENGTHS, strict=True):
        row[:length] = torch.randn(length, 16, generator=random)
    return Turns(frames, torch.tensor(LENGTHS))


def characters() -> Turns:
    """One-hot rows; a turn without characters has one row of zeros."""
    rows = torch.zeros(len(TEXTS), max(map(len, TEXTS)), CHARACTERS)
    for row, text in zip(rows, TEXTS, strict=True):
        row[range(len(text)), list(text)] = 1.0
    return Turns(rows, torch.tensor([max(len(text), 1) for text in TEXTS]))


def squared(column: str, logits: Tensor) -> Tensor:
    return logits.square().sum()


def batch(current: Turns, *, training: bool = False) -> Batch:
    made = Batch(current, current, current, streams={"text": characters()})
    return replace(made, criterion=squared) if training else made


def one(current: Turns, row: int) -> Turns:
    length = int(current.lengths[row])
    return Turns(current.frames[row : row + 1, :length], current.lengths[row : row + 1])


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(
            family, marks=[] if family in ("Wav2Vec2", "WavLM") else pytest.mark.exhaustive
        )
        for family in FAMILIES
    ],
)
def test_stored_convolutions_and_a_mask_give_what_transformers_gives_of_each_signal(
    folders: dict[str, Path], family: str
) -> None:
    from transformers import AutoModel

    folder = folders[family]
    reference = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    extract = feature_set(features_of(folder)).extractor(RATE)
    model = tuned(folder).eval()
    random = np.random.default_rng(0)
    signals = [random.normal(0, 0.1, size).astype(np.float32) for size in (8000, 3000, 400)]
    frames = [torch.from_numpy(extract(signal)) for signal in signals]
    lengths = torch.tensor([len(each) for each in frames])
    padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    with torch.inference_mode():
        found = model.encoder(Turns(padded, lengths))
        for states, length, signal in zip(found, lengths.tolist(), signals, strict=True):
            scaled = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)
            expected = reference(torch.tensor(scaled)[None]).last_hidden_state[0]
            torch.testing.assert_close(states[:length], expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_a_turn_alone_is_classified_as_in_a_batch_whatever_the_padding(
    folders: dict[str, Path], family: str, pooling: str
) -> None:
    model = tuned(folders[family], pooling=pooling).eval()
    with torch.inference_mode():
        together = model(batch(turns(padding=5, filler=1e30))).logits
        for row, logits in enumerate(together):
            alone = one(turns(), row)
            found = model(Batch(alone, alone, alone)).logits[0]
            torch.testing.assert_close(found, logits, atol=2e-5, rtol=1e-5)
            z = model.encoder(alone)[0]
            pooled = z.mean(dim=0) if pooling == "mean" else z.sum(dim=0)
            torch.testing.assert_close(model.cls_head(pooled), found, atol=2e-5, rtol=1e-5)


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({}, "encoder."),
    ({"unfreeze": 1}, "encoder.transformer.layers.1."),
    ({"unfreeze": 0}, "nothing"),
    ({"ctc_weight": 0.0}, "encoder."),
    ({"gradient_checkpointing": True}, "encoder."),
    ({"lora": 2}, "lora_"),
]


@pytest.mark.parametrize(("settings", "trained"), SETTINGS)
def test_gradients_reach_what_is_unfrozen_and_nothing_else_and_the_rest_is_not_kept(
    folders: dict[str, Path], settings: dict[str, Any], trained: str
) -> None:
    if "lora" in settings:
        pytest.importorskip("peft", reason="the extra lora is not installed")
    model = tuned(folders["Wav2Vec2"], mask_time_prob=0.5, mask_time_length=3, **settings).train()
    output = model(batch(turns(), training=True))
    loss = output.logits.square().sum() + sum(output.losses.values())
    loss.backward()
    every = dict(model.named_parameters())
    heads = {name for name in every if "_head." in name}
    expected = {name for name in every if trained in name} | heads
    assert {name for name, each in every.items() if each.grad is not None} == expected
    # B of an adapter starts at 0, so that A has no gradient yet
    moved = {name for name in expected if every[name].grad.count_nonzero()}  # type: ignore[union-attr]
    assert {name for name in expected - moved if "lora_A" not in name} <= {
        name
        for name in expected
        if name.endswith("k_proj.bias")  # softmax does not see it
    }
    assert set(kept_weights(model)) == expected | {"checkpoint"}
    assert ("lm_head.weight" in every) == (settings.get("ctc_weight") != 0)


def test_the_loss_falls_and_dropout_and_masks_act_in_training_alone(
    folders: dict[str, Path],
) -> None:
    model = tuned(folders["Hubert"], ctc_weight=0.1).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    labels = torch.tensor([0, 1, 2])
    losses = []
    for _ in range(10):
        output = model(batch(turns(), training=True))
        loss = F.cross_entropy(output.logits, labels) + output.losses["ctc"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2])
    assert not torch.equal(model(batch(turns())).logits, model(batch(turns())).logits)
    model.eval()
    assert torch.equal(model(batch(turns())).logits, model(batch(turns())).logits)
    assert not model(batch(turns())).losses


def test_masks_are_spans_that_fit_into_the_turn() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([9, 10, 25, 400])
    found = torch.stack([draw_masks(lengths, 400, 0.05, 10, 2) for _ in range(200)])
    assert not found[:, 0].any()  # shorter than a mask: none, where transformers raises
    assert (found[:, 1].sum(dim=1) == 10).all()
    assert ((found[:, 2].sum(dim=1) > 10) & (found[:, 2].sum(dim=1) <= 20)).all()
    assert not found[:, 2, 25:].any()
    starts = found[:, 3].int().diff(dim=1, prepend=torch.zeros(200, 1, dtype=torch.int)) == 1
    runs = found[:, 3].sum(dim=1) / starts.sum(dim=1)
    assert (runs >= 10).all()
    assert 19 < found[:, 3].sum(dim=1).float().mean() <= 30  # 2 or 3 masks of 10, overlapping
    assert found[:, 3].float().mean(dim=0)[50:350].std() < 0.03  # anywhere alike
    assert not draw_masks(lengths, 400, 0.0, 10, 0).any()


def test_a_turn_shorter_than_a_mask_trains_with_an_adversary(folders: dict[str, Path]) -> None:
    build = partial(tuned, folders["Wav2Vec2"])
    model = build().train()
    classifier = find_classifier(model, build, 4)
    attach_adversary(model, classifier, "speaker", values=3, weight=0.1, hidden=2)
    short = one(turns(), 1)
    assert int(short.lengths) == 9
    text = {"text": one(characters(), 1)}
    output = model(Batch(short, short, short, criterion=squared, streams=text))
    assert output.losses["ctc"].isfinite()
    assert output.losses["adversary_speaker"] > 0


def test_ctc_is_minus_the_log_probability_of_all_alignments() -> None:
    """Of two characters a and b in three frames: aab, abb, ab-, a-b and -ab spell "ab"."""
    scores = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(0))
    p = scores.softmax(dim=-1)[0]
    spelled = [(1, 1, 2), (1, 2, 2), (1, 2, 0), (1, 0, 2), (0, 1, 2)]
    total = torch.stack([p[range(3), each].prod() for each in spelled]).sum()
    text = Turns(torch.eye(2).unsqueeze(0), torch.tensor([2]))
    found = ctc(scores, torch.tensor([3]), text)
    torch.testing.assert_close(found, -total.log())
    torch.testing.assert_close(ctc(scores, torch.tensor([3]), text, "mean"), found / 2)


def test_ctc_leaves_out_padding_turns_without_text_and_those_that_cannot_be_aligned() -> None:
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 24, 1 + CHARACTERS, generator=random)
    text = characters()
    alone = [
        ctc(scores[i : i + 1, :n], torch.tensor([n]), one(text, i)) for i, n in enumerate(LENGTHS)
    ]
    scores[1, LENGTHS[1] :] = 99.0
    found = ctc(scores, torch.tensor(LENGTHS), text)
    assert alone[2] == 0  # no text
    torch.testing.assert_close(found, (alone[0] + alone[1]) / 2)
    assert ctc(scores[:1, :3], torch.tensor([3]), one(text, 0)) == 0
    torch.testing.assert_close(
        ctc(scores.bfloat16(), torch.tensor(LENGTHS), text), found, atol=0.5, rtol=0
    )


def test_the_word_error_rate_is_that_of_the_most_probable_symbols(
    folders: dict[str, Path],
) -> None:
    """Of "a b": "a b" has no error, "b" has one; of a transcript without words none counts."""
    pytest.importorskip("jiwer", reason="the extra encoders is not installed")
    text = torch.zeros(3, 3, CHARACTERS)
    text[:2, range(3), [1, 0, 2]] = 1.0
    symbols = torch.tensor([[2, 2, 0, 1, 3, 3], [3, 0, 0, 0, 9, 9], [2, 2, 2, 2, 2, 2]]).clamp(
        max=5
    )
    scores = F.one_hot(symbols, 1 + CHARACTERS).float()
    stream = Turns(text, torch.tensor([3, 3, 1]))
    assert word_errors(scores, torch.tensor([6, 4, 6]), stream) == (1, 4)

    model = tuned(folders["Wav2Vec2"]).eval()
    model(batch(turns()))
    assert set(model.take_rates()) == {"wer"}
    assert model.take_rates() == {}


def test_lora_trains_adapters_of_queries_and_values(folders: dict[str, Path]) -> None:
    pytest.importorskip("peft", reason="the extra lora is not installed")
    plain, adapted = tuned(folders["Hubert"]).eval(), tuned(folders["Hubert"], lora=2).eval()
    names = {name for name, each in adapted.encoder.named_parameters() if each.requires_grad}
    assert len(names) == 2 * 2 * 2  # layers, projections, A and B
    assert all("q_proj.lora_" in name or "v_proj.lora_" in name for name in names)
    found, expected = (each.encoder(turns()) for each in (adapted, plain))
    torch.testing.assert_close(found, expected)  # B starts at 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unfreeze": 3}, "model.unfreeze=3: must be all, or a number of layers from 0 to 2"),
        ({"unfreeze": "some"}, "model.unfreeze=some: must be one of all"),
        ({"ctc_reduction": "none"}, "must be one of sum, mean"),
        ({"pooling": "max"}, "must be one of mean, sum"),
        ({"ctc_weight": -1.0}, "model.ctc_weight=-1: must be 0 or more"),
        ({"mask_time_prob": 1.0}, r"model.mask_time_prob=1: must be in \[0, 1\)"),
        ({"lora": 2, "unfreeze": 1}, "trains only its adapters: remove model.unfreeze"),
    ],
)
def test_settings_out_of_range_are_refused(
    folders: dict[str, Path], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        tuned(folders["Wav2Vec2"], **settings)


def test_adapters_of_wavlm_are_refused_as_its_attention_would_pass_them_by(
    folders: dict[str, Path],
) -> None:
    with pytest.raises(RequestError, match="the attention of WavLM bypasses its adapters"):
        tuned(folders["WavLM"], lora=2)


def test_other_features_or_no_text_are_refused(folders: dict[str, Path]) -> None:
    encoder = partial(pretrained_encoder, features_of(folders["Hubert"]), "wav2vec2_tuned")
    with pytest.raises(RequestError, match=r"set streams\.text=characters, or model\.ctc_weight=0"):
        Wav2Vec2Tuned(inputs=16, classes=4, corpus=CorpusInfo(encoder=encoder))
    vectors = Turns(torch.full((3, 3, CHARACTERS), 0.1), torch.tensor([3, 3, 3]))
    words = Batch(turns(), turns(), turns(), criterion=squared, streams={"text": vectors})
    with pytest.raises(RequestError, match="the stream 'text' is not of characters"):
        tuned(folders["Hubert"])(words)
    for features, message in (
        (features_of(folders["Hubert"], layer="last"), "set features.options.layer=conv"),
        (FeaturesConfig("iaan45"), "features=iaan45 is not; set features=encoder"),
    ):
        with pytest.raises(RequestError, match=message):
            pretrained_encoder(features, "wav2vec2_tuned")


def test_the_encoder_is_described_by_its_files_and_its_model_card(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    chosen = feature_set(features_of(folders["Hubert"]))
    assert isinstance(chosen, EncoderSet)
    assert re.fullmatch(
        r"hubert of 2 layers, SHA-256 \w{12}…; no model card in its folder", chosen.source
    )
    card = tmp_path / "README.md"
    for text, expected in {
        "---\nlicense: apache-2.0\ndatasets:\n- librispeech_asr\n- x\n---\n# Name": (
            "; licence apache-2.0; data librispeech_asr, x, by its model card"
        ),
        "---\nlanguage: en\n---\n": "; licence not stated; data not stated, by its model card",
        "---\n- a\n---\n": "; licence not stated; data not stated, by its model card",
        "---\nlicense: !!python/name:os.system\n---\n": "; no model card in its folder",
        "no header": "; no model card in its folder",
    }.items():
        card.write_text(text)
        assert describe_model_card(tmp_path) == expected
    tuning = "of the encoder above its convolutions"
    last = tuned(folders["Hubert"], unfreeze=1, ctc_weight=0.0)
    assert last.tuned == f"the last layers (1) {tuning}"
    assert tuned(folders["Hubert"]).tuned == (
        f"all layers {tuning}, with CTC on transcripts (sum over characters, weight 0.1)"
    )


def test_weights_name_their_checkpoint_and_are_refused_with_another(
    folders: dict[str, Path],
) -> None:
    kept = kept_weights(tuned(folders["Wav2Vec2"], unfreeze=0))
    tuned(folders["Wav2Vec2"], unfreeze=0).load_state_dict(kept, strict=False)
    with pytest.raises(SercliError, match="holds another checkpoint than the model was trained"):
        tuned(folders["Hubert"], unfreeze=0).load_state_dict(kept, strict=False)


def test_building_leaves_the_random_generator_to_the_heads(folders: dict[str, Path]) -> None:
    one, two = (tuned(folders["Wav2Vec2"]) for _ in range(2))
    assert one.encoder.mask is not two.encoder.mask
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
