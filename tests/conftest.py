"""Fixtures of all tests: one thread, a toy corpus in memory, results made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable

import hypothesis
import pytest
from helpers.run_factory import make_result
from helpers.toy import RecordingProgress, toy_config, toy_data

from sercli.config.schema import Config
from sercli.results.fold_result import FoldResult
from sercli.training.data import Data

pytest_plugins = ["helpers.record_fixtures"]

# The machine may be busy, so there is no deadline.
hypothesis.settings.register_profile("daily", deadline=None, max_examples=15)
hypothesis.settings.register_profile("exhaustive", deadline=None, max_examples=100)


def pytest_configure(config: pytest.Config) -> None:
    everything = not config.getoption("markexpr")
    hypothesis.settings.load_profile("exhaustive" if everything else "daily")


@pytest.fixture(scope="session", autouse=True)
def _no_defaults_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests read no configuration of the person who runs them."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    os.environ.pop("SERCLI_CONFIG_DIR", None)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in a fold pool: more threads make small networks slower, and results less repeatable."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(name="toy", scope="session")
def _toy() -> Data:
    return toy_data()


@pytest.fixture(name="toy_config", scope="session")
def _toy_config() -> Callable[..., Config]:
    return toy_config


@pytest.fixture(name="make_result", scope="session")
def _make_result() -> Callable[..., FoldResult]:
    return make_result


@pytest.fixture(name="watching", scope="session")
def _watching() -> type[RecordingProgress]:
    return RecordingProgress
