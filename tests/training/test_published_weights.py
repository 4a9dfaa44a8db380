"""Initial weights of a published file: names, fit, and the record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.toy import RecordingProgress, toy_config, toy_data
from safetensors.numpy import load_file, save_file

from sercli.config.compose import compose
from sercli.config.run_key import run_key
from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.results.verify.record import verify_record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.rerun import rerun_on
from sercli.training.run import train_run
from sercli.training.validate import new_model, validate_run

CNN14 = (
    *("model=cnn14", "model.filters=[1,1,1,1,1,2]", "model.hidden=2"),
    *("trainer.steps=1", "trainer.eval_every=1", "trainer.patience=null", "protocol.dev=speaker"),
)


def config_of(*overrides: str) -> Config:
    return compose([*CNN14, *overrides])


@pytest.fixture(name="small", scope="module")
def _small() -> Data:
    return toy_data(sessions=2)


@pytest.fixture(name="published", scope="module")
def _published(small: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as PANNs' checkpoint, with tensors of its front end and of its 527 classes."""
    torch.manual_seed(3)
    state = new_model(config_of(), small).state_dict()
    tensors = {name.replace(".convolve", ""): value.numpy() for name, value in state.items()}
    tensors = {
        name: np.array(9000) if name.endswith("num_batches_tracked") else value
        for name, value in tensors.items()
        if not name.startswith("head")
    }
    extra = {"fc_audioset.weight": (527, 2), "logmel_extractor.melW": (257, 64)}
    tensors |= {name: np.zeros(shape, np.float32) for name, shape in extra.items()}
    path = tmp_path_factory.mktemp("published") / "Cnn14_16k.safetensors"
    save_file(tensors, path)
    return path


def test_training_starts_from_the_file_and_the_record_names_it(
    small: Data, published: Path, tmp_path: Path
) -> None:
    given = (f"init.file={published}", "init.train=head", f"paths.runs={tmp_path}")
    with FoldPool(small) as pool:
        run = validate_run(config_of(*given), small)
        record, _ = train_run(run, pool, progress=RecordingProgress())
        moved = published.rename(tmp_path / "elsewhere.safetensors")
        again = rerun_on(record, config_of(*given[1:], f"init.file={moved}"), small, pool)
        moved.rename(published)
    assert again.exact
    facts = record.summary["card"]["initial_weights"]
    assert facts["file"] == published.name
    assert facts["anew"] == ["head.bias", "head.weight"]
    assert set(record.summary["configuration"]["init"]) == {"train", "digest"}
    paragraph = record.summary["card"]["paragraph"]
    assert "the weights of the file Cnn14_16k.safetensors" in paragraph
    assert "training data of Cnn14_16k.safetensors are not known" in paragraph
    assert verify_record(record.path) == []

    start, end = load_file(published), load_file(record.path / "weights/seed0-fold0.safetensors")
    for name in ("bn0.weight", "fc1.bias", "conv_block6.conv2.weight", "bn0.running_mean"):
        own = name.replace("conv2.", "conv2.convolve.")
        np.testing.assert_array_equal(start[name], end[own])
    assert end["bn0.num_batches_tracked"] == 9000
    assert set(record.summary["distances"][0]["layers"].values()) == {0.0}


def test_existing_runs_keep_their_keys(small: Data) -> None:
    run = config_of("init.digest=00")
    assert run_key(run, "x") == run_key(config_of("init.digest=00", "init.file=a"), "x")
    assert run_key(config_of(), "x") != run_key(run, "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bn0.bias": None}, "it has no tensor 'bn0.bias'; use the published file"),
        ({"att.weight": np.zeros(2, np.float32)}, "it has a tensor 'att.weight', which the model"),
        ({"fc1.bias": np.zeros(7, np.float32)}, r"its tensor 'fc1.bias' is F32 \(7,\), the model"),
        ({"fc1.bias": np.zeros(2)}, r"is F64 \(2,\), the model needs F32"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    small: Data, published: Path, tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    tensors = {k: v for k, v in {**load_file(published), **change}.items() if v is not None}
    save_file(tensors, tmp_path / "wrong.safetensors")
    with pytest.raises(RequestError, match=message):
        validate_run(config_of(f"init.file={tmp_path}/wrong.safetensors"), small)


def test_other_files_and_models_are_refused(small: Data, published: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "Cnn14_16k.pth"
    torch.save({"model": {}}, pickled)
    for overrides, message in (
        ((f"init.file={pickled}",), "not a safetensors file; docs/systems.md states how"),
        (("init.file=nowhere",), "init.file=nowhere: there is no such file"),
        ((f"init.file={published}", "init.run=first"), "set init.run=null"),
        ((f"init.file={published}", "init.fold=a"), "set init.fold=null"),
        ((f"init.file={published}", "init.digest=00"), "its weights have changed"),
    ):
        with pytest.raises(RequestError, match=message):
            validate_run(config_of(*overrides), small)
    with pytest.raises(RequestError, match="no layout of published weights is known for model"):
        validate_run(toy_config(f"init.file={published}", "protocol.dev=speaker"), small)
