"""AMH: attention that hops between the streams of a turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Turns
from sercli.models.parts import check_dropout, check_numbers, check_streams
from sercli.nn import last_state
from sercli.nn.attention import masked_softmax, weighted_sum
from sercli.nn.checks import check_one_of

_MAIN = "audio"
"""Name of the main features among the hops."""


@MODELS.register("amh")
class AttentiveModalityHopping(nn.Module):
    """The network of Yoon, Dey, Lee and Jung (ICASSP 2020), over any list of streams.

    A recurrent layer reads each stream; its last state is the first summary of the stream. A hop to
    a stream with states h_t replaces its summary by Σ_t a_t h_t with a = softmax_t(q·h_t) and
    q = W C + b, C being the current summaries of the other streams and W, b those of the hop.
    The classifier reads all summaries.

    Theirs is ``model.streams=[text,video] model.hops=[video,audio,text,video,audio,text,video]
    model.hidden=[200,200,128] model.input_dropout=[0.3,0.7,0.3] cell=gru_tf cell.init=orthogonal
    activation=tanh``. With audio and text alone the hops alternate, as in MHA (Yoon, Byun, Dey and
    Jung, ICASSP 2019); without hops it is MDRE without its prosody (Yoon, Byun and Jung, SLT
    2018). They read 40 MFCCs with Δ and ΔΔ (750 frames of 10 ms), GloVe vectors (128 words) and
    frames of ResNet-101 (25), with Adam at 1e-3, batches of 128 and each gradient tensor clipped to
    norm 1. Sizes and training are those of the official code
    (david-yoon/attentive-modality-hopping-for-SER).

    Different here: their word vectors are trained, ours are not; the gradients are clipped
    together. The initial b of 0 and the initial classifier are our choice.

    Args:
        inputs: Features of a step of the main stream, the audio.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Features of a step of each further stream.
        streams: Names of the further streams.
        hops: Stream of each hop, in order; ``audio`` is the main stream.
        hidden: Hidden size of audio, then of each further stream.
        input_dropout: Dropout probability on the steps of audio, then of each further stream.

    Raises:
        RequestError: The configuration lacks a stream, a stream is called ``audio``, a hop names
            none of them, a list has another length than the streams, a size is below 1, or a
            dropout is not in [0, 1).
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        streams: list[str] | tuple[str, ...] = ("text",),
        hops: list[str] | tuple[str, ...] = ("text", "audio"),
        hidden: list[int] | tuple[int, ...] = (200, 200),
        input_dropout: list[float] | tuple[float, ...] = (0.3, 0.7),
    ) -> None:
        super().__init__()
        self.streams = check_streams(streams)
        if _MAIN in self.streams:
            raise RequestError(
                f"model.streams=[{','.join(self.streams)}]: '{_MAIN}' is the name of the main "
                "features; choose another name"
            )
        names = [_MAIN, *self.streams]
        for hop in hops:
            check_one_of("model.hops", hop, names)
        self.hops = [names.index(hop) for hop in hops]
        sizes = check_numbers("hidden", hidden, len(names))
        features = [inputs, *(corpus.stream(name) for name in self.streams)]
        self.drop = nn.ModuleList(map(nn.Dropout, _checked(input_dropout, len(names))))
        self.recurrent = nn.ModuleList(
            new_cell(own, size) for own, size in zip(features, sizes, strict=True)
        )
        self.query = nn.ModuleList(_query(sum(sizes) - sizes[hop], sizes[hop]) for hop in self.hops)
        self.head = nn.Linear(sum(sizes), classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = [batch.current, *(batch.streams[name] for name in self.streams)]
        read = list(map(_read, self.recurrent, self.drop, turns))
        states, summaries = [each for each, _ in read], [last for _, last in read]
        for hop, query in zip(self.hops, self.query, strict=True):
            others = torch.cat([each for i, each in enumerate(summaries) if i != hop], dim=-1)
            scores = (states[hop] @ query(others).unsqueeze(-1)).squeeze(-1)
            weights = masked_softmax(scores, turns[hop].valid)
            summaries[hop] = weighted_sum(weights, states[hop])
        logits: Tensor = self.head(torch.cat(summaries, dim=-1))
        return logits


def _query(others: int, size: int) -> nn.Linear:
    layer = nn.Linear(others, size)
    nn.init.uniform_(layer.weight, -0.25, 0.25)
    nn.init.zeros_(layer.bias)
    return layer


def _read(layer: Any, drop: nn.Module, turns: Turns) -> tuple[Tensor, Tensor]:
    """Return the states of a stream, (B, T, H), and the last one, (B, H)."""
    states, final = layer(drop(turns.frames), lengths=turns.lengths)
    return states, last_state(layer, final)


def _checked(dropouts: Sequence[float], count: int) -> Sequence[float]:
    if len(dropouts) != count:
        raise RequestError(
            f"model.input_dropout={list(dropouts)}: must be {count} numbers, one for each stream"
        )
    for each in dropouts:
        check_dropout(each, "input_dropout")
    return dropouts
