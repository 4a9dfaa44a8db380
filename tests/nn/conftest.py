from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("TRITON_INTERPRET", "1")  # read where kernels are defined

from sercli.nn.recurrence.backend import chosen_backend, use_backend


@pytest.fixture(params=["eager", "auto"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test in every backend that must behave as it says."""
    before = chosen_backend()
    use_backend(request.param)
    yield request.param
    use_backend(before)
