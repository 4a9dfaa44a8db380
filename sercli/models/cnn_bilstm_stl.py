"""CNN-BiLSTM with stacked transformer layers: a reconstruction."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch
from sercli.models.parts import check_dropout, check_heads, check_numbers, check_sizes
from sercli.nn.checks import check_at_least, check_one_of
from sercli.nn.convolution import AveragePool, BatchNorm, Convolution, Maps
from sercli.nn.pooling import mean_over_time

HALVINGS = 5
"""Number of blocks that halve the frequency axis: 40 bands become two."""


@MODELS.register("cnn_bilstm_stl")
class CNNBiLSTMTransformer(nn.Module):
    """A RECONSTRUCTION of the network of Wang et al. (ICASSP 2021).

    Stated: six blocks of a 2-D convolution, batch normalisation, ELU, average pooling and dropout;
    a bidirectional LSTM over the remaining steps; one vector per turn; five transformer encoder
    layers without positions; a classifier; 356 000 parameters without the transformer and 468 000
    with it. Not stated: channels, kernels, pooling, dropout and the LSTM's size, so that their
    figures do not apply to this network. It has ``cell=lstm activation=tanh``.

    Their vector is the output of a convolution whose channels are the steps, so that turns are cut
    or padded to 10 s, and self-attention has one token, whose weight is 1 (``tokens: utterance``).
    Ours is ``tokens: frames``: the transformer runs over the steps of the LSTM, padding masked, and
    the mean of its output is classified; a turn may have any length. ``depth: 0`` is their network
    without the transformer.

    They read 40 mel bands every 32 ms (``features=log_mel features.options.bands=40``), with the
    mean and deviation of another corpus. Turns of one speaker are in their training and test sets.

    Ours: kernels 3 × 3, pooling 2 × 2 in the first five blocks and 2 × 1 after these, with partial
    windows at the end; pre-norm layers with a feed-forward layer four times as wide, as in their
    code; four heads; sizes and dropout.

    Args:
        inputs: Features of a step, the frequency axis.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        channels: Channels of each block; each halves the number of steps.
        hidden: Hidden size per direction.
        depth: Number of transformer layers (paper: 5); 0: none.
        heads: Attention heads, a divisor of 2·hidden.
        tokens: ``frames`` or ``utterance``.
        positions: Steps after the last block that ``utterance`` reads; more are cut, fewer padded
            with zeros (16: 10 s of frames at 10 ms through six blocks).
        dropout: Dropout probability in blocks and transformer layers.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), the heads do not divide the
            states, or the tokens are unknown.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        channels: list[int] | tuple[int, ...] = (16, 32, 48, 64, 64, 64),
        hidden: int = 32,
        depth: int = 5,
        heads: int = 4,
        tokens: str = "frames",
        positions: int = 16,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, heads=heads, positions=positions)
        check_at_least("model.depth", depth, 0)
        check_one_of("model.tokens", tokens, ("frames", "utterance"))
        check_dropout(dropout)
        counts = check_numbers("channels", channels)
        self.blocks = _blocks(counts, dropout)
        bands = -(-inputs // 2 ** min(len(counts), HALVINGS))
        self.recurrent = new_cell(bands * counts[-1], hidden, bidirectional=True)
        size = self.recurrent.output_size
        check_heads(heads, size)
        self.merge = nn.Linear(positions, 1) if tokens == "utterance" else None
        self.transformer = _transformer(size, heads, depth, dropout) if depth else None
        self.head = nn.Linear(size, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = batch.current
        maps: Maps = self.blocks(Maps.over_time_and_frequency(turns.frames, turns.lengths))
        states, _ = self.recurrent(maps.steps, lengths=maps.lengths)
        valid = maps.valid
        if self.merge is not None:
            states = _merged(self.merge, states.masked_fill(~valid.unsqueeze(-1), 0.0))
            valid = valid[:, :1]
        if self.transformer is not None:
            states = self.transformer(states, src_key_padding_mask=~valid)
        logits: Tensor = self.head(mean_over_time(states, valid))
        return logits


class Block(nn.Module):
    """A 3 × 3 convolution, batch normalisation, ELU, average pooling and dropout.

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        window: Steps and bands of a window of the pooling.
        dropout: Dropout probability.
    """

    def __init__(self, inputs: int, channels: int, window: tuple[int, int], dropout: float) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, channels, (3, 3))
        self.norm = BatchNorm(channels)
        self.pool = AveragePool(window)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Maps) -> Maps:
        """Map (B, inputs, T, F) to (B, channels, ⌈T / 2⌉, bands)."""
        pooled: Maps = self.pool(self.norm(self.convolution(maps)).map(F.elu))
        return pooled.map(self.dropout)


def _blocks(channels: Sequence[int], dropout: float) -> nn.Sequential:
    return nn.Sequential(
        *(
            Block(before, count, (2, 2 if number < HALVINGS else 1), dropout)
            for number, (before, count) in enumerate(zip([1, *channels], channels, strict=False))
        )
    )


def _transformer(size: int, heads: int, depth: int, dropout: float) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        size, heads, 4 * size, dropout, batch_first=True, norm_first=True
    )
    norm = nn.LayerNorm(size)
    return nn.TransformerEncoder(layer, depth, norm, enable_nested_tensor=False)


def _merged(merge: nn.Linear, states: Tensor) -> Tensor:
    """Apply a linear layer over a fixed number of steps of (B, T, features): (B, 1, features)."""
    missing = merge.in_features - states.shape[1]  # negative: cut
    merged: Tensor = merge(F.pad(states.mT, (0, missing)))
    return merged.mT
