"""What a report was asked for: experiments, keys, folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sercli.errors import RequestError
from sercli.results.find import find_runs
from sercli.results.run_record import Record

Make = Callable[..., Record]


def test_without_a_name_all_experiments_are_found(record: Make, runs: Path) -> None:
    one, two = record(experiment="a"), record("activation=tanh", experiment="b")
    (runs / "stray.txt").touch()
    (runs / "empty").mkdir()

    assert find_runs([], runs) == ([one, two], [])


def test_an_experiment_a_key_and_a_folder_are_found(record: Make, runs: Path) -> None:
    one, two = record(), record("activation=tanh")
    other = record("activation=relu", experiment="other")

    assert {found.key for found in find_runs(["first"], runs)[0]} == {one.key, two.key}
    assert find_runs([two.key], runs)[0] == [two]
    assert find_runs([str(other.path)], runs)[0] == [other]
    assert find_runs([other.key, "first"], runs)[0][0] == other


def test_a_run_is_known_with_its_experiment_from_within_its_folder(
    record: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(record().path)

    ((found,), _) = find_runs(["."], tmp_path)

    assert found.experiment == "first"


def test_a_run_that_is_named_by_key_and_folder_is_found_once(record: Make, runs: Path) -> None:
    run = record()

    assert find_runs([str(run.path), run.key], runs)[0] == [run]


def test_a_run_that_is_named_twice_is_found_once(record: Make, runs: Path) -> None:
    run = record()

    assert find_runs([run.key, "first", run.key], runs)[0] == [run]


def test_an_unknown_name_is_refused_with_the_nearest_experiment(record: Make, runs: Path) -> None:
    record(experiment="activations")

    with pytest.raises(RequestError, match=r"'activation'\. Did you mean 'activations'\?"):
        find_runs(["activation"], runs)


@pytest.mark.parametrize("name", ["*", "../first", "first/*"])
def test_a_name_is_no_pattern(record: Make, runs: Path, name: str) -> None:
    record()

    with pytest.raises(RequestError, match="no experiment or run"):
        find_runs([name], runs)


def test_where_nothing_was_run_that_is_said(runs: Path) -> None:
    with pytest.raises(RequestError, match="no finished run in"):
        find_runs([], runs)
    with pytest.raises(RequestError, match=r"no experiment or run 'first'\. There is none in"):
        find_runs(["first"], runs)


def test_a_damaged_record_is_told_and_the_others_are_found(record: Make, runs: Path) -> None:
    damaged, good = record(), record("activation=tanh")
    (damaged.path / "run.json").write_text("{")

    found, lines = find_runs(["first"], runs)

    assert found == [good]
    (line,) = lines
    assert str(damaged.path) in line


def test_only_damaged_records_are_an_answer_too(record: Make, runs: Path) -> None:
    (record().path / "run.json").write_text("{")

    found, lines = find_runs([], runs)
    assert found == []
    assert len(lines) == 1
