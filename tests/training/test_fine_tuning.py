"""Fine-tuning of a tiny encoder from the trainer to the record: resumed, loaded, described."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.encoders import tiny_encoder
from helpers.toy import toy_data

from sercli.config.compose import compose
from sercli.config.schema import Config
from sercli.errors import SercliError
from sercli.inference.network import build_network
from sercli.progress import SILENT
from sercli.results.fold_result import FoldResult
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.folds import make_folds
from sercli.training.run import train_folds, train_run
from sercli.training.source import open_source
from sercli.training.trainer import predict
from sercli.training.validate import validate_run


@pytest.fixture(scope="module", name="data")
def _data() -> Data:
    """The toy corpus with frames as wide as the convolutions, and three characters a turn."""
    toy = toy_data(sessions=3)
    random = np.random.default_rng(0)
    steps = {
        name: random.normal(size=(len(each) + 8, 16)).astype(np.float32)
        for name, each in toy.steps.items()
    }
    rows = np.eye(4, dtype=np.float32)
    text = {name: rows[random.integers(0, 4, size=3)] for name in steps}
    return replace(toy, steps=steps, streams={"text": text})


def configured(folder: Path, *overrides: str) -> Config:
    return compose(
        [
            *("features=encoder", f"features.path={folder}", "features.options.layer=conv"),
            *("model=wav2vec2_tuned", "trainer.batch_size=4", "trainer.accumulate=2"),
            *("optim=adamw", "optim.lr=1e-3", "optim.encoder_lr=1e-4", "schedule=linear"),
            *("trainer.steps=2", "trainer.eval_every=2", "device=cpu", *overrides),
        ]
    )


@pytest.mark.exhaustive
def test_a_resumed_run_goes_on_exactly(data: Data, tmp_path: Path) -> None:
    config = configured(tiny_encoder(tmp_path / "encoder"), "streams.text=characters")
    folds = make_folds(data.manifest, config.protocol)[:2]

    def train() -> list[FoldResult]:
        with FoldPool(data, workers=1) as pool:
            return train_folds(config, folds, tmp_path / "partial", pool, SILENT)

    whole = train()
    assert whole[0].history["loss/ctc"].iloc[-1] > 0
    last = sorted((tmp_path / "partial").iterdir())[-1]
    shutil.rmtree(last)
    torch.rand(3)
    for found, expected in zip(train(), whole, strict=True):
        pd.testing.assert_frame_equal(found.history, expected.history, check_exact=True)
        pd.testing.assert_frame_equal(found.predictions, expected.predictions, check_exact=True)
        for name, value in expected.weights.items():
            np.testing.assert_array_equal(found.weights[name], value)


def test_a_record_keeps_what_was_trained_and_is_read_with_its_checkpoint(
    data: Data, tmp_path: Path
) -> None:
    folder = tiny_encoder(tmp_path / "encoder")
    settings = ("model.ctc_weight=0", "model.unfreeze=1", f"paths.runs={tmp_path / 'runs'}")
    plain = replace(data, streams={})
    run = validate_run(configured(folder, *settings), plain)
    with FoldPool(plain, workers=1) as pool:
        record, _ = train_run(run, pool)
    paragraph = record.summary["card"]["paragraph"]
    assert " Fine-tuned: the last layers (1) of the encoder above its convol" in paragraph
    assert "Features: encoder, layer conv of wav2vec2 of 2 layers, SHA-256 " in paragraph

    source = open_source(str(record.path), tmp_path / "runs")
    network = build_network(source, source.members[0])
    fold = run.folds[0]
    found = predict(network, fold.test, plain, torch.device("cpu"))
    table = pd.read_parquet(record.path / "predictions.parquet")
    there = table[(table["fold"] == fold.name) & (table["part"] == "test")]
    expected = there[there["selection"] == "dev"].set_index("utterance")
    columns = [name for name in found if str(name).startswith("p_")]
    np.testing.assert_allclose(found[columns], expected.loc[found["utterance"], columns], atol=1e-5)
    shutil.rmtree(folder)
    tiny_encoder(folder, "Hubert")
    with pytest.raises(SercliError, match=r"holds another checkpoint|does not fit its model"):
        build_network(source, source.members[0])
