from __future__ import annotations

from collections.abc import Iterator

import pytest

from sercli.nn.recurrence.backend import chosen_backend, use_backend


@pytest.fixture(params=["eager", "auto"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test in the eager backend and in the default one."""
    before = chosen_backend()
    use_backend(request.param)
    yield request.param
    use_backend(before)
