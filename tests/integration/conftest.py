"""Corpora for the real command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from helpers.corpus_factory import made_once
from helpers.shell import Shell

from sercli.__main__ import main

NEMO = Path(
    os.environ.get("SERCLI_NEMO", Path(__file__).parents[3] / "shared" / "data" / "nemo")
).resolve()


@pytest.fixture
def sercli(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """As `Shell.refused`, but in this process: to start one takes longer than to refuse."""

    def refused(*arguments: str, status: int = 2) -> str:
        handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["sercli", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert end.value.code == status, line
        return str(line)

    return refused


@pytest.fixture(scope="session")
def nemo() -> str:
    if not (NEMO / "data.tsv").is_file():
        pytest.skip(f"real speech is not at {NEMO}; set SERCLI_NEMO to the folder of nEMO")
    return str(NEMO)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic corpus in IEMOCAP's layout: five sessions, 100 turns."""
    from sercli.corpora.synthetic import SyntheticSize, generate

    make = partial(generate, seed=1, size=SyntheticSize(2, 10), workers=1)
    return made_once(tmp_path_factory, "iemocap", make)


@pytest.fixture(scope="session")
def small(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments for a run of seconds: the small corpus, a shared store, a tiny model.

    One worker, because starting a second takes longer than the work.
    """
    return [
        "dataset=iemocap",
        f"dataset.root={tree}",
        f"paths.store={tmp_path_factory.mktemp('store')}",
        "model.hidden=4",
        "model.context_hidden=4",
        "trainer=smoke",
        "--workers",
        "1",
    ]
