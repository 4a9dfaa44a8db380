"""The choice of a backend, and the fallback to eager."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.layers import needs_compiler
from helpers.shell import Command
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.nn import GRU, use_backend
from sercli.nn.activations import Activation
from sercli.nn.recurrence import backend


@pytest.fixture(autouse=True)
def _automatic() -> Iterator[None]:
    yield
    use_backend("auto")


class Branching(Activation):
    """It asks for the value of a tensor."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return x if bool((x > 0).all()) else -x


class Unknown(Activation):
    """It uses a function without a rule."""

    def formula(self, x: Tensor, *coefficients: Tensor) -> Tensor:
        return torch.digamma(x)


@needs_compiler
@pytest.mark.parametrize(
    ("activation", "reason"),
    [
        (Branching(), "Branching cannot be traced"),
        (Unknown(), "'digamma', which an activation uses, has no rule"),
    ],
)
def test_formula_that_cannot_be_compiled_runs_in_eager_with_one_warning(
    activation: nn.Module, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    layer, x = GRU(3, 5, activation=activation), torch.rand(4, 2, 3)
    backend._reported.clear()
    with caplog.at_level(logging.WARNING, "sercli"):
        found, _ = layer(x)
        layer(x)
    assert [reason in record.message for record in caplog.records] == [True]
    use_backend("eager")
    torch.testing.assert_close(found, layer(x)[0])
    use_backend("cpp")
    with pytest.raises(RequestError, match=r"recurrence\.backend=cpp"):
        layer(x)


def test_unknown_backend_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RequestError, match="Did you mean 'eager'"):
        use_backend("eagre")


SCRIPT = """
import torch
from sercli.nn import GRU, use_backend
torch.manual_seed(0)
layer, x = GRU(3, 5), torch.randn(4, 2, 3)
found = layer(x)[0]
use_backend("eager")
assert torch.equal(found, layer(x)[0])
use_backend("cpp")
layer(x)
"""


def test_missing_compiler_means_eager_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    process = Command(tmp_path, run=partial(exec, SCRIPT, {}))  # has loaded no kernel yet
    _, said = process.communicate(timeout=120)
    notice, *traceback = said.splitlines()
    reason = "no C++ compiler 'no-such-compiler': install one, or set CXX"
    assert notice == f"recurrence runs in eager: {reason}"
    assert f"recurrence.backend=cpp: {reason}" in traceback[-1]
    assert not list(tmp_path.rglob("*.so"))
