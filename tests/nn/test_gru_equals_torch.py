from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sercli.nn import GRU

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


@dataclass(frozen=True)
class Case:
    """A padded batch and the size of the layer that reads it."""

    lengths: list[int]
    padding: int
    input_size: int
    hidden_size: int
    bidirectional: bool
    seed: int

    def inputs(self, dtype: torch.dtype) -> Tensor:
        shape = len(self.lengths), max(self.lengths) + self.padding, self.input_size
        return torch.randn(shape, dtype=dtype, requires_grad=True)


cases = st.builds(
    Case,
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    padding=st.integers(0, 3),
    input_size=st.integers(1, 5),
    hidden_size=st.integers(1, 6),
    bidirectional=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)


def torch_states(layer: nn.GRU, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """All states and the last ones of torch's own layer, in our shapes."""
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    states, last = layer(packed)
    padded, _ = pad_packed_sequence(states, batch_first=True, total_length=inputs.shape[1])
    return padded, torch.cat(last.unbind(0), dim=-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@given(case=cases)
@settings(max_examples=40, deadline=None)
def test_with_tanh_values_and_gradients_are_those_of_torch(dtype: torch.dtype, case: Case) -> None:
    torch.manual_seed(case.seed)
    sizes = case.input_size, case.hidden_size
    ours = GRU(*sizes, bidirectional=case.bidirectional).to(dtype)
    theirs = nn.GRU(*sizes, bidirectional=case.bidirectional, batch_first=True, dtype=dtype)
    ours.load_state_dict(theirs.state_dict())
    inputs = case.inputs(dtype)
    lengths = torch.tensor(case.lengths)
    results = [ours(inputs, lengths), torch_states(theirs, inputs, lengths)]
    weights = [torch.randn_like(part) for part in results[0]]
    gradients = []
    for result, layer in zip(results, (ours, theirs), strict=True):
        loss = torch.stack([(w * part).sum() for w, part in zip(weights, result, strict=True)])
        wanted = {"inputs": inputs, **dict(layer.named_parameters())}
        found = torch.autograd.grad(loss.sum(), list(wanted.values()))
        gradients.append(dict(zip(wanted, found, strict=True)))

    allowed = TOLERANCE[dtype]
    torch.testing.assert_close(results[0], results[1], atol=allowed, rtol=allowed)
    torch.testing.assert_close(gradients[0], gradients[1], atol=allowed, rtol=allowed)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_torch_takes_our_weights(bidirectional: bool) -> None:
    ours = GRU(3, 4, bidirectional=bidirectional)
    theirs = nn.GRU(3, 4, bidirectional=bidirectional, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    torch.testing.assert_close(
        ours(inputs, lengths), torch_states(theirs, inputs, lengths), atol=1e-5, rtol=1e-5
    )


def test_initial_weights_are_uniform_within_one_over_the_root_of_the_hidden_size() -> None:
    torch.manual_seed(0)
    for name, values in GRU(50, 64).named_parameters():
        share = values.detach().abs() * 8  # √64: uniform in [0, 1)
        assert share.max() <= 1, name
        assert share.mean() == pytest.approx(0.5, abs=0.06), name


def test_another_activation_replaces_the_tanh_of_the_candidate_and_no_gate() -> None:
    torch.manual_seed(0)
    layer = GRU(2, 3, activation=nn.Identity()).double()
    x = torch.randn(1, 2, dtype=torch.float64)
    w, u, b, d = (parameter.detach() for parameter in layer.parameters())
    h = torch.zeros(1, 3, dtype=torch.float64)
    for _ in range(2):
        (r, z, c), (r_h, z_h, c_h) = (x @ w.T + b).chunk(3, -1), (h @ u.T + d).chunk(3, -1)
        reset, update = torch.sigmoid(r + r_h), torch.sigmoid(z + z_h)
        h = update * h + (1 - update) * (c + reset * c_h)
    _, last = layer(x.repeat(2, 1).unsqueeze(0), torch.tensor([2]))
    torch.testing.assert_close(last, h, atol=1e-12, rtol=0)
