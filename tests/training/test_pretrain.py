"""Pre-training without labels and over several corpora, and training from its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.toy import RecordingProgress, toy_config, toy_data
from safetensors.numpy import load_file
from torch import nn

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.inference.network import build_network
from sercli.results.run_record import Record
from sercli.results.seen import read_seen
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.meta_learning import draw_task, set_meta_gradient
from sercli.training.pretrain import pretrain_on
from sercli.training.run import train_run
from sercli.training.source import open_source
from sercli.training.trainer import train_fold
from sercli.training.validate import validate_run

FEW = ("trainer.steps=4", "trainer.eval_every=2", "protocol.dev=speaker", "activation=tanh")
CPC = (
    *("model=cpc_small", "model.units=4", "model.hidden=5", "model.heads=1", "model.width=4"),
    *("model.dense_units=4", "model.future=2", "model.negatives=3"),
)


@pytest.fixture(name="small", scope="module")
def _small() -> Data:
    return toy_data(sessions=3)


def cpc_config(*overrides: str) -> Config:
    """A configuration of CPC, without the settings of the tiny model."""
    from sercli.config.compose import compose

    return compose([*FEW, *CPC, *overrides])


def several(data: Data) -> Data:
    """The toy corpus as two corpora, one for each session."""
    table = data.manifest.table
    corpus = table["session"].where(table["session"] != "session3", "session2")
    return replace(data, manifest=replace(data.manifest, table=table.assign(corpus=corpus)))


def train(config: Config, data: Data) -> Record:
    with FoldPool(data) as pool:
        return train_run(validate_run(config, data), pool)[0]


def test_weights_without_labels_start_the_same_model_in_each_fold(
    small: Data, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    progress = RecordingProgress()
    config = cpc_config("pretrain.use=folds", "trainer.steps=12", "optim.lr=0.02")
    history = pretrain_on(config, small, model, progress=progress)

    assert history.groupby("fold")["loss"].apply(lambda x: x.iloc[-1] < x.iloc[0]).all()
    seen = read_seen(model)
    assert len(seen["session1"]) == 30  # turns of any label, of all speakers but those of dev
    names = load_file(model / "weights" / "seed0-fold0.safetensors")
    assert {name.partition(".")[0] for name in names} == {"encoder", "recurrent", "predictors"}
    config = cpc_config(f"init.run={model}", f"paths.runs={tmp_path}", "init.train=head")
    run = validate_run(config, small)
    assert run.initial is not None
    assert {"head.weight", "dense.0.weight", "attention.output.bias"} <= run.initial.anew
    fold = run.folds[1]
    result = train_fold(run.config, small, fold, 0, initial=run.initial.of(0, fold.name))
    before = load_file(model / "weights" / "seed0-fold1.safetensors")
    for name, value in result.weights.items():
        if name.startswith(("encoder.", "recurrent.")):
            assert np.array_equal(value, before[name])


def test_weights_of_all_utterances_are_refused_on_their_own_corpus(
    small: Data, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    pretrain_on(cpc_config(), small, model)
    with pytest.raises(RequestError, match="16 of the 16 test utterances of fold session1"):
        validate_run(cpc_config(f"init.run={model}"), small)
    source = open_source(str(model), tmp_path)
    with pytest.raises(RequestError, match="is pre-trained and no classifier yet"):
        build_network(source, source.members[0])
    with pytest.raises(RequestError, match="features of iaan45"):
        validate_run(cpc_config(f"init.run={model}", "features=log_mel"), small)


@pytest.mark.parametrize("objective", ["fomaml", "sequential", "alternating"])
def test_several_corpora_give_a_whole_model(small: Data, tmp_path: Path, objective: str) -> None:
    settings = (*FEW, "model=bilstm_att", "model.dense_units=4", "model.hidden=3")
    from sercli.config.compose import compose

    both = (f"pretrain.objective={objective}", "pretrain.tasks=2", "pretrain.support=2")
    data = several(small)
    one, two = (
        pretrain_on(compose([*settings, *both]), data, tmp_path / name) for name in ("a", "b")
    )
    pd.testing.assert_frame_equal(one, two)  # from the seed alone
    assert list(one["step"]) == [2, 4]
    start = load_file(tmp_path / "a" / "weights" / "seed0-fold0.safetensors")
    assert {"head.weight", "recurrent.weight_ih_l0"} <= set(start)
    seen = read_seen(tmp_path / "a")["all"]
    assert set(seen["corpus"]) == {"session1", "session2"}
    assert len(seen) == 48


def test_what_cannot_be_pre_trained_is_refused(small: Data, tmp_path: Path) -> None:
    for config, message in (
        (toy_config(), "has no loss without labels; use model=cpc"),
        (toy_config("pretrain.objective=fomaml"), "dataset=several"),
        (cpc_config("init.run=x"), "pre-training starts from random weights"),
        (cpc_config("schedule=plateau"), "pre-training has no dev"),
        (cpc_config("trainer.accumulate=2"), "pre-training takes a batch per step"),
    ):
        with pytest.raises(RequestError, match=message):
            pretrain_on(config, small, tmp_path / "model")


def quadratic() -> tuple[nn.Parameter, object]:
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    return weight, lambda rows: ((weight - torch.from_numpy(rows).float()) ** 2).sum()


def test_the_meta_gradient_is_that_of_the_query_after_the_inner_steps() -> None:
    weight, loss_of = quadratic()
    support, query = np.array([3, 3]), np.array([0, 5])
    set_meta_gradient([weight], loss_of, [(support, query)], inner_lr=0.1, inner_steps=2)  # type: ignore[arg-type]
    moved = weight.detach().clone()
    for _ in range(2):
        moved = moved - 0.1 * 2 * (moved - 3)
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 2 * (moved - torch.tensor([0.0, 5.0])))
    assert weight.tolist() == [1, -2]  # as before


def test_without_inner_learning_the_meta_gradient_is_the_mean_over_the_queries() -> None:
    weight, loss_of = quadratic()
    queries = [np.array([0, 5]), np.array([2, 1])]
    tasks = [(np.array([9, 9]), query) for query in queries]
    loss = set_meta_gradient([weight], loss_of, tasks, inner_lr=0.0)  # type: ignore[arg-type]
    losses = [loss_of(query) for query in queries]  # type: ignore[operator]
    (slope,) = torch.autograd.grad(sum(losses) / 2, [weight])
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, slope)
    assert loss.item() == pytest.approx(sum(x.item() for x in losses) / 2)


def test_support_and_query_are_balanced_and_share_no_utterance() -> None:
    labels = np.array([0] * 10 + [1] * 3)
    support, query = draw_task(np.arange(13), labels, 4, 3, np.random.default_rng(0))
    assert np.bincount(labels[support]).tolist() == [4, 2]
    assert np.bincount(labels[query]).tolist() == [3, 1]
    assert not set(support) & set(query)
