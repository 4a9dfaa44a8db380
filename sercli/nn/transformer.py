"""A layer of a Transformer over padded sequences, and sinusoidal positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.nn.multi_head import MultiHeadAttention


class TransformerLayer(nn.Module):
    """h = LN(x + A(x, y, y)), then LN(h + W₂ ReLU(W₁ h)): self-attention with y = x, else cross.

    The layer of Vaswani et al. (NeurIPS 2017) with the normalisation after each sum, and dropout on
    attention weights, between W₁ and W₂ and before each sum.

    Args:
        size: Features of a step, a multiple of ``heads``.
        heads: Attention heads.
        feedforward: Hidden units of the feed-forward network.
        other: Features of a step of y; None: ``size``.
        dropout: Dropout probability.
        keep: Share of the keys that is kept (`MultiHeadAttention`).
        positions: Add `sinusoids` to queries and keys, but not to x in the sum. In cross-attention
            the values have none; in self-attention they are those of the keys, as in the code of
            Chen et al. (ICASSP 2022).

    >>> import torch
    >>> layer = TransformerLayer(8, heads=2, feedforward=16)
    >>> frames, valid = torch.randn(2, 7, 8), torch.ones(2, 7, dtype=torch.bool)
    >>> layer(frames, valid).shape
    torch.Size([2, 7, 8])
    """

    def __init__(
        self,
        size: int,
        heads: int,
        feedforward: int,
        *,
        other: int | None = None,
        dropout: float = 0.0,
        keep: float = 1.0,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.positions = positions
        self.attend = MultiHeadAttention(size, heads, other=other, dropout=dropout, keep=keep)
        self.attended = nn.LayerNorm(size)
        self.feed = nn.Sequential(
            nn.Linear(size, feedforward),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward, size),
        )
        self.fed = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        valid: Tensor,
        y: Tensor | None = None,
        valid_y: Tensor | None = None,
    ) -> Tensor:
        """Map (B, T, size) to (B, T, size).

        Args:
            x: Steps of the sequence, finite after its end.
            valid: Boolean (B, T), true where a step is real.
            y: Steps of the other sequence, (B, S, other), finite after its end; None: x.
            valid_y: Boolean (B, S), true where a step of y is real.
        """
        queries = self._placed(x)
        if y is None or valid_y is None:
            found = self.attend(queries, queries, queries, valid, valid)
        else:
            found = self.attend(queries, self._placed(y), y, valid, valid_y)
        h = self.attended(x + self.dropout(found))
        out: Tensor = self.fed(h + self.dropout(self.feed(h)))
        return out

    def _placed(self, steps: Tensor) -> Tensor:
        return add_sinusoids(steps) if self.positions else steps


def add_sinusoids(steps: Tensor) -> Tensor:
    """Add the position of each step to its features (B, T, size)."""
    dtype = torch.promote_types(steps.dtype, torch.float32)
    places = sinusoids(*steps.shape[1:], dtype=dtype, device=steps.device)
    return steps + places.to(steps.dtype)


def sinusoids(
    steps: int,
    size: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> Tensor:
    """Return sin(t / 10000^(j/size)) for even j, and its cosine with j − 1 for odd j: (T, size).

    >>> sinusoids(2, 3)
    tensor([[0.0000, 1.0000, 0.0000],
            [0.8415, 0.5403, 0.0022]])

    Args:
        steps: Number of steps T.
        size: Features of a step.
        dtype: Dtype of the result.
        device: Its device.
    """
    column = torch.arange(size, device=device)
    odd = column % 2
    rate = 10000.0 ** ((odd - column).to(dtype) / size)
    angles = torch.arange(steps, dtype=dtype, device=device).unsqueeze(1) * rate
    return torch.where(odd == 0, angles.sin(), angles.cos())
