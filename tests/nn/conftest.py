from __future__ import annotations

from collections.abc import Iterator

import pytest

from sercli.nn.recurrence.backend import chosen_backend, use_backend


@pytest.fixture(params=["eager", "auto"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test in every backend that must behave as it says."""
    before = chosen_backend()
    use_backend(request.param)
    yield request.param
    use_backend(before)
