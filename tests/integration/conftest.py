"""Corpora for the real command."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.corpus_factory import made_once
from helpers.shell import InProcessShell, Shell

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NEMO = Path(
    os.environ.get("SERCLI_NEMO", Path(__file__).parents[3] / "shared" / "data" / "nemo")
).resolve()


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, with a microphone that beeps."""
    drivers = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is on the PATH")
    # A sandbox needs rights that a container lacks; the pages are our own.
    switches = ["--no-sandbox", "--use-fake-ui-for-media-stream"]
    switches.append("--use-fake-device-for-media-stream")
    with drivers.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield found
        found.close()


@pytest.fixture
def sercli(tmp_path: Path) -> Shell:
    """The command; it starts a process only where it is stopped or killed."""
    return InProcessShell(tmp_path)


@pytest.fixture(scope="session")
def nemo() -> str:
    if not (NEMO / "data.tsv").is_file():
        pytest.skip(f"real speech is not at {NEMO}; set SERCLI_NEMO to the folder of nEMO")
    return str(NEMO)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic corpus in IEMOCAP's layout: five sessions, 60 turns."""
    from sercli.corpora.synthetic import SyntheticSize, generate

    make = partial(generate, seed=1, size=SyntheticSize(2, 6), workers=1)
    return made_once(tmp_path_factory, "iemocap", make)


@pytest.fixture(scope="session")
def store(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the frames of the small corpus."""

    def fill(root: Path) -> None:
        root.mkdir()
        InProcessShell(root).ok(
            *("extract", "dataset=iemocap", f"dataset.root={tree}"),
            *("paths.store=.", f"paths.data={tmp_path_factory.mktemp('data')}", "--workers", "1"),
        )

    return made_once(tmp_path_factory, "frames", fill)


@pytest.fixture(scope="session")
def small(tree: Path, store: Path) -> list[str]:
    """Arguments of a run of about 1 s: the small corpus, its frames, a tiny model, few steps.

    One worker, because starting a second takes longer than the work.
    """
    return [
        "dataset=iemocap",
        f"dataset.root={tree}",
        f"paths.store={store}",
        "model.hidden=4",
        "model.context_hidden=4",
        "trainer=smoke",
        "trainer.steps=6",
        "trainer.eval_every=3",
        "trainer.batch_size=8",
        "--workers",
        "1",
    ]
