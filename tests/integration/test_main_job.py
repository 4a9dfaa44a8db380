"""From a corpus on disk to a table, by the real command."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from helpers.shell import Shell

from sercli.corpora.synthetic import SyntheticSize, ensure
from sercli.results.baselines import known_baselines
from sercli.results.run_record import Record, read_record


def records(folder: Path) -> list[Record]:
    return [read_record(page.parent) for page in sorted(folder.glob("*/run.json"))]


def test_extract_prints_an_audit_and_does_nothing_twice(sercli: Shell, small: list[str]) -> None:
    extract = ["extract", *small, "paths.store=store", "--format", "json"]
    first, second = sercli(*extract), sercli(*extract)
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert "60 utterances extracted, 0 known" in first.stderr
    assert "0 utterances extracted, 60 known" in second.stderr
    found = json.loads(second.stdout)
    assert found["utterances"] == 60
    assert found["targets"] == sum(found["classes"].values())
    assert len(found["speakers"]) == 10
    assert found["refused"] == []


def test_train_leaves_a_whole_record_and_a_second_train_shows_it(
    sercli: Shell, small: list[str]
) -> None:
    page = sercli.json("train", *small, "experiment=one")
    again = sercli("train", *small, "experiment=one", "--format", "json")
    assert json.loads(again.stdout) == page
    assert "already exists" in again.stderr
    (record,) = records(sercli.folder / "runs" / "one")
    assert sorted(path.name for path in record.path.iterdir()) == [
        "config.yaml",
        "environment.json",
        "folds.json",
        "history.parquet",
        "normalisation.safetensors",
        "predictions.parquet",
        "run.json",
        "utterances.parquet",
        "weights",
    ]
    assert len(list((record.path / "weights").glob("*.safetensors"))) == 5
    test = record.predictions().query("part == 'test' and selection == 'dev'")
    assert sorted(test["utterance"]) == sorted(
        utterance
        for fold in json.loads((record.path / "folds.json").read_text()).values()
        for utterance in fold["test"]
    )
    assert (test["label"] == test["predicted"]).mean() == pytest.approx(page["metrics"]["wa"])


@pytest.mark.exhaustive  # daily: test_fold_pool.py, without the command
def test_a_seed_gives_the_same_numbers_with_one_worker_or_two(
    sercli: Shell, small: list[str]
) -> None:
    for workers in ("1", "2"):
        sercli.ok("train", *small, f"paths.runs=runs{workers}", "--workers", workers)
    one, two = (records(sercli.folder / f"runs{n}" / "default")[0] for n in "12")
    assert one.key == two.key
    pd.testing.assert_frame_equal(one.predictions(), two.predictions())
    assert one.summary == two.summary


def test_a_comparison_and_its_report_tell_the_same_in_every_form(
    sercli: Shell, small: list[str]
) -> None:
    sweep = [
        "sweep",
        "--fold-workers",
        "1",
        *small,
        "activation=tanh,arelu",
        "experiment=both",
        "--comparison",
    ]
    done = sercli.json(*sweep)
    assert (done["trials"], done["finished"], done["finished_now"]) == (2, 2, 2)
    assert sercli.json(*sweep)["finished_now"] == 0

    report = sercli.json("report", "both")
    runs = [row for row in report["rows"] if row["source"] == "run"]
    published = [row for row in report["rows"] if row["source"] == "published"]
    assert {row["activation"] for row in runs} == {"tanh", "arelu"}
    assert all(row["folds"] == 5 and 0 <= row["ua"] <= 1 for row in runs)
    assert not any(row["sealed"] for row in runs)
    assert len(published) == len(known_baselines())
    assert all(not row["comparable"] and row["reason"] for row in published)
    (difference,) = report["comparisons"]  # with published results there is none
    assert difference["kind"] == "runs"
    ua = {key: row["ua"] for row in runs for key in row["runs"]}
    (key,) = difference["runs"]
    assert difference["delta_ua"] == pytest.approx(ua[key] - ua[difference["reference_run"]])

    table = list(csv.DictReader(io.StringIO(sercli.ok("report", "both", "--format", "csv"))))
    assert len(table) == len(report["rows"])
    assert float(table[0]["ua"]) == pytest.approx(runs[0]["ua"])
    percent = f"{100 * runs[0]['ua']:.1f}"
    assert percent in sercli.ok("report", "both")
    sercli.ok("report", "both", "--format", "markdown", "--output", "made/report.md")
    markdown = (sercli.folder / "made" / "report.md").read_text(encoding="utf-8")
    assert f"| {percent} |" in markdown
    assert "| AR-GRU (V) | " in markdown
    assert "not comparable: the run has 34 of 5531 utterances" in markdown


def test_a_run_of_another_experiment_is_taken_over(sercli: Shell, small: list[str]) -> None:
    first = sercli.json("train", *small, "experiment=first")
    second = sercli("train", *small, "experiment=second", "--format", "json")
    assert json.loads(second.stdout)["key"] == first["key"]
    assert "already exists" in second.stderr
    assert (sercli.folder / "runs" / "second" / first["key"] / "run.json").is_file()


def test_diverged_runs_are_kept_and_named(sercli: Shell, small: list[str]) -> None:
    done = sercli(
        "train", *small, "activation=relu", "optim.lr=1e8", "optim.clip_norm=null", "experiment=bad"
    )
    assert done.returncode == 1
    assert "diverged: seed 0, fold Session1, step" in " ".join(done.stdout.split())
    (record,) = records(sercli.folder / "runs" / "bad")
    assert record.status == "diverged"
    assert "diverged" in sercli.ok("report", "bad", "--format", "csv")


def test_the_synthetic_corpus_is_generated_on_first_use_and_marked(
    sercli: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sercli.corpora.synthetic.ensure", partial(ensure, size=SyntheticSize(1, 10), workers=1)
    )
    tiny = ["model.hidden=4", "model.context_hidden=4", "trainer.batch_size=8"]
    done = sercli("train", *tiny, "trainer=smoke", "trainer.steps=2", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SYNTHETIC") == 3  # above both tables and in the paragraph
    turns = list((sercli.folder / "data" / "synthetic-0").glob("Session?/sentences/wav/*/Ses*.wav"))
    assert len(turns) == 50
    audit = sercli.json("extract")
    assert audit["synthetic"] is True
    assert {"xxx", "fru", "sur"} <= set(audit["emotions"])


def test_any_corpus_comes_in_by_a_table(sercli: Shell, tree: Path, small: list[str]) -> None:
    lines = ["utterance,audio,speaker,emotion"]
    for number, wav in enumerate(sorted(tree.glob("Session?/sentences/wav/*/Ses*.wav"))[:40]):
        lines.append(f"u{number},{wav},s{number % 4},{'AB'[number // 4 % 2]}")
    (sercli.folder / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    page = sercli.json(
        "train",
        *small[2:],
        "dataset=manifest",
        "dataset.root=mine.csv",
        "dataset.classes={A: angry, B: bored}",
        "protocol=loso_speaker",
    )
    assert page["card"]["classes"] == ["angry", "bored"]
    assert page["card"]["folds"] == 4
