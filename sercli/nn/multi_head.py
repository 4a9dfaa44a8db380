"""Multi-head attention from the steps of a padded sequence to those of another, or to its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.nn.attention import masked_softmax


class MultiHeadAttention(nn.Module):
    """softmax(Q Kᵀ/√d) V in each head, over real keys (Vaswani et al., NeurIPS 2017).

    With ``keep`` below 1 it is the key-sparse attention of Chen et al. (ICASSP 2022): of n keys the
    ⌊keep · n⌋ that have the largest sums of weights over all queries are kept in each head; the
    weights of the others are set to 0, without renormalisation. Keys that tie with the last are
    kept. Unlike in the authors' code, n is the number of real keys, at least one is kept, and the
    sums are over real queries.

    Weights start as Glorot's uniform ones, biases at 0.

    Args:
        size: Features of queries and of the output, a multiple of ``heads``.
        heads: Number of heads.
        other: Features of keys and values; None: ``size``.
        dropout: Dropout probability on the weights.
        keep: Share of the keys that is kept, in (0, 1].

    >>> import torch
    >>> attend = MultiHeadAttention(8, heads=2, other=5)
    >>> words, valid = torch.randn(2, 3, 5), torch.tensor([[True, True, False], [True] * 3])
    >>> frames, real = torch.randn(2, 7, 8), torch.ones(2, 7, dtype=torch.bool)
    >>> attend(frames, words, words, real, valid).shape
    torch.Size([2, 7, 8])
    """

    def __init__(
        self,
        size: int,
        heads: int,
        *,
        other: int | None = None,
        dropout: float = 0.0,
        keep: float = 1.0,
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.keep = heads, dropout, keep
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(other or size, size)
        self.value = nn.Linear(other or size, size)
        self.output = nn.Linear(size, size)
        for layer in (self.query, self.key, self.value, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        valid_queries: Tensor,
        valid_keys: Tensor,
    ) -> Tensor:
        """Attend from queries (B, T, size) to keys and values (B, S, other): (B, T, size).

        Args:
            queries: Steps that attend, finite after the end of a sequence.
            keys: Steps that they attend to, likewise finite.
            values: Steps that are summed, one for each key, likewise finite.
            valid_queries: Boolean (B, T), true where a query is real.
            valid_keys: Boolean (B, S) with at least one true per row.
        """
        q, k, v = self.query(queries), self.key(keys), self.value(values)
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (q, k, v))
        if self.keep < 1:
            summed = self._sparse_weights(q, k, valid_queries, valid_keys) @ v
        else:
            dropout = self.dropout if self.training else 0.0
            mask = valid_keys[:, None, None]
            summed = F.scaled_dot_product_attention(q, k, v, mask, dropout)
        attended: Tensor = self.output(summed.transpose(1, 2).flatten(2))
        return attended

    def _sparse_weights(
        self, queries: Tensor, keys: Tensor, valid_queries: Tensor, valid_keys: Tensor
    ) -> Tensor:
        """Return the weights of the kept keys, (B, heads, T, S)."""
        scores = queries @ keys.transpose(2, 3) / queries.shape[-1] ** 0.5
        weights = masked_softmax(scores, valid_keys[:, None, None])
        dropped = ~self._kept(weights.detach(), valid_queries, valid_keys)
        return F.dropout(
            weights.masked_fill(dropped.unsqueeze(2), 0.0), self.dropout, self.training
        )

    def _kept(self, weights: Tensor, valid_queries: Tensor, valid_keys: Tensor) -> Tensor:
        """Return true for the keys with the largest sums of weights, (B, heads, S)."""
        sums = weights.masked_fill(~valid_queries[:, None, :, None], 0.0).sum(dim=2)
        sums = sums.masked_fill(~valid_keys.unsqueeze(1), -torch.inf)
        number = (self.keep * valid_keys.sum(dim=1)).long().clamp(min=1)
        last = (number - 1).view(-1, 1, 1).expand(-1, self.heads, 1)
        return sums >= sums.sort(dim=-1, descending=True).values.gather(-1, last)
