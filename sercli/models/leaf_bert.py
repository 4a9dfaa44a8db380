"""A Transformer over the turns of a dialogue, from vectors of audio and text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Criterion, Output, Turns
from sercli.models.parts import (
    check_divides,
    check_dropout,
    check_numbers,
    check_sizes,
    check_streams,
    check_weight,
)
from sercli.nn.attention import masked_softmax
from sercli.nn.transformer import TransformerLayer


@MODELS.register("leaf_bert")
class DialogueTransformer(nn.Module):
    """The last two stages of Dutta and Ganapathy (ICASSP 2022), on stored features.

    A step is a turn: the mean of its features. Of each modality, a bidirectional recurrent layer
    reads the turns of the dialogue up to the one to classify. The context of each direction, with
    states O, is A·P, where P = O W + b and A = softmax(P Pᵀ) (stage 2, as in the code; the paper
    has A·O). Projected to one size, the turns of text and then those of audio are one sequence,
    which Transformer layers read without positions (stage 3). The outputs of the classified turn in
    both parts go through dropout to the classifier. Sizes are those of the code of the authors
    (iiscleap/multimodal_emotion_recognition).

    Their first stage is left out: LEAF, a learnable filter bank on the waveform, with a CNN (100
    values of a turn), and a fine-tuned BERT with a recurrent layer (200). Use frames of an encoder
    and of words instead. They train the stages one after the other, each with a classifier, on
    batches of 32 dialogues by Adam at 1e-3 and 1e-4. Ours trains both at once, the classifiers of
    stage 2 by auxiliary losses.

    Other differences: theirs reads the turns after the classified one too, and only those with one
    of the classes; ours the turns before, of any label. Theirs masks no padding in stage 2, and its
    softmax runs over the other axis. Here ReLU replaces GELU. Their results are
    published as pictures.

    Args:
        inputs: Features of a step of the main stream, the audio.
        classes: Number of classes.
        new_cell: Factory of recurrent layers (code: ``cell=gru cell.layers=2 activation=tanh``).
        corpus: Features of a step of each further stream.
        streams: Name of the text stream; none: audio alone.
        hidden: Hidden size per direction (code: 100, in its notebooks 200 for audio and 50 for
            text).
        size: Features of a turn in stage 3, a multiple of ``heads``.
        heads: Attention heads.
        feedforward: Hidden units of the feed-forward network.
        layers: Number of Transformer layers.
        dropout: Dropout probability on projected turns and before the classifier.
        attention_dropout: Dropout probability in Transformer layers (BERT: 0.1).
        stage_weight: Weight of the losses of stage 2 (our choice); 0: none.

    Raises:
        RequestError: The configuration lacks the stream, a size is below 1, the heads do not divide
            the size, the weight is below 0, or a dropout is not in [0, 1).
    """

    reads_dialogues = True

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = ("text",),
        hidden: list[int] | tuple[int, ...] = (100, 100),
        size: int = 120,
        heads: int = 12,
        feedforward: int = 3072,
        layers: int = 3,
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        stage_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.streams = check_streams(streams, 0, 1)
        units = check_numbers("hidden", hidden, 1 + len(self.streams))
        check_sizes(size=size, heads=heads, feedforward=feedforward, layers=layers)
        check_dropout(dropout)
        check_dropout(attention_dropout, "attention_dropout")
        check_weight("stage_weight", stage_weight)
        check_divides(heads, size, "size")
        features = [inputs, *(corpus.stream(name) for name in self.streams)]
        self.stages = nn.ModuleList(
            _Context(own, each, new_cell) for own, each in zip(features, units, strict=True)
        )
        self.project = nn.ModuleList(nn.Linear(2 * each, size) for each in units)
        self.stage_weight = stage_weight
        self.stage_heads = nn.ModuleList(
            nn.Linear(2 * each, classes) for each in (units if stage_weight else [])
        )
        self.layers = nn.ModuleList(
            TransformerLayer(size, heads, feedforward, dropout=attention_dropout)
            for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(size * len(units), classes)

    def forward(self, batch: Batch) -> Output:
        """Classify a batch; in training, return the losses of stage 2 too."""
        turns = [batch.current, *(batch.streams[name] for name in self.streams)]
        contexts = [stage(each) for stage, each in zip(self.stages, turns, strict=True)]
        projected = [
            self.dropout(project(each))
            for project, each in zip(self.project, contexts, strict=True)
        ]
        sequence = torch.cat(projected[::-1], dim=1)
        valid = torch.cat([each.valid for each in turns[::-1]], dim=1)
        for layer in self.layers:
            sequence = layer(sequence, valid)
        widths = [each.frames.shape[1] for each in turns[::-1]]
        parts = zip(sequence.split_with_sizes(widths, dim=1), turns[::-1], strict=True)
        found = torch.cat([_last(part, each) for part, each in parts], dim=-1)
        logits = self.head(self.dropout(found))
        if batch.criterion is None:
            return Output(logits)
        vectors = [_last(context, each) for context, each in zip(contexts, turns, strict=True)]
        return Output(logits, self._stage_losses(vectors, batch.criterion))

    def _stage_losses(self, vectors: list[Tensor], criterion: Criterion) -> dict[str, Tensor]:
        found = zip(("audio", *self.streams), self.stage_heads, vectors, strict=False)
        return {
            f"stage_{name}": self.stage_weight * criterion("label", head(vector))
            for name, head, vector in found
        }


class _Context(nn.Module):
    """Stage 2: a bidirectional recurrent layer, and attention within each direction."""

    def __init__(self, inputs: int, hidden: int, new_cell: CellFactory) -> None:
        super().__init__()
        self.recurrent = new_cell(inputs, hidden, bidirectional=True)
        self.keys = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))

    def forward(self, turns: Turns) -> Tensor:
        """Map (B, L, inputs) to (B, L, 2·hidden)."""
        states, _ = self.recurrent(turns.frames, lengths=turns.lengths)
        contexts = []
        for keys, one in zip(self.keys, states.chunk(2, dim=-1), strict=True):
            own = keys(one)
            weights = masked_softmax(own @ own.transpose(1, 2), turns.valid.unsqueeze(1))
            contexts.append(weights @ own)
        return torch.cat(contexts, dim=-1)


def _last(steps: Tensor, turns: Turns) -> Tensor:
    """Return the last real step, that of the turn to classify, (B, H)."""
    return steps[torch.arange(len(steps), device=steps.device), turns.lengths - 1]
