"""The SVM: fitted fold by fold, its complexity chosen on dev, its record like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.models.interface import Batch, Turns
from sercli.models.svm import LinearSVM
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.folds import make_folds
from sercli.training.run import train_run
from sercli.training.svm_fit import fit_fold, fit_trial
from sercli.training.validate import new_model, validate_run

COMPLEXITIES = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]


@pytest.fixture(name="rows", scope="module")
def _rows(toy: Data) -> Data:
    """The toy corpus with noisy means of its frames, and noise alone, as functionals."""
    random = np.random.default_rng(1)
    spread = np.linspace(0.2, 3, 25)
    steps = {}
    for name, frames in toy.steps.items():
        row = np.concatenate([frames.mean(axis=0), np.zeros(20)]) + random.normal(size=25) * spread
        steps[name] = row.astype(np.float32)[None]
    return replace(toy, steps=steps)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Callable[..., Config]:
    from sercli.config.compose import compose

    fixed = ["model=svm_functionals", "features=eGeMAPSv02", "features.level=functionals"]
    return lambda *overrides: compose([*fixed, f"paths.runs={tmp_path}", *overrides])


def train(config: Config, data: Data) -> Record:
    with FoldPool(data) as pool:
        return train_run(validate_run(config, data), pool)[0]


def of_test(result: FoldResult) -> pd.Series[str]:
    """Utterance → predicted class, dev-selected."""
    table = result.predictions.query("part == 'test' and selection == 'dev'")
    return table.set_index("utterance")["predicted"]


def reference(data: Data, train: tuple[str, ...], test: tuple[str, ...], c: float) -> list[str]:
    """What scikit-learn's own pipeline predicts."""
    machine = make_pipeline(
        StandardScaler(), LinearSVC(C=c, class_weight="balanced", random_state=0, max_iter=10_000)
    )
    rows = {name: data.steps[name][0].astype(np.float64) for name in (*train, *test)}
    machine.fit([rows[name] for name in train], [data.labels[name] for name in train])
    return list(machine.predict([rows[name] for name in test]))


def test_it_predicts_what_scikit_learns_pipeline_does_at_the_complexity_that_dev_chose(
    rows: Data, config: Callable[..., Config]
) -> None:
    chosen = set()
    for fold in make_folds(rows.manifest, config().protocol):
        result = fit_fold(config(), rows, fold, seed=0)

        assert result.history["step"].tolist() == [1, 2, 3, 4, 5, 6]
        assert result.history["setting"].tolist() == COMPLEXITIES
        assert result.selected_step == result.history.set_index("step")["dev_ua"].idxmax()
        complexity = COMPLEXITIES[(result.selected_step or 0) - 1]
        assert of_test(result)[list(fold.test)].tolist() == reference(
            rows, fold.train, fold.test, complexity
        )
        chosen.add(complexity)
    assert len(chosen) > 1


def test_a_refit_takes_dev_in(rows: Data, config: Callable[..., Config]) -> None:
    fold = make_folds(rows.manifest, config().protocol)[0]

    result = fit_fold(config("protocol.refit=true"), rows, fold, seed=0)

    assert result.selected_step is not None
    chosen = COMPLEXITIES[result.selected_step - 1]
    assert of_test(result)[list(fold.test)].tolist() == reference(
        rows, fold.train + fold.dev, fold.test, chosen
    )


def test_its_record_is_like_that_of_any_model(rows: Data, config: Callable[..., Config]) -> None:
    record = train(config("seeds=[0,1]"), rows)

    assert record.status == "complete"
    assert record.metrics["ua"] > 0.4
    assert record.metrics["n"] == len(rows.labels)
    assert "best dev UA of 6 settings" in record.summary["card"]["paragraph"]
    assert record.summary["card"]["features"] == "eGeMAPSv02, functionals"
    weights = load_file(record.path / "weights" / "seed0-fold0.safetensors")
    assert set(weights) == {"mean", "deviation", "linear.weight", "linear.bias"}


def test_frames_are_refused_with_the_remedy(toy: Data, config: Callable[..., Config]) -> None:
    with pytest.raises(
        RequestError,
        match=r"svm_functionals reads one row per utterance.*set features.level=functionals",
    ):
        new_model(config("features=iaan45", "features.level=lld"), toy)


def without(data: Data, label: str, session: str) -> Data:
    """Keep a class in one session only."""
    table = data.manifest.table.copy()
    table.loc[(table["label"] == label) & (table["session"] != session), "label"] = None
    return replace(data, manifest=replace(data.manifest, table=table))


def test_a_class_that_was_not_trained_is_never_recognised_and_the_rest_goes_on(
    rows: Data, config: Callable[..., Config]
) -> None:
    record = train(config(), without(rows, "sadness", "session1"))

    table = record.predictions().query("part == 'test' and selection == 'dev'")
    of_session1 = table[table["fold"] == "session1"]
    assert "sadness" in set(of_session1["label"])
    assert "sadness" not in set(of_session1["predicted"])
    assert (of_session1["p_sadness"] == 0).all()


def classified(model: LinearSVM, rows: np.ndarray) -> list[int]:
    frames = torch.from_numpy(rows[:, None, :])
    turns = Turns(frames, torch.ones(len(rows), dtype=torch.long))
    return model(Batch(turns, turns, turns)).argmax(dim=1).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("found", [[0, 1], [1, 2], [0, 1, 2]])
def test_the_classes_that_occur_keep_their_places(found: list[int]) -> None:
    random = np.random.default_rng(0)
    labels = np.array(found * 20)
    rows = np.eye(3, 4)[labels] * 6 + random.normal(size=(len(labels), 4)) + 50
    rows[:, 3] = 7.0  # never changes
    model = LinearSVM(inputs=4, classes=3)

    model.fit(rows.astype(np.float32), labels, 1.0, seed=0)

    assert classified(model, rows.astype(np.float32)) == labels.tolist()


def test_a_training_set_of_one_class_is_refused() -> None:
    model = LinearSVM(inputs=2, classes=2)
    with pytest.raises(RequestError, match="needs two classes"):
        model.fit(np.zeros((3, 2), np.float32), np.zeros(3, int), 1.0, seed=0)


def test_classes_weigh_the_same_only_if_asked_to(rows: Data, config: Callable[..., Config]) -> None:
    fold = make_folds(rows.manifest, config().protocol)[0]
    sad = [name for name in fold.train if rows.labels[name] == "sadness"]
    few = replace(fold, train=tuple(name for name in fold.train if name not in sad[1:]))

    units = [
        fit_fold(config(f"model.balanced={asked}", "model.complexities=[0.001]"), rows, few, seed=0)
        for asked in ("true", "false")
    ]
    assert not units[0].predictions.equals(units[1].predictions)


@pytest.mark.parametrize("complexities", ["[]", "[1.0,0]", "[-1]", "[a]"])
def test_complexities_that_make_no_sense_are_refused(
    rows: Data, config: Callable[..., Config], complexities: str
) -> None:
    with pytest.raises(RequestError, match="must be numbers above 0, at least one"):
        new_model(config(f"model.complexities={complexities}"), rows)


def test_a_seed_repeats_to_the_bit(rows: Data, config: Callable[..., Config]) -> None:
    fold = make_folds(rows.manifest, config().protocol)[0]

    first, second = (fit_fold(config(), rows, fold, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first.predictions, second.predictions, check_exact=True)


def test_a_trial_is_fitted_without_selection(rows: Data, config: Callable[..., Config]) -> None:
    made = config()
    fold = make_folds(rows.manifest, made.protocol)[0]
    selected = fit_fold(made, rows, fold, seed=0)
    assert selected.selected_step is not None
    again = fit_trial(made, rows, fold, 0, selected.selected_step)
    assert all((again.weights[name] == selected.weights[name]).all() for name in again.weights)
    with pytest.raises(RequestError, match="has 6 trials, not 7"):
        fit_trial(made, rows, fold, 0, 7)
