"""The record of a run: whole or absent, and refused by name when it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from sercli.config import run_key
from sercli.config.compose import compose
from sercli.config.run_key import key_of, result_relevant
from sercli.errors import SercliError
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import FORMAT, Record, adopt, find_records, read_record, write_record
from sercli.results.verify.record import verify_record
from sercli.results.weights import NOT_KEPT, drop_weights, read_shapes

KEY = "0123456789"
SUMMARY: dict[str, Any] = {"key": KEY, "status": "complete", "metrics": {"ua": np.float64(0.5)}}


@pytest.fixture(name="write")
def _write(make_result: Callable[..., FoldResult], tmp_path: Path) -> Callable[..., Record]:
    """Write a record of two folds below ``tmp_path``."""

    def write(experiment: str = "first", key: str = KEY, **summary: Any) -> Record:
        return write_record(
            tmp_path / experiment / key,
            {**SUMMARY, "key": key, **summary},
            config_yaml="seeds: [7]\n",
            folds={"one": {"train": ("a",)}, "two": {"train": ("b",)}},
            environment={"sercli": "1"},
            utterances=pd.DataFrame({"utterance": ["one-test0"], "speaker": ["s"]}),
            results=[make_result(["x"], ["x"], fold=fold, seed=7) for fold in ("one", "two")],
        )

    return write


def damage(record: Record, text: str) -> None:
    (record.path / "run.json").write_text(text)


def test_what_is_written_is_read_again(write: Callable[..., Record]) -> None:
    written = write()

    record = read_record(written.path)

    assert record.summary == {"format": FORMAT, **SUMMARY}
    assert (record.key, record.experiment, record.status) == (KEY, "first", "complete")
    assert record.metrics == {"ua": 0.5}
    assert set(record.predictions()["fold"]) == {"one", "two"}
    assert len(pd.read_parquet(record.path / "history.parquet")) == 4
    assert (record.path / "config.yaml").read_text() == "seeds: [7]\n"
    assert json.loads((record.path / "folds.json").read_text())["two"] == {"train": ["b"]}
    weights = load_file(record.path / "weights" / "seed7-fold1.safetensors")
    np.testing.assert_array_equal(weights["w"], [0, 1, 2])


@pytest.mark.parametrize(
    ("choice", "change"),
    [
        ("cell=gru_tf", "cell gru with reset=before has one bias now"),
        ("cell=lstm_at", "cell lstm_at has no input gate now"),
        ("model=lstm_tf_at", "model lstm_tf_at has a dense layer before the classifier now"),
        ("model=iaan_random", "random_any draws two different turns now"),
        ("model=maec_small", "model maec has the published equations now"),
    ],
)
def test_a_record_of_a_part_as_it_was_is_refused_by_name(
    write: Callable[..., Record], choice: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = result_relevant(compose([choice]))
    new = key_of(settings, "data")
    facts = {"configuration": settings, "fingerprint": "data"}
    assert write(key=new, **facts).key == new
    with monkeypatch.context() as earlier:
        earlier.setattr(run_key, "REVISIONS", ())
        old = key_of(settings, "data")
        path = write(key=old, **facts).path

    assert old != new
    with pytest.raises(SercliError, match=f"{path} is of an older version: .*{change}"):
        read_record(path)


def test_a_record_made_between_two_changes_is_refused_by_the_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = result_relevant(compose(["model=maec", "cell=lstm_at"]))
    with monkeypatch.context() as earlier:
        earlier.setattr(run_key, "REVISIONS", run_key.REVISIONS[:-1])
        old = key_of(settings, "data")

    changes = run_key.outdated(settings, "data", old)
    assert changes == "model maec has the published equations now"
    assert run_key.outdated(settings, "data", key_of(settings, "data")) is None


def test_a_record_that_cannot_be_written_leaves_nothing(
    write: Callable[..., Record], tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match="set has no JSON form"):
        write(card={1, 2})

    assert list((tmp_path / "first").iterdir()) == []
    assert list(find_records(tmp_path / "first")) == []


def test_a_failed_replacement_leaves_the_old_record(write: Callable[..., Record]) -> None:
    old = write()

    with pytest.raises(TypeError):
        write(status="new", card={1, 2})

    assert read_record(old.path).status == "complete"
    assert load_file(old.path / "weights" / "seed7-fold0.safetensors")


def test_a_new_record_of_the_same_run_takes_the_place_of_the_old_one(
    write: Callable[..., Record], tmp_path: Path
) -> None:
    old = write()
    (old.path / "mark").touch()

    assert write(status="diverged").status == "diverged"

    assert not (old.path / "mark").exists()
    assert [path.name for path in (tmp_path / "first").iterdir()] == [KEY]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ('{"format": 1, "key"', "Expecting"),
        ('{"key": "a"}', "'format'"),
        ("[1, 2]", "list indices"),
    ],
)
def test_a_damaged_page_is_an_error_that_names_the_record(
    write: Callable[..., Record], text: str, reason: str
) -> None:
    record = write()
    damage(record, text)

    with pytest.raises(SercliError, match=reason) as error:
        read_record(record.path)
    assert str(error.value).startswith(f"{record.path} is not a run record")
    assert "\n" not in str(error.value)


def test_a_record_of_another_version_is_refused_by_name(write: Callable[..., Record]) -> None:
    record = write()
    damage(record, json.dumps({**record.summary, "format": FORMAT + 1}))

    with pytest.raises(
        SercliError, match=f"record format {FORMAT + 1}; this sercli reads {FORMAT}"
    ):
        read_record(record.path)


def test_a_folder_without_a_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SercliError, match="is not a run record"):
        read_record(tmp_path)


def test_only_whole_records_are_found_in_order(
    write: Callable[..., Record], tmp_path: Path
) -> None:
    later, first = write(key="b" * 10), write(key="a" * 10)
    home = tmp_path / "first"
    for name in (".cccccccccc.1234.tmp", ".dddddddddd.partial", "empty"):
        (home / name).mkdir()
    (home / ".cccccccccc.1234.tmp" / "run.json").write_text("{}")
    (home / "notes.txt").touch()

    assert list(find_records(home)) == [first.path, later.path]
    assert list(find_records(tmp_path / "nowhere")) == []


def test_a_run_is_found_in_its_own_experiment_first(
    write: Callable[..., Record], tmp_path: Path
) -> None:
    other, own = write("another", status="other"), write("own", status="own")

    adopted = adopt(tmp_path, "own", KEY)

    assert adopted == own
    assert not (adopted.path / "run.json").samefile(other.path / "run.json")


def test_a_run_of_another_experiment_is_linked_whole(
    write: Callable[..., Record], tmp_path: Path
) -> None:
    other = write("another")

    adopted = adopt(tmp_path, "own", KEY)

    assert adopted is not None
    assert adopted.path == tmp_path / "own" / KEY
    files = [path.relative_to(other.path) for path in other.path.rglob("*") if path.is_file()]
    assert files
    assert all((adopted.path / name).samefile(other.path / name) for name in files)


def test_where_links_are_impossible_a_run_is_copied(
    write: Callable[..., Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: str, target: str) -> None:
        raise OSError("no hard links on this file system")

    monkeypatch.setattr("os.link", no_links)
    write("another")

    adopted = adopt(tmp_path, "own", KEY)

    assert adopted is not None
    assert not adopted.predictions().empty


def test_a_damaged_run_of_another_experiment_is_not_taken_over(
    write: Callable[..., Record], tmp_path: Path
) -> None:
    damage(write("another"), "{")
    assert adopt(tmp_path, "own", KEY) is None
    assert not (tmp_path / "own").exists()

    write("third", status="good")
    adopted = adopt(tmp_path, "own", KEY)
    assert adopted is not None
    assert adopted.status == "good"


def test_a_run_that_is_nowhere_is_not_adopted(tmp_path: Path) -> None:
    assert adopt(tmp_path / "none", "own", KEY) is None


def test_a_record_whose_weights_are_not_kept_says_so_and_is_whole(
    record: Callable[..., Record],
) -> None:
    made = record()
    weights = made.path / "weights"

    drop_weights(weights, "winner")

    assert [path.name for path in weights.iterdir()] == [NOT_KEPT]
    with pytest.raises(SercliError, match=r"not kept: trainer\.keep_weights=winner; with trainer"):
        read_shapes(weights / "seed0-fold0.safetensors")
    assert not [fault for fault in verify_record(made.path) if "weights" in fault.file]
