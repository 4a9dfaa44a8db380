"""Multi-head attention and the Transformer layer, beside those of torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.nn.multi_head import MultiHeadAttention
from sercli.nn.pooling import valid_steps
from sercli.nn.transformer import TransformerLayer

LENGTHS = torch.tensor([4, 1, 6])
VALID = valid_steps(LENGTHS, 6)


def steps(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_layer_is_that_of_torch_with_the_same_weights() -> None:
    ours = TransformerLayer(8, heads=2, feedforward=5).double().eval()
    theirs = nn.TransformerEncoderLayer(8, 2, 5, dropout=0, batch_first=True).double()
    attend = ours.attend
    parts = (attend.query, attend.key, attend.value)
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.self_attn.in_proj_bias.copy_(steps(24))
        for part, bias in zip(parts, steps(24).chunk(3), strict=True):
            part.bias.copy_(bias)
    for mine, other in (
        (attend.output, theirs.self_attn.out_proj),
        (ours.feed[0], theirs.linear1),
        (ours.feed[3], theirs.linear2),
        (ours.attended, theirs.norm1),
        (ours.fed, theirs.norm2),
    ):
        other.load_state_dict(mine.state_dict())
    x = steps(3, 6, 8)
    found, expected = ours(x, VALID), theirs(x, src_key_padding_mask=~VALID)
    torch.testing.assert_close(found[VALID], expected[VALID])


def test_a_head_keeps_half_of_the_real_keys_and_at_least_one() -> None:
    attend = MultiHeadAttention(8, heads=2, keep=0.5).double()
    queries, keys = steps(2, 3, 2, 6, 4)
    weights = attend._sparse_weights(queries, keys, VALID, VALID)
    kept = (weights > 0).any(dim=2).sum(dim=2)
    assert kept.tolist() == [[2, 2], [1, 1], [3, 3]]
