"""Layers that torch has as well: the same values, gradients, forms of input and state dicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from helpers.layers import flat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from sercli.nn import GRU, LSTM, RNN
from sercli.nn.layer import RecurrentLayer

pytestmark = pytest.mark.usefixtures("backend")

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
LAYERS: dict[str, tuple[Callable[..., RecurrentLayer], Callable[..., nn.RNNBase]]] = {
    "gru": (GRU, nn.GRU),
    "lstm": (LSTM, nn.LSTM),
    "rnn": (RNN, nn.RNN),
}
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)
STACK: dict[str, Any] = {"num_layers": 2, "bidirectional": True}


@dataclass(frozen=True)
class Case:
    """A padded batch and the stack that reads it."""

    lengths: list[int]
    padding: int
    sizes: tuple[int, int, int]
    bias: bool
    bidirectional: bool
    with_state: bool
    seed: int


cases = st.builds(
    Case,
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    padding=st.integers(0, 3),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3)),
    bias=st.booleans(),
    bidirectional=st.booleans(),
    with_state=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)


def pair(name: str, *sizes: int, **settings: Any) -> tuple[RecurrentLayer, nn.RNNBase]:
    """Our layer and that of torch, with the same weights."""
    our_class, their_class = LAYERS[name]
    ours, theirs = our_class(*sizes, **settings), their_class(*sizes, **settings)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def initial(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Any:
    h, c = torch.randn(2, *shape, dtype=dtype)
    return (h, c) if name == "lstm" else h


def gradients(result: list[Tensor], weights: list[Tensor], wanted: list[Tensor]) -> Any:
    loss = torch.stack([(w * part).sum() for w, part in zip(weights, result, strict=True)]).sum()
    return torch.autograd.grad(loss, wanted)


@EVERY_LAYER
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@given(case=cases)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_values_and_gradients_with_tanh_equal_torch(
    name: str, dtype: torch.dtype, case: Case
) -> None:
    torch.manual_seed(case.seed)
    ours, theirs = pair(
        name, *case.sizes, bias=case.bias, bidirectional=case.bidirectional, dtype=dtype
    )
    lengths = torch.tensor(case.lengths)
    steps = max(case.lengths) + case.padding
    inputs = torch.randn(steps, len(lengths), case.sizes[0], dtype=dtype, requires_grad=True)
    levels = case.sizes[2] * (2 if case.bidirectional else 1)
    hx = initial(name, levels, len(lengths), case.sizes[1], dtype=dtype)
    hx = hx if case.with_state else None

    found = flat(ours(inputs, hx, lengths=lengths))
    packed = pack_padded_sequence(inputs, lengths, enforce_sorted=False)
    output, final = theirs(packed, hx)
    output, _ = pad_packed_sequence(output, total_length=steps)
    expected = flat((output, final))

    weights = [torch.randn_like(part) for part in found]
    our_gradients = gradients(found, weights, [inputs, *ours.parameters()])
    their_gradients = gradients(expected, weights, [inputs, *theirs.parameters()])
    allowed = TOLERANCE[dtype]
    torch.testing.assert_close(found, expected, atol=allowed, rtol=allowed)
    torch.testing.assert_close(our_gradients, their_gradients, atol=allowed, rtol=allowed)


@EVERY_LAYER
@pytest.mark.parametrize("batch_first", [False, True])
def test_every_form_of_input_gives_the_result_of_torch(name: str, batch_first: bool) -> None:
    ours, theirs = pair(name, 3, 4, batch_first=batch_first, **STACK)
    batch = torch.randn(5, 6, 3)
    one = torch.randn(5, 3)
    lengths = [2, 6, 1, 4, 3] if batch_first else [2, 5, 1, 4, 3, 5]
    unsorted = pack_padded_sequence(batch, lengths, batch_first=batch_first, enforce_sorted=False)
    in_order = pack_padded_sequence(batch, sorted(lengths)[::-1], batch_first=batch_first)
    batched = 5 if batch_first else 6
    with_batch = initial(name, 4, batched, 4)
    for form, hx in [
        (batch, None),
        (batch, with_batch),
        (batch.transpose(0, 2).contiguous().transpose(0, 2), with_batch),
        (batch[::2, 1:], None),
        (one, None),
        (one, initial(name, 4, 4)),
        (unsorted, None),
        (unsorted, with_batch),
        (in_order, with_batch),
    ]:
        found, expected = ours(form, hx), theirs(form, hx)
        torch.testing.assert_close(flat(found), flat(expected), atol=1e-5, rtol=1e-5)
        if isinstance(form, PackedSequence):
            for ours_has, theirs_has in zip(found[0][1:], expected[0][1:], strict=True):
                assert (ours_has is theirs_has is None) or torch.equal(ours_has, theirs_has)


@EVERY_LAYER
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_state_dicts_equal_those_of_torch(name: str, bidirectional: bool, bias: bool) -> None:
    ours, theirs = pair(name, 3, 4, 2, bias=bias, bidirectional=bidirectional)
    again = LAYERS[name][1](3, 4, 2, bias=bias, bidirectional=bidirectional)
    again.load_state_dict(ours.state_dict())
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(flat(again(x)), flat(theirs(x)), atol=0, rtol=0)


def test_state_dict_adds_only_the_parameters_of_the_activation() -> None:
    ours, theirs = GRU(3, 4, activation="arelu"), nn.GRU(3, 4)
    extra = ours.state_dict().keys() - theirs.state_dict().keys()
    assert extra == {"activations.l0.alpha", "activations.l0.beta"}


@EVERY_LAYER
def test_initial_weights_from_a_seed_equal_torch(name: str) -> None:
    our_class, their_class = LAYERS[name]
    torch.manual_seed(7)
    ours = our_class(3, 4, **STACK).state_dict()
    torch.manual_seed(7)
    theirs = their_class(3, 4, **STACK).state_dict()
    torch.testing.assert_close(ours, theirs, atol=0, rtol=0)


def test_positional_arguments_equal_torch() -> None:
    given = (3, 4, 2, False, True, 0.5, True)
    assert GRU(*given).extra_repr() == nn.GRU(*given).extra_repr()


def test_dropout_acts_between_the_levels_in_training_only() -> None:
    ours, theirs = pair("gru", 3, 4, num_layers=3, dropout=0.5)
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(flat(ours.eval()(x)), flat(theirs.eval()(x)))
    ours.train()
    torch.manual_seed(1)
    first = ours(x)[0]
    assert not torch.equal(first, ours(x)[0])
    assert (first != 0).all()
    torch.manual_seed(1)
    assert torch.equal(first, ours(x)[0])


def test_rnn_with_relu_equals_torch() -> None:
    theirs = nn.RNN(3, 4, nonlinearity="relu", bidirectional=True)
    ours = RNN(3, 4, bidirectional=True, activation="relu")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(flat(ours(x)), flat(theirs(x)))
