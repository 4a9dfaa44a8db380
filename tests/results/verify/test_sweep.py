"""What a sweep left behind is held to the records beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.results.fold_result import FoldResult
from sercli.results.run_record import write_record
from sercli.results.sweep_summary import SweepSummary, write_sweep
from sercli.results.verify.sweep import verify_sweep

DEV_UA = {"aaaaaaaaaa": 0.5, "bbbbbbbbbb": 0.7, "cccccccccc": 0.6}


@pytest.fixture(name="folder")
def _folder(make_result: Callable[..., FoldResult], tmp_path: Path) -> Path:
    """An experiment of three records."""
    for key, dev_ua in DEV_UA.items():
        write_record(
            tmp_path / "search" / key,
            {"key": key, "status": "complete", "metrics": {"dev_ua": dev_ua}},
            config_yaml="",
            folds={"one": {}},
            environment={},
            utterances=pd.DataFrame(),
            results=[make_result(["x"], ["x"])],
        )
    return tmp_path / "search"


def write(
    folder: Path,
    winner: str | None = "bbbbbbbbbb",
    *,
    dev_ua: Mapping[str, float] = DEV_UA,
    **summary: Any,
) -> None:
    states = summary.pop("states", {"complete": len(dev_ua), "failed": 1})
    facts: dict[str, Any] = {
        "experiment": folder.name,
        "sampler": "grid",
        "objectives": ["dev_ua"],
        "pruner": None,
        "space": {},
        "seeds": [0],
    }
    trials = pd.DataFrame(
        {
            "number": range(len(dev_ua) + 1),
            "state": ["complete"] * len(dev_ua) + ["failed"],
            "run": [*dev_ua, None],
            "dev_ua": [*dev_ua.values(), float("nan")],
        }
    )
    write_sweep(folder, SweepSummary(**facts, states=states, winner=winner, **summary), trials)


def reasons(folder: Path) -> list[str]:
    return [f"{fault.file}: {fault.reason}" for fault in verify_sweep(folder)]


def test_a_sweep_as_it_was_left_has_no_faults(folder: Path) -> None:
    write(folder)
    assert verify_sweep(folder) == []


def test_an_experiment_without_a_sweep_has_no_faults(folder: Path) -> None:
    assert verify_sweep(folder) == []


def test_a_sweep_without_a_winner_yet_has_no_faults(folder: Path) -> None:
    write(folder, None)
    assert verify_sweep(folder) == []


def test_a_winner_that_is_not_the_best_on_dev_is_found(folder: Path) -> None:
    write(folder, "cccccccccc")
    assert reasons(folder) == [
        "sweep.json: the winner cccccccccc is not the best of its trials on dev"
    ]


def test_one_of_several_best_may_be_the_winner(folder: Path) -> None:
    write(folder, dev_ua={"bbbbbbbbbb": 0.7})
    assert verify_sweep(folder) == []


def test_a_winner_that_no_point_has_is_found(folder: Path) -> None:
    write(folder, "dddddddddd")
    assert reasons(folder) == [
        "sweep.json: the winner dddddddddd has no record",
        "sweep.json: the winner dddddddddd is not the best of its trials on dev",
    ]


def test_a_point_whose_record_is_gone_is_found(folder: Path) -> None:
    write(folder)
    (folder / "aaaaaaaaaa" / "run.json").unlink()

    (reason,) = reasons(folder)

    assert reason.startswith("trials.parquet: trial 0: run aaaaaaaaaa has no record")


def test_a_point_with_another_dev_ua_than_its_record_is_found(folder: Path) -> None:
    write(folder, dev_ua={**DEV_UA, "aaaaaaaaaa": 0.55})
    assert reasons(folder) == [
        "trials.parquet: trial 0: run aaaaaaaaaa has dev UA 0.550000, its record 0.500000"
    ]


def test_counts_that_are_not_those_of_the_points_are_found(folder: Path) -> None:
    write(folder, states={"complete": 4, "waiting": 2, "failed": 1})
    assert reasons(folder) == [
        "sweep.json: 4 trials complete, in trials.parquet 3",
        "sweep.json: 2 trials waiting, in trials.parquet 0",
    ]


@pytest.mark.parametrize("name", ["sweep.json", "trials.parquet"])
def test_a_damaged_file_is_one_line(folder: Path, name: str) -> None:
    write(folder)
    (folder / name).write_text("{")

    (fault,) = verify_sweep(folder)

    assert (fault.record, fault.file) == ("search", name)
    assert "\n" not in fault.reason


def test_a_table_without_points_is_one_line(folder: Path) -> None:
    write(folder)
    pd.DataFrame({"x": [1]}).to_parquet(folder / "trials.parquet")

    assert reasons(folder) == ["trials.parquet: is not a table of trials (KeyError('state'))"]
