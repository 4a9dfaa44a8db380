"""Recurrent layers: activations, initial weights, refusals, layers run in parallel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.layers import flat
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from sercli.errors import RequestError
from sercli.nn import GRU, LSTM, AReLU, last_state
from sercli.nn.activations import Activation
from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer

pytestmark = pytest.mark.usefixtures("backend")

EVERY_CELL = pytest.mark.parametrize("cell", CELLS.names())


def alphas(layer: nn.Module) -> list[str]:
    return [name for name, _ in layer.named_parameters() if name.endswith("alpha")]


def test_each_level_learns_its_own_activation() -> None:
    layer = GRU(3, 4, 2, bidirectional=True, activation="arelu")
    assert alphas(layer) == ["activations.l0.alpha", "activations.l1.alpha"]


def test_each_direction_learns_its_own_activation_on_request() -> None:
    layer = GRU(3, 4, 2, bidirectional=True, activation=lambda: AReLU(0.5), share="direction")
    assert sorted(alphas(layer)) == [
        f"activations.{name}.alpha" for name in ("l0", "l0_reverse", "l1", "l1_reverse")
    ]
    layer(torch.randn(4, 2, 3))[0].sum().backward()
    grads = [layer.get_parameter(name).grad for name in alphas(layer)]
    assert len({float(grad) for grad in grads if grad is not None}) == 4


def test_given_activation_module_is_used_everywhere_as_it_is() -> None:
    module = AReLU(0.5)
    first = GRU(3, 4, 2, bidirectional=True, activation=module)
    second = LSTM(3, 5, activation=module, dtype=torch.float64)
    assert {id(each) for each in first.activations.values()} == {id(module)}
    assert second.activations["l0"] is module
    assert module.alpha.dtype is torch.float32
    assert second(torch.randn(4, 2, 3, dtype=torch.float64))[0].dtype is torch.float64


class Noisy(Activation):
    """Scales by noise, and counts its draws."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        self.asked += 1
        return (torch.rand(shape, dtype=torch.float64),)

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return x * coefficients[0]


def test_noise_is_drawn_once_per_sequence_and_shared_by_the_directions() -> None:
    noisy = Noisy()
    layer = GRU(3, 4, bidirectional=True, activation=noisy, dtype=torch.float64)
    state = layer.state_dict()
    for name in state:
        if name.endswith("_reverse"):
            state[name].copy_(state[name.removesuffix("_reverse")])
    output, _ = layer(torch.ones(6, 2, 3, dtype=torch.float64))
    assert noisy.asked == 1
    ahead, back = output.chunk(2, dim=-1)
    torch.testing.assert_close(ahead, back.flip(0), atol=1e-12, rtol=0)
    assert not torch.equal(ahead[:, 0], ahead[:, 1])


class Scaled(Activation):
    """Scales by numbers of its own and by a setting that its formula reads."""

    def __init__(self, scale: Tensor, setting: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale)
        self.setting = setting

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        return (self.scale,)

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return torch.tanh(x) * coefficients[0] * self.setting


def test_directions_do_not_mix_their_activations() -> None:
    kinds: list[Callable[[], nn.Module]] = [
        lambda: Scaled(torch.tensor(0.5), 1.0),
        lambda: Scaled(torch.tensor(0.5), 3.0),
        lambda: Scaled(torch.rand(4), 1.0),
        lambda: Scaled(torch.tensor(0.7), 1.0),
        nn.Softsign,
        lambda: AReLU(0.3),
    ]
    x = torch.randn(5, 3, 2)
    lengths = torch.tensor([5, 2, 4])
    for first in kinds:
        for second in kinds:
            made = iter([first(), second()])
            both = GRU(2, 4, bidirectional=True, activation=lambda: next(made), share="direction")  # noqa: B023
            output, _ = both(x, lengths=lengths)
            for direction in ("", "_reverse"):
                one = GRU(2, 4, bidirectional=True, activation=both.activations[f"l0{direction}"])
                state = {k: v for k, v in both.state_dict().items() if "activ" not in k}
                one.load_state_dict(state, strict=False)
                half = slice(4, 8) if direction else slice(0, 4)
                alone, _ = one(x, lengths=lengths)
                torch.testing.assert_close(output[..., half], alone[..., half])


@pytest.mark.parametrize("scale", [torch.ones(3), torch.ones(5, 4), torch.ones(2, 2, 4)])
def test_activation_whose_parameters_do_not_fit_the_cell_is_refused(scale: Tensor) -> None:
    layer = GRU(2, 4, activation=Scaled(scale))
    with pytest.raises(RequestError, match=r"Scaled: .*\(.*\) do not fit the 4 units"):
        layer(torch.randn(3, 2, 2))


def test_activation_that_does_not_work_element_by_element_is_refused() -> None:
    layer = GRU(2, 4, activation=nn.GLU())
    with pytest.raises(RequestError, match="GLU"):
        layer(torch.randn(3, 2, 2))


def test_activation_module_of_torch_receives_batch_and_units_only() -> None:
    prelu = nn.PReLU(4)
    with torch.no_grad():
        prelu.weight.copy_(torch.rand(4))
    ours = GRU(2, 4, bidirectional=True, activation=prelu)
    same = GRU(2, 4, bidirectional=True, activation=Prelu(prelu.weight.detach()))
    same.load_state_dict(ours.state_dict(), strict=False)
    x = torch.randn(3, 4, 2)
    torch.testing.assert_close(flat(ours(x)), flat(same(x)))


class Prelu(Activation):
    def __init__(self, slopes: Tensor) -> None:
        super().__init__()
        self.slopes = nn.Parameter(slopes)

    def coefficients(self, shape: torch.Size) -> tuple[Tensor, ...]:
        return (self.slopes,)

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return torch.where(x > 0, x, x * coefficients[0])


def test_last_state_of_a_single_sequence_is_one_vector() -> None:
    layer = LSTM(3, 4, 2, bidirectional=True)
    output, final = layer(torch.randn(5, 3))
    assert torch.equal(last_state(layer, final), torch.cat([output[-1, :4], output[0, 4:]]))


@pytest.mark.parametrize("init", ["torch", "glorot", "orthogonal"])
def test_init_draws_the_requested_weights(init: str) -> None:
    torch.manual_seed(0)
    layer = GRU(20, 40, bidirectional=True, init=init)
    for suffix in ("l0", "l0_reverse"):
        own = {name: value.detach() for name, value in layer.weights(suffix).items()}
        for name in ("weight_ih", "weight_hh"):
            for gate, block in enumerate(own[name].chunk(3)):
                if init == "orthogonal" and name == "weight_hh":
                    torch.testing.assert_close(block @ block.t(), torch.eye(40))
                    continue
                fans = {
                    "torch": 6 * 40,  # √(6/240) = 1/√40
                    "glorot": 20 + 40 + (80 if gate < 2 else 40),
                    "orthogonal": 20 + 40,
                }
                bound = (6 / fans[init]) ** 0.5
                assert block.abs().max() <= bound
                assert block.abs().mean().item() == pytest.approx(bound / 2, rel=0.1)
        if init != "torch":
            assert not own["bias_ih"].any()
            assert not own["bias_hh"].any()


@pytest.mark.parametrize(("kind", "raised"), [(GRU, [0, 1]), (LSTM, [1])])
@pytest.mark.parametrize("init", ["torch", "glorot"])
def test_gate_bias_is_added_to_the_gates(
    kind: Callable[..., RecurrentLayer], raised: list[int], init: str
) -> None:
    found = []
    for gate_bias in (0.0, 1.0):
        torch.manual_seed(0)
        found.append(kind(3, 4, init=init, gate_bias=gate_bias).get_parameter("bias_ih_l0"))
    for gate, block in enumerate((found[1] - found[0]).detach().chunk(3 if kind is GRU else 4)):
        torch.testing.assert_close(block, torch.full((4,), float(gate in raised)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 0}, "hidden_size=0: must be 1 or more"),
        ({"input_size": -1}, "input_size=-1: must be 1 or more"),
        ({"num_layers": 0}, "num_layers=0: must be 1 or more"),
        ({"dropout": 1.5}, "dropout=1.5: must be in"),
        ({"activation": "than"}, "unknown activation 'than'. Did you mean 'tanh'?"),
        ({"activation": int}, "returned 0, not a module"),
        ({"share": "model"}, "share=model: must be one of layer, direction"),
        ({"init": "xavier"}, "init=xavier: must be one of torch, glorot, orthogonal"),
        ({"reset": "never"}, "reset=never: must be one of after, before"),
        ({"gate_bias": 1.0, "bias": False}, "gate_bias=1: the layer has no bias"),
    ],
)
def test_invalid_settings_of_a_layer_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        GRU(**{"input_size": 3, "hidden_size": 4} | settings)


def test_dropout_with_one_level_warns() -> None:
    with pytest.warns(UserWarning, match="dropout=0.5"):
        GRU(3, 4, dropout=0.5)


X = torch.zeros(4, 2, 3)
PACKED = pack_padded_sequence(X, [4, 2])


@pytest.mark.parametrize("cell", ["gru", "li_gru"])
@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (X, {"lengths": [2, 0]}, "lengths from 0 to 2 do not fit a batch of 4 steps"),
        (X, {"lengths": torch.tensor([5, 1])}, "lengths from 1 to 5 do not fit a batch of 4 steps"),
        (X, {"lengths": [1, 2, 3]}, "2 sequences but lengths of shape"),
        (X, {"lengths": torch.ones(2, 1, dtype=torch.long)}, "2 sequences but lengths of shape"),
        (X, {"lengths": [1.5, 2.0]}, "expected whole numbers"),
        (PACKED, {"lengths": [4, 2]}, "a packed sequence, which has its own"),
        (X[:, 0], {"lengths": [4]}, "a single sequence, which has its own"),
        (X[:0], {}, "no steps"),
        (X[:0, 0], {}, "no steps"),
        (X[..., :2], {}, "input has 2 features: the layer reads 3"),
        (X[0, 0], {}, r"input of shape \(3,\)"),
        (X[None], {}, r"input of shape \(1, 4, 2, 3\)"),
        (X.double(), {}, "input is torch.float64 but the layer torch.float32"),
        (X.half(), {}, "input is torch.float16 but the layer torch.float32"),
        (X.long(), {}, "input is torch.int64"),
    ],
)
def test_invalid_input_is_refused(
    cell: str, given: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        CELLS[cell](3, 4)(given, **settings)


@pytest.mark.parametrize(
    ("given", "hx", "message"),
    [
        (X, torch.zeros(1, 3, 4), r"hx of shape \(1, 3, 4\): expected \(1, 2, 4\)"),
        (X, torch.zeros(2, 4), r"hx of shape \(2, 4\): expected \(1, 2, 4\)"),
        (X[:, 0], torch.zeros(1, 1, 4), r"hx of shape \(1, 1, 4\): expected \(1, 4\)"),
        (X, torch.zeros(1, 2, 4).double(), "hx is torch.float64"),
        (X, (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)), "hx has 2 parts: expected 1"),
    ],
)
def test_invalid_initial_state_is_refused(given: Tensor, hx: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        GRU(3, 4)(given, hx)


@EVERY_CELL
def test_empty_batch_gives_an_empty_result(cell: str) -> None:
    layer = CELLS[cell](3, 4, 2, bidirectional=True).eval()
    x = torch.zeros(5, 0, 3, requires_grad=True)
    for settings in ({}, {"lengths": torch.zeros(0, dtype=torch.long)}):
        output, final = layer(x, **settings)
        assert output.shape == (5, 0, 8)
        assert last_state(layer, final).shape == (0, 8)
        output.sum().backward()
        assert all(not p.grad.any() for p in layer.parameters() if p.grad is not None)


@EVERY_CELL
def test_memory_order_of_the_input_does_not_matter(cell: str) -> None:
    layer = CELLS[cell](3, 4, bidirectional=True).eval()
    x = torch.randn(5, 2, 3)
    strided = torch.randn(3, 10, 2).permute(1, 2, 0)[::2]
    strided = strided.copy_(x)
    torch.testing.assert_close(flat(layer(strided)), flat(layer(x)))
    first = CELLS[cell](3, 4, bidirectional=True, batch_first=True).eval()
    first.load_state_dict(layer.state_dict())
    torch.testing.assert_close(first(x.transpose(0, 1))[0].transpose(0, 1), layer(x)[0])
