"""Training on dimensional labels: loss, selection, record, verification and report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import audmetric
import numpy as np
import pytest
import torch
from helpers.reports import report_json, report_tables
from helpers.shell import InProcessShell
from helpers.toy import toy_config, toy_data

from sercli.config.schema import Config, DatasetConfig
from sercli.corpora.dimensions import with_dimensions
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError
from sercli.results.agreement import compare_runs
from sercli.results.run_record import Record
from sercli.results.verify.record import verify_record
from sercli.training.ccc import ccc_loss
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.run import train_run
from sercli.training.validate import validate_run

NAMES = ("valence", "arousal")
FUNCTIONALS = ("features=eGeMAPSv02", "features.level=functionals")
TASK = ("dataset.dimensions=[valence,arousal]", "dataset.scale=[1,5]")


def rated(manifest: Manifest, *, without: str = "s1a0") -> Manifest:
    """The toy corpus with made-up valence and arousal that follow from the emotion."""
    of = {"ang": (1.5, 4.5), "hap": (4.5, 4.0), "neu": (3.0, 2.5), "sad": (1.5, 1.5)}
    table = manifest.table.copy()
    noise = np.random.default_rng(5).normal(scale=0.2, size=(len(table), 2))
    for place, name in enumerate(NAMES):
        known = table["emotion"].map({emotion: found[place] for emotion, found in of.items()})
        table[name] = (known + noise[:, place]).where(table["utterance"] != without)
    return replace(manifest, table=table)


@pytest.fixture(name="data", scope="module")
def _data() -> Data:
    data = toy_data(sessions=3)
    dataset = DatasetConfig(name="toy", dimensions=list(NAMES), scale=[1, 5])
    return replace(data, manifest=with_dimensions(rated(data.manifest), dataset))


def config(runs: Path, *overrides: str) -> Config:
    short = ("trainer.steps=20", "trainer.eval_every=10", "experiment=first", f"paths.runs={runs}")
    return toy_config(*TASK, *short, *overrides)


def train(runs: Path, data: Data, *overrides: str) -> Record:
    with FoldPool(data) as pool:
        return train_run(validate_run(config(runs, *overrides), data), pool)[0]


@pytest.fixture(name="runs", scope="module")
def _runs(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a run with two seeds."""
    runs = tmp_path_factory.mktemp("dimensions") / "runs"
    train(runs, data, "seeds=[0,1]")
    return runs


@pytest.fixture(name="record")
def _record(runs: Path) -> Record:
    (path,) = (each for each in (runs / "first").iterdir() if each.name[0] != ".")
    return Record(path, json.loads((path / "run.json").read_text(encoding="utf-8")))


def test_the_loss_is_one_minus_ccc_by_the_weights_of_the_dimensions() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 12, 2)).astype(np.float32)
    weights = torch.tensor([0.7, 0.2])
    found = ccc_loss(torch.from_numpy(x), torch.from_numpy(y), weights)
    ccc = [audmetric.concordance_cc(y[:, place], x[:, place]) for place in (0, 1)]
    assert found.item() == pytest.approx(0.7 * (1 - ccc[0]) + 0.2 * (1 - ccc[1]), abs=1e-5)


def test_a_batch_of_one_utterance_has_a_finite_gradient() -> None:
    outputs = torch.zeros(1, 2, requires_grad=True)
    loss = ccc_loss(outputs, torch.zeros(1, 2), torch.ones(2))
    (gradient,) = torch.autograd.grad(loss, [outputs])
    assert gradient.isfinite().all()


def test_a_run_learns_and_records_its_predictions(record: Record, data: Data) -> None:
    predictions = record.predictions()
    test = predictions.query("part == 'test' and selection == 'dev' and seed == 0")
    assert sorted(test["utterance"]) == sorted(data.manifest.targets["utterance"])
    targets = data.manifest.targets.set_index("utterance")
    for name in NAMES:
        assert np.allclose(test[name], targets.loc[test["utterance"], name])
        ccc = [
            audmetric.concordance_cc(of[name], of[f"predicted_{name}"])
            for _, of in predictions.query("part == 'test' and selection == 'dev'").groupby("seed")
        ]
        assert record.metrics[f"ccc_{name}"] == pytest.approx(np.mean(ccc))
    assert record.metrics["ccc"] == pytest.approx(
        np.mean([record.metrics[f"ccc_{name}"] for name in NAMES])
    )
    assert record.metrics["dev_ccc"] > 0.3
    low, high = record.metrics["ccc_ci"]
    assert low < record.metrics["ccc"] < high
    history = record.history()
    assert {"dev_ccc", "test_ccc_valence"} <= set(history)
    assert "dev_ua" not in history
    assert any(
        "lack a label of valence, arousal" in text for text in record.summary["card"]["caveats"]
    )
    assert "Prediction of valence, arousal on toy" in record.summary["card"]["paragraph"]


def test_a_record_is_verified_and_repeated(record: Record, data: Data, tmp_path: Path) -> None:
    assert verify_record(record.path) == []
    again = train(tmp_path, data, "seeds=[0,1]")
    made = compare_runs(record, again)
    assert made.agrees
    assert set(made.off) == {"dev_ccc", "ccc"}
    table = again.predictions()
    table.loc[table["part"] == "test", "predicted_valence"] += 0.5
    table.to_parquet(again.path / "predictions.parquet")
    assert any("metrics" in str(fault) for fault in verify_record(again.path))
    assert not compare_runs(record, again).agrees


def test_weights_of_the_dimensions_have_an_effect(
    record: Record, data: Data, tmp_path: Path
) -> None:
    other = train(tmp_path, data, "trainer.ccc_weights.valence=0")
    assert other.key != record.key
    assert other.metrics["ccc_valence"] < record.metrics["ccc_valence"]


def test_a_report_has_the_ccc_of_each_dimension(runs: Path, record: Record) -> None:
    (table,) = report_tables(runs)
    assert table.title == "toy, loso_session, valence, arousal: CCC"
    assert [column.name for column in table.columns][1:4] == ["mean CCC", *NAMES]
    (row,) = report_json(runs)["rows"]
    assert row["ccc"] == pytest.approx(record.metrics["ccc"])
    assert set(row["of"]) == set(NAMES)
    with pytest.raises(RequestError, match="--diagnostics: only for runs on classes"):
        report_json(runs, diagnostics=True)


def test_what_needs_classes_is_refused_in_one_line(runs: Path, record: Record) -> None:
    shell = InProcessShell(runs.parent)
    for words, message in (
        (("train", *TASK, "trainer.labels=soft"), "trainer.labels=soft is for classes"),
        (("train", *TASK, "trainer.focal_gamma=2"), "trainer.focal_gamma=2"),
        (("train", TASK[0], "dataset.scale=[]"), "needs the ends of the scale"),
        (("train", "dataset.dimensions=[joy]"), "must be some of valence, arousal, dominance"),
        (("train", *TASK, "trainer.ccc_weights.joy=1"), "trainer.ccc_weights.joy=1"),
        (("train", "trainer.ccc_weights.valence=1"), "needs dataset.dimensions"),
        (("train", *TASK, "augment=copy_paste"), "augment=copy_paste"),
        (("train", *TASK, "model=svm_functionals", *FUNCTIONALS), "fitted to classes"),
        (("train", *TASK, "model=ca_mser_small"), "are log-probabilities of classes"),
        (("sweep", *TASK, "activation=tanh,relu"), "a sweep needs dev UA"),
        (("pretrain", "-o", "new", *TASK), "pre-training does not use them"),
        (("predict", record.key, "x.wav"), "sercli predict needs a model of classes"),
        (("export", record.key, "new"), "sercli export needs a model of classes"),
        (("attend", record.key, "s1a1"), "attend needs a run of classes"),
        (("fuse", record.key, record.key), "fuse needs runs on classes"),
    ):
        assert message in shell.refused(*words)


def test_labels_that_are_missing_or_outside_the_scale_are_refused() -> None:
    manifest = rated(toy_data().manifest)
    with pytest.raises(RequestError, match="toy has no labels of dominance"):
        with_dimensions(manifest, DatasetConfig(dimensions=["dominance"], scale=[1, 5]))
    with pytest.raises(RequestError, match=r"dataset.scale=\[0,1\]: valence of \d+ utterances"):
        with_dimensions(manifest, DatasetConfig(dimensions=["valence"], scale=[0, 1]))


def test_an_adversary_works_beside_dimensions(data: Data, tmp_path: Path) -> None:
    short = ("trainer.steps=2", "trainer.eval_every=2")
    found = train(tmp_path, data, "adversary.column=speaker", *short)
    assert "loss/adversary_speaker" in found.history()
    assert "loss/dimensions" in found.history()
