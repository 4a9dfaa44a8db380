"""Fine-tuning of a pretrained speech encoder, with CTC on the transcript beside the classes."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.errors import RequestError, SercliError
from sercli.models import MODELS
from sercli.models.ctc import check_characters, ctc, word_errors
from sercli.models.interface import Batch, CorpusInfo, Output, Pretrained, Turns
from sercli.models.parts import check_dropout, check_sizes, check_weight
from sercli.nn.checks import check_at_least, check_one_of

_ADAPTED = ["q_proj", "v_proj"]
"""Linear layers that get LoRA adapters, as in Hu et al. (2021)."""


@MODELS.register("wav2vec2_tuned")
class Wav2Vec2Tuned(nn.Module):
    """wav2vec 2.0, HuBERT or WavLM, fine-tuned above its convolutions, with CTC.

    After Cai, Yuan, Zheng, Huang and Church (Interspeech 2021): z are the outputs of the encoder
    with dropout; a linear layer classifies their mean over time, and another one the character
    of each frame. The loss is CE + α·CTC.

    The features are the outputs of the convolutions, ``features=encoder
    features.options.layer=conv``; the feature projection and the Transformer are loaded from the
    same folder, ``features.path``. The characters are the stream ``text``
    (``streams.text=characters``), which only training with α > 0 reads.

    Published with wav2vec2-base: α = 0.1; AdamW at 5e-5 (1e-5 with α = 0) after linear warm-up over
    a tenth of the steps, with linear decay; steps of 8 turns, one at a time; 100 epochs.

    Differences: the convolutions are frozen (the authors' code trains them). The mean is that of
    their code; the paper has the sum. ``layerdrop`` is 0 (theirs: that of the checkpoint). A turn
    with more characters than frames has no CTC (theirs would be infinite).

    Args:
        inputs: Features of a frame, those of the last convolution.
        classes: Number of classes.
        corpus: Facts of the corpus: the encoder, and the width of the stream ``text``.
        ctc_weight: α; 0: no CTC.
        ctc_reduction: ``sum`` over the characters of a turn (published), or ``mean`` (torch's
            default; α then has to be 50 to 100 times as large). Either is averaged over turns.
        pooling: ``mean`` of the frames of a turn, or ``sum``.
        dropout: Dropout on z; None: ``final_dropout`` of the checkpoint.
        unfreeze: ``all`` parameters of the encoder, or the number of its last layers that are
            trained; the others keep the weights of the checkpoint.
        lora: Rank of LoRA adapters of the query and value projections (Hu et al. 2021, arXiv
            2106.09685; by peft), which alone are trained, beside the heads; 0: none.
        mask_time_prob: Share of the frames that SpecAugment hides in training, before overlaps.
        mask_time_length: Frames of a mask. A turn has at most as many masks as fit into it.
        mask_time_min_masks: Minimum number of masks of a turn.
        layerdrop: Probability of skipping a layer in training.
        gradient_checkpointing: Recompute activations in the backward pass, to save memory.

    Attributes:
        tuned: The parts that are trained, for the protocol card.
        not_kept: Parameters that keep the weights of the checkpoint, which records leave out.

    Raises:
        RequestError: A setting is out of range, the features are not those of a pretrained
            encoder's convolutions, there is no stream ``text``, or peft is not installed.
    """

    level = "lld"
    evaluation_batch = 16
    """Turns of a batch in evaluation: a base encoder needs about 0.1 GB per 10 s of a turn."""

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        corpus: CorpusInfo,
        ctc_weight: float = 0.1,
        ctc_reduction: str = "sum",
        pooling: str = "mean",
        dropout: float | None = None,
        unfreeze: int | str = "all",
        lora: int = 0,
        mask_time_prob: float = 0.05,
        mask_time_length: int = 10,
        mask_time_min_masks: int = 2,
        layerdrop: float = 0.0,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        check_one_of("model.ctc_reduction", ctc_reduction, ("sum", "mean"))
        check_one_of("model.pooling", pooling, ("mean", "sum"))
        check_sizes(mask_time_length=mask_time_length)
        check_weight("ctc_weight", ctc_weight)
        check_at_least("model.mask_time_min_masks", mask_time_min_masks, 0)
        check_at_least("model.lora", lora, 0)
        check_dropout(mask_time_prob, "mask_time_prob")
        check_dropout(layerdrop, "layerdrop")
        if ctc_weight and "text" not in corpus.streams:
            raise RequestError(
                f"model {corpus.model} learns the characters of transcripts: set streams.text="
                "characters, or model.ctc_weight=0"
            )
        characters = corpus.stream("text") if ctc_weight else 0
        pretrained = corpus.encoder()
        config = pretrained.module.config
        config.layerdrop = layerdrop
        self.encoder = TunedEncoder(
            pretrained.module, mask_time_prob, mask_time_length, mask_time_min_masks
        )
        if gradient_checkpointing:
            _save_memory(pretrained.module)
        _choose_trained(self.encoder, config, unfreeze, lora)
        self.not_kept = frozenset(
            name for name, each in self.named_parameters() if not each.requires_grad
        )
        _identify(self, pretrained)
        self.dropout = nn.Dropout(config.final_dropout if dropout is None else dropout)
        self.cls_head = nn.Linear(config.hidden_size, classes)
        self.lm_head = nn.Linear(config.hidden_size, 1 + characters) if ctc_weight else None
        self.ctc_weight, self.ctc_reduction, self.pooling = ctc_weight, ctc_reduction, pooling
        self._counts_errors = importlib.util.find_spec("jiwer") is not None
        self._checked = False
        self._errors: list[tuple[int, int]] = []
        self.tuned = _describe(unfreeze, lora, ctc_weight, ctc_reduction)

    def forward(self, batch: Batch) -> Output:
        """Classify a batch: logits (B, classes) and, in training, the loss ``ctc``."""
        turns = batch.current
        z = self.dropout(self.encoder(turns))
        pooled = z.masked_fill(~turns.valid.unsqueeze(-1), 0.0).sum(dim=1)
        if self.pooling == "mean":
            pooled = pooled / turns.lengths.unsqueeze(-1)
        logits = self.cls_head(pooled)
        if self.lm_head is None or "text" not in batch.streams:
            return Output(logits)
        scores, text = self.lm_head(z), batch.streams["text"]
        if not self._checked:
            check_characters(text)
            self._checked = True
        if batch.criterion is None:
            if self._counts_errors:
                self._errors.append(word_errors(scores, turns.lengths, text))
            return Output(logits)
        loss = ctc(scores, turns.lengths, text, self.ctc_reduction)
        return Output(logits, {"ctc": self.ctc_weight * loss})

    def take_rates(self) -> dict[str, float]:
        """Return ``wer``, the word error rate of all turns evaluated since the last call, if any.

        It needs jiwer.
        """
        errors, words = (sum(each) for each in zip((0, 0), *self._errors, strict=True))
        self._errors.clear()
        return {"wer": errors / words} if words else {}


class TunedEncoder(nn.Module):
    """The part of a pretrained encoder above its convolutions.

    Padded turns give what each gives alone, because everything above the convolutions is masked.

    Args:
        pretrained: The encoder of transformers.
        share: Share of the frames that masks hide in training.
        width: Frames of a mask.
        least: Minimum number of masks of a turn.
    """

    def __init__(self, pretrained: Any, share: float, width: int, least: int) -> None:
        super().__init__()
        self.projection = pretrained.feature_projection
        self.transformer = pretrained.encoder
        self.mask = pretrained.masked_spec_embed
        self._masks = share, width, least

    def forward(self, turns: Turns) -> Tensor:
        """Encode the outputs of the convolutions: (B, T, features) → (B, T, hidden size)."""
        projected = self.projection(turns.real_frames)
        steps = projected[0] if isinstance(projected, tuple) else projected  # HuBERT has no tuple
        if self.training and self._masks[0]:
            hidden = draw_masks(turns.lengths, steps.shape[1], *self._masks)
            steps = torch.where(hidden.unsqueeze(-1), self.mask.to(steps.dtype), steps)
        states = self.transformer(steps, attention_mask=turns.valid).last_hidden_state
        return cast("Tensor", states)


def draw_masks(lengths: Tensor, longest: int, share: float, width: int, least: int) -> Tensor:
    """Draw time masks of SpecAugment, as in the fine-tuning of wav2vec 2.0.

    A turn of T frames has ⌊share · T / width + u⌋ masks, u being uniform in [0, 1), at least
    ``least`` and at most ⌊T / width⌋. They begin at different frames and may overlap.

    >>> draw_masks(torch.tensor([9, 10]), 10, share=0.5, width=10, least=2).sum(dim=1)
    tensor([ 0, 10])

    Args:
        lengths: Frames of each turn, (B,).
        longest: Number of columns.
        share: Share of the frames that masks hide, before overlaps.
        width: Frames of a mask.
        least: Minimum number of masks of a turn.

    Returns:
        Boolean (B, longest), true where a frame is hidden.
    """
    device = lengths.device
    extra = torch.rand(lengths.shape, device=device)
    number = (share * lengths / width + extra).long().clamp(min=least)
    number = torch.minimum(number, lengths // width).unsqueeze(-1)
    place = torch.arange(longest, device=device)
    scores = torch.rand((len(lengths), longest), device=device)
    order = scores.masked_fill(place > (lengths - width).unsqueeze(-1), -1.0).argsort(
        dim=1, descending=True
    )
    starts = torch.zeros_like(scores).scatter(1, order, (place < number).to(scores.dtype))
    before = F.pad(starts.cumsum(dim=1), (width, 0))[:, :longest]
    return (starts.cumsum(dim=1) - before) > 0.5  # begun in the last ``width`` frames


def _choose_trained(encoder: TunedEncoder, config: Any, unfreeze: int | str, lora: int) -> None:
    """Choose the parameters to train: freeze the others, or add adapters.

    Raises:
        RequestError: A setting does not fit the encoder, or peft is not installed.
    """
    layers = encoder.transformer.layers
    if isinstance(unfreeze, int) and not 0 <= unfreeze <= len(layers):
        raise RequestError(
            f"model.unfreeze={unfreeze}: must be all, or a number of layers from 0 to {len(layers)}"
        )
    if isinstance(unfreeze, str):
        check_one_of("model.unfreeze", unfreeze, ("all",))
    if lora:
        _add_adapters(encoder, config, unfreeze, lora)
    elif isinstance(unfreeze, int):
        last = layers[len(layers) - unfreeze :]
        trained = {each for layer in last for each in layer.parameters()}
        for parameter in encoder.parameters():
            parameter.requires_grad = parameter in trained


def _add_adapters(encoder: TunedEncoder, config: Any, unfreeze: int | str, rank: int) -> None:
    where = f"model.lora={rank}"
    if unfreeze != "all":
        raise RequestError(f"{where} trains only its adapters: remove model.unfreeze")
    if config.model_type == "wavlm":
        raise RequestError(
            f"{where}: the attention of WavLM bypasses its adapters; use model.unfreeze=N"
        )
    if importlib.util.find_spec("peft") is None:
        raise RequestError(f"{where} needs peft: pip install 'sercli[lora]'")
    from peft import LoraConfig, inject_adapter_in_model

    settings = LoraConfig(r=rank, lora_alpha=rank, target_modules=_ADAPTED)
    inject_adapter_in_model(settings, encoder.transformer)
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad = "lora_" in name


def _describe(unfreeze: int | str, lora: int, weight: float, reduction: str) -> str:
    layers = "all layers" if unfreeze == "all" else f"the last layers ({unfreeze})"
    trained = f"adapters of rank {lora}" if lora else layers
    loss = f", with CTC on transcripts ({reduction} over characters, weight {weight:g})"
    return f"{trained} of the encoder above its convolutions{loss if weight else ''}"


def _save_memory(module: Any) -> None:
    """Recompute activations in the backward pass; not reentrant, so that layers can be frozen."""
    old = module.gradient_checkpointing_enable  # until version 5.24 of transformers
    getattr(module, "activation_checkpointing_enable", old)({"use_reentrant": False})


def _identify(model: Any, pretrained: Pretrained) -> None:
    """Store the checkpoint's digest with the weights: those not kept are read from it."""
    words = [int(pretrained.digest[i : i + 8], 16) for i in range(0, 32, 8)]
    model.register_buffer("checkpoint", torch.tensor(words))

    def check(_: nn.Module, state: Mapping[str, Tensor], prefix: str, *__: Any) -> None:
        found = state.get(f"{prefix}checkpoint")
        if found is not None and found.tolist() != words:
            raise SercliError(
                f"the folder {pretrained.path} holds another checkpoint than the model was "
                "trained from; restore it"
            )

    model.register_load_state_dict_pre_hook(check)
