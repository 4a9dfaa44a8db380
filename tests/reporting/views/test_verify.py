"""All records below a folder are verified, whatever state some of them are in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sercli.errors import RequestError
from sercli.reporting.views.verify import verify_runs
from sercli.results.run_record import Record
from sercli.results.verify.files import Fault


@pytest.fixture(name="verified", autouse=True)
def _verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked at; a record whose status is ``bad`` has a fault."""
    seen = []

    def verify_record(path: Path) -> list[Fault]:
        seen.append(path.name)
        summary = json.loads((path / "run.json").read_text())
        return [Fault(path.name, "run.json", "is bad")] if summary["status"] == "bad" else []

    monkeypatch.setattr("sercli.reporting.views.verify.verify_record", verify_record)
    return seen


def spoil(record: Record) -> None:
    summary = json.loads((record.path / "run.json").read_text())
    (record.path / "run.json").write_text(json.dumps({**summary, "status": "bad"}))


def test_by_default_every_record_is_looked_at(
    record: Callable[..., Record], runs: Path, verified: list[str]
) -> None:
    keys = {record().key, record("optim.lr=0.5").key, record("optim.lr=2", experiment="b").key}

    found = verify_runs([], runs)

    assert set(verified) == keys
    (table,) = found.view().tables
    assert found.view().data == {"records": 3, "sweeps": 0, "faults": ()}
    assert table.title == "3 records and 0 sweeps verified: no faults"
    assert table.rows == ()


def test_a_bad_record_is_named_and_the_rest_goes_on(
    record: Callable[..., Record], runs: Path, verified: list[str]
) -> None:
    bad, good = record(), record("optim.lr=0.5")
    spoil(bad)

    found = verify_runs([], runs)

    assert set(verified) == {bad.key, good.key}
    (table,) = found.view().tables
    assert table.title == "2 records and 0 sweeps verified: 1 faults in 1 of them"
    assert [[cell.text for cell in row] for row in table.rows] == [[bad.key, "run.json", "is bad"]]
    assert json.loads(json.dumps(found.view().data))["faults"] == [
        {"record": bad.key, "file": "run.json", "reason": "is bad"}
    ]


def test_only_what_is_named_is_looked_at(
    record: Callable[..., Record], runs: Path, verified: list[str]
) -> None:
    record()
    other = record("optim.lr=0.5", experiment="second")

    verify_runs(["second"], runs)
    verify_runs([other.key], runs)

    assert verified == [other.key, other.key]


def test_a_record_that_was_copied_by_half_is_found(
    record: Callable[..., Record], runs: Path
) -> None:
    half = record()
    (half.path / "run.json").unlink()

    (fault,) = verify_runs([], runs).faults

    assert fault.record == f"first/{half.key}"
    assert "incomplete copy" in fault.reason


def test_what_a_sweep_left_is_verified_with_its_experiment(
    record: Callable[..., Record], search: Callable[..., Any], runs: Path
) -> None:
    run = record()
    search(run, states={"complete": 7})

    found = verify_runs(["first"], runs)

    assert found.sweeps == 1
    assert {(fault.record, fault.file) for fault in found.faults} >= {("first", "sweep.json")}
    assert verify_runs([run.key], runs).sweeps == 0


def test_no_runs_and_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no finished run"):
        verify_runs([], tmp_path)
    with pytest.raises(RequestError, match="no experiment or run 'ghost'"):
        verify_runs(["ghost"], tmp_path)


def test_several_processes_find_the_same_in_the_same_order(
    record: Callable[..., Record], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for step in (1, 2, 3, 4):
        shutil.rmtree(record(f"trainer.steps={step}").path / "weights")
    alone = verify_runs([], runs)
    monkeypatch.setattr("sercli.reporting.views.verify._MANY", 1)
    monkeypatch.setattr("sercli.reporting.views.verify._CHUNK", 1)

    assert len(alone.faults) == 4
    assert verify_runs([], runs, workers=2) == alone
