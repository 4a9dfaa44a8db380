"""A dry run: the trials and the fold runs that are new, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.shell import InProcessShell
from helpers.study_factory import claim, complete, grid_study, states

from sercli.config.compose import compose
from sercli.corpora.manifest import Manifest
from sercli.results.run_record import find_records
from sercli.training.data import Data
from sercli.training.run import train_configuration


def test_a_dry_run_lists_trials_and_writes_nothing(
    tmp_path: Path, toy: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def manifest(dataset: object) -> Manifest:
        return toy.manifest

    monkeypatch.setattr("sercli.search.preview.read_corpus", manifest)
    monkeypatch.setattr("sercli.training.run.read_data", lambda *given, **options: toy)
    monkeypatch.chdir(tmp_path)
    tiny = [f"model.{name}=4" for name in ("hidden", "context_hidden", "attention", "head")]
    fixed = [*tiny, "trainer.steps=2", "trainer.eval_every=2"]
    train_configuration(compose([*fixed, "activation=tanh"]), workers=1)
    before = sorted(tmp_path.rglob("*"))
    sercli = InProcessShell(tmp_path)
    asked = ["sweep", "--dry-run", *fixed, "activation=tanh,relu"]

    found = sercli.json(*asked, "seeds=[0],[0,1]")

    assert [(x["settings"], x["fold_runs"]) for x in found["listed"]] == [
        ("activation=tanh seeds=[0]", 4),
        ("activation=tanh seeds=[0,1]", 8),
        ("activation=relu seeds=[0]", 4),
        ("activation=relu seeds=[0,1]", 8),
    ]
    (key,) = find_records(tmp_path / "runs" / "default")
    assert found["listed"][0]["record"] == f"default/{key.name}"
    assert (found["trials"], found["new_trials"]) == (4, 3)
    assert (found["fold_runs"], found["new_fold_runs"]) == (24, 20)
    search = ["--sampler", "tpe", "--trials", "10", "optim.lr=interval(0.001,0.01)"]
    text = sercli.ok("sweep", "--dry-run", *fixed, *search)
    assert "tpe, 10 trials (10 new), 40 fold runs (40 new)" in text
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sweep_that_is_stopped_from_the_shell_claims_nothing_more(tmp_path: Path) -> None:
    study = grid_study(tmp_path / "runs", 2, "lab")
    sercli = InProcessShell(tmp_path)

    assert "to resume" in sercli.ok("stop", "lab")

    assert study.stop_reason is not None
    assert study.stop_reason.startswith("by sercli stop")
    assert "is stopped: by sercli stop" in sercli("worker", "lab").stderr
    assert states(study) == {"waiting": 2}


def test_status_watches_until_no_trial_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = grid_study(tmp_path / "runs", 2, "lab")
    monkeypatch.setattr("time.sleep", lambda seconds: complete(study, claim(study)))

    text = InProcessShell(tmp_path).ok("status", "lab", "--watch")

    assert text.count("lab: grid, 2 trials") == 3
    assert [line.split()[1] for line in text.splitlines() if "complete" in line] == ["0", "1", "2"]
