"""The benchmark of the recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.shell import InProcessShell

from sercli.bench.recurrent import SHAPES, bench_recurrent, interleaved, read_shapes
from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS
from sercli.nn.recurrence.backend import chosen_backend


@pytest.mark.parametrize(
    "activations",
    [("tanh", "arelu"), pytest.param(ACTIVATIONS.names(), marks=pytest.mark.exhaustive)],
)
def test_every_cell_and_activation_is_compared_with_its_namesake(
    activations: Sequence[str],
) -> None:
    before = chosen_backend()
    rows = bench_recurrent([(3, 2, 4)], activations, repeats=1).rows
    assert chosen_backend() == before
    assert {row.activation for row in rows if row.cell == "gru"} == set(activations)
    assert {row.cell for row in rows} == set(CELLS.names())
    assert {row.what for row in rows} == {"layer", "together", "iaan"}
    assert {row.reference for row in rows if row.cell == "lstm"} == {"torch.nn.LSTM"}
    assert all(row.ratio == pytest.approx(row.ms / row.reference_ms) for row in rows)
    assert all(row.ms > 0 and row.gflops > 0 for row in rows)
    (one,) = (
        row
        for row in rows
        if row.what == "layer"
        and row.backend == "eager"
        and row.activation == "tanh"
        and row.cell == "gru"
    )
    four = next(
        row for row in rows if row.what == "together"
    )  # four layers have four times the work
    assert four.gflops * four.ms == pytest.approx(4 * one.gflops * one.ms)


def test_what_is_compared_runs_in_turns() -> None:
    seen: list[str] = []
    medians = interleaved([lambda: seen.append("a"), lambda: seen.append("b")], repeats=2)
    assert seen == ["a", "b"] * 3
    assert len(medians) == 2


def test_a_shape_is_three_numbers() -> None:
    assert read_shapes([]) == list(SHAPES)
    assert read_shapes(["3,2,4", "10, 1, 16"]) == [(3, 2, 4), (10, 1, 16)]
    for wrong in ("3,2", "3,2,x", "3,2,-1", ""):
        with pytest.raises(RequestError, match="expected T,B,H"):
            read_shapes([wrong])


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(RequestError, match="device=cuda:99 is not available here"):
        bench_recurrent([(3, 2, 4)], ["tanh"], repeats=1, device="cuda:99")


def test_the_command_prints_one_json_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.bench.recurrent.matmul_gflops", lambda: 80.0)  # takes a second
    options = "--shape 3,2,4 --activation arelu --repeats 1 --quiet"
    document = InProcessShell(tmp_path).json("bench", "recurrent", *options.split())
    assert document["rows"][0]["activation"] == "arelu"
    assert document["machine"]["threads"] >= 1


@pytest.mark.parametrize(
    ("options", "message"), [("--shape 0,2,4", "from 1 up"), ("--activation rleu", "'relu'")]
)
def test_a_wrong_request_is_refused_in_one_line(tmp_path: Path, options: str, message: str) -> None:
    assert message in InProcessShell(tmp_path).refused(
        "bench", "recurrent", *options.split(), "--quiet"
    )
