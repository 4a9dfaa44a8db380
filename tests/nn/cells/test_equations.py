"""Each cell against its equations, computed one sequence, one step and one vector at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn import GRU, LSTM
from sercli.nn.cells import CELLS
from sercli.nn.layer import RecurrentLayer

pytestmark = pytest.mark.usefixtures("backend")

I, H, T, B = 3, 4, 7, 2  # noqa: E741 - the letters of the papers
SIGMOID = torch.sigmoid


def arelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x * (1 + SIGMOID(torch.tensor(2.0))), 0.9 * x)


def prepared(cell: str, **settings: Any) -> tuple[RecurrentLayer, dict[str, Tensor], Tensor]:
    """A layer with AReLU, its weights without suffix, and a batch."""
    torch.manual_seed(0)
    layer = CELLS[cell](I, H, activation="arelu", dtype=torch.float64, **settings)
    with torch.no_grad():  # far from zero, so that no term can hide
        for value in layer.parameters(recurse=False):
            value.mul_(2)
    weights = {
        name.removesuffix("_l0"): value.detach()
        for name, value in layer.named_parameters(recurse=False)
    }
    return layer, weights, torch.randn(T, B, I, dtype=torch.float64)


def zeros(count: int) -> list[Tensor]:
    return [torch.zeros(H, dtype=torch.float64) for _ in range(count)]


def check(layer: RecurrentLayer, inputs: Tensor, sequences: list[list[Tensor]]) -> None:
    """Compare the output with that of each sequence computed by hand."""
    expected = torch.stack([torch.stack(states) for states in sequences], dim=1)
    torch.testing.assert_close(layer(inputs)[0], expected, atol=1e-6, rtol=1e-6)


def test_gru_resets_after_the_product() -> None:
    layer, w, inputs = prepared("gru")

    def run(xs: Tensor) -> list[Tensor]:
        (h,), states = zeros(1), []
        for x in xs:
            x_r, x_z, x_c = (w["weight_ih"] @ x + w["bias_ih"]).chunk(3)
            h_r, h_z, h_c = (w["weight_hh"] @ h + w["bias_hh"]).chunk(3)
            r, z = SIGMOID(x_r + h_r), SIGMOID(x_z + h_z)
            h = z * h + (1 - z) * arelu(x_c + r * h_c)
            states.append(h)
        return states

    check(layer, inputs, [run(xs) for xs in inputs.unbind(1)])


def test_gru_that_resets_before_the_product_is_the_cell_of_tensorflow() -> None:
    layer, w, inputs = prepared("gru", reset="before", gate_bias=1.0, init="glorot")
    assert w["bias_ih"].tolist() == [2.0] * 2 * H + [0.0] * H  # 1, doubled by `prepared`
    assert "bias_hh" not in w
    kernel = torch.cat([w["weight_ih"], w["weight_hh"]], dim=1).t()  # of [x, h]
    gates, candidate = kernel.split_with_sizes([2 * H, H], 1)

    def run(xs: Tensor) -> list[Tensor]:
        (h,), states = zeros(1), []
        for x in xs:
            r, u = SIGMOID(torch.cat([x, h]) @ gates + 2.0).chunk(2)
            c = arelu(torch.cat([x, r * h]) @ candidate)
            h = u * h + (1 - u) * c
            states.append(h)
        return states

    check(layer, inputs, [run(xs) for xs in inputs.unbind(1)])


def test_gru_that_resets_before_the_product_moves_its_bias_by_one_step_of_adam() -> None:
    layer, _, inputs = prepared("gru", reset="before")
    bias = layer.get_parameter("bias_ih_l0")
    before = bias.detach().clone()
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)

    layer(inputs)[0].sum().backward()
    optimiser.step()

    assert {name for name, _ in layer.named_parameters() if "bias" in name} == {"bias_ih_l0"}
    torch.testing.assert_close(
        (bias - before).abs(), torch.full_like(bias, 0.01), rtol=1e-4, atol=0
    )


def lstm_states(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = gates.chunk(4)
    c = SIGMOID(f) * c + SIGMOID(i) * arelu(g)
    return SIGMOID(o) * torch.tanh(c), c


def test_lstm_keeps_the_tanh_of_its_output() -> None:
    layer, w, inputs = prepared("lstm")

    def run(xs: Tensor) -> list[Tensor]:
        (h, c), states = zeros(2), []
        for x in xs:
            gates = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]
            h, c = lstm_states(gates, c)
            states.append(h)
        return states

    check(layer, inputs, [run(xs) for xs in inputs.unbind(1)])


@pytest.mark.parametrize("cell", ["a_lstm", "mean_lstm"])
@pytest.mark.parametrize(
    ("lags", "start"),
    [
        *(([1, 3, 5], "zeros"), ([2], "zeros"), ([1], "zeros"), ([4, 1], "zeros")),
        *(([1, 3, 5], "exclude"), ([3, 2], "exclude")),
    ],
)
def test_lagged_lstm_combines_the_states_at_its_lags(
    cell: str, lags: list[int], start: str
) -> None:
    layer, w, inputs = prepared(cell, lags=lags, start=start)

    def combined(states: list[Tensor]) -> Tensor:
        """Σ_T w_T s(t−T), where states before the first are zero or left out."""
        real = [states[-lag] for lag in lags if lag <= len(states)]
        missing = [] if start == "exclude" and real else [zeros(1)[0]] * (len(lags) - len(real))
        earlier = real + missing
        if cell == "mean_lstm":
            return torch.stack(earlier).mean(0)
        scores = torch.stack([torch.dot(s, w["weight_score"][:, 0]) for s in earlier]).exp()
        return torch.stack(
            [p * s for p, s in zip(scores / scores.sum(), earlier, strict=True)]
        ).sum(0)

    def run(xs: Tensor) -> list[Tensor]:
        hs: list[Tensor] = []
        cs: list[Tensor] = []
        for x in xs:
            gates = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ combined(hs) + w["bias_hh"]
            h, c = lstm_states(gates, combined(cs))
            hs.append(h)
            cs.append(c)
        return hs

    check(layer, inputs, [run(xs) for xs in inputs.unbind(1)])


def test_mean_lstm_with_lag_one_is_an_lstm() -> None:
    layer, _, inputs = prepared("mean_lstm", lags=[1])
    plain = LSTM(I, H, activation="arelu", dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(inputs), plain(inputs))


def test_a_lstm_learns_one_vector_per_direction() -> None:
    plain, ours = LSTM(I, 128, bidirectional=True), CELLS["a_lstm"](I, 128, bidirectional=True)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in (ours, plain)]
    assert counts[0] - counts[1] == 256


@pytest.mark.parametrize("lags", [[], [0], [1, -1], [3, 3], [1.5]])
def test_lagged_lstm_refuses_invalid_lags(lags: list[int]) -> None:
    with pytest.raises(RequestError, match="lags="):
        CELLS["a_lstm"](I, H, lags=lags)


def test_lstm_at_keeps_and_renews_by_its_cell_state() -> None:
    layer, w, inputs = prepared("lstm_at")

    def run(xs: Tensor) -> list[Tensor]:
        (h, c), states = zeros(2), []
        for x in xs:
            f = SIGMOID(torch.tanh(c @ w["weight_W"]) @ w["weight_V"])
            g, o = (w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]).chunk(2)
            c = f * c + (1 - f) * arelu(g)
            h = SIGMOID(o) * torch.tanh(c)
            states.append(h)
        return states

    check(layer, inputs, [run(xs) for xs in inputs.unbind(1)])


def test_lstm_at_is_a_mean_of_candidates() -> None:
    layer = CELLS["lstm_at"](I, H, dtype=torch.float64)
    inputs = 50 * torch.randn(T, B, I, dtype=torch.float64)
    sizes = {name: value.shape for name, value in layer.named_parameters()}
    assert sum(value.numel() for value in layer.parameters()) == 2 * H * (I + H) + 2 * H * H + 4 * H
    assert sizes["weight_ih_l0"] == (2 * H, I)

    _, (_, c) = layer(inputs)
    assert c.abs().max() <= 1
    with torch.no_grad():
        layer.get_parameter("weight_V_l0").zero_()  # f = 1/2
        _, (_, half) = layer(inputs[:1])
        w_g = layer.get_parameter("weight_ih_l0")[:H]
        bias = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
        torch.testing.assert_close(half[0], torch.tanh(inputs[0] @ w_g.t() + bias[:H]) / 2)


def li_gru_states(projected: Tensor, recurrent: Tensor) -> list[Tensor]:
    (h,), states = zeros(1), []
    for x in projected:
        x_z, x_c = x.chunk(2)
        h_z, h_c = (recurrent @ h).chunk(2)
        z = SIGMOID(x_z + h_z)
        h = z * h + (1 - z) * arelu(x_c + h_c)
        states.append(h)
    return states


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("training", [True, False])
def test_li_gru_normalises_over_real_frames_only(norm: str, training: bool) -> None:
    layer, w, inputs = prepared("li_gru", norm=norm)
    lengths = torch.tensor([T, 3])
    norms = {"batch": nn.BatchNorm1d(2 * H), "layer": nn.LayerNorm(2 * H), "none": nn.Identity()}
    alone = norms[norm].double().train(training)
    layer.train(training)
    for _ in range(2):  # running statistics move between two steps
        frames = torch.cat([inputs[:length, i] for i, length in enumerate(lengths.tolist())])
        normal = alone(frames @ w["weight_ih"].t() + w.get("bias_ih", 0.0)).detach()
        garbage = inputs.clone()
        garbage[3:, 1] = 1e9
        output, _ = layer(garbage, lengths=lengths)
        for i, projected in enumerate(normal.split(lengths.tolist())):
            expected = torch.stack(li_gru_states(projected, w["weight_hh"]))
            torch.testing.assert_close(output[: len(projected), i], expected, atol=1e-6, rtol=1e-6)
    if norm == "batch":
        ours = layer.get_submodule("norms.l0")
        torch.testing.assert_close(ours.state_dict(), alone.state_dict())


def test_li_gru_has_a_bias_only_without_normalisation() -> None:
    names = [
        {name for name, _ in CELLS["li_gru"](I, H, norm=norm).named_parameters() if "bias" in name}
        for norm in ("batch", "none")
    ]
    assert names == [{"norms.l0.bias"}, {"bias_ih_l0"}]


def test_li_gru_refuses_batch_statistics_of_one_frame() -> None:
    layer = CELLS["li_gru"](I, H)
    with pytest.raises(RequestError, match="1 real frame"):
        layer(torch.zeros(3, 1, I), lengths=[1])
    layer.eval()(torch.zeros(3, 1, I), lengths=[1])


def test_activation_replaces_the_tanh_of_the_candidate_and_no_gate() -> None:
    layer = GRU(I, H, activation=nn.Identity())
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.get_parameter("bias_ih_l0").copy_(torch.tensor([0.0, 0.0, 5.0]).repeat_interleave(H))
    output, _ = layer(torch.zeros(2, 1, I))
    assert output[:, 0, 0].tolist() == [2.5, 3.75]
