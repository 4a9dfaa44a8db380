"""Training on the labels of single raters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sercli.config.compose import compose
from sercli.config.run_key import result_relevant
from sercli.config.schema import Config, TrainerConfig
from sercli.corpora.manifest import RATINGS, Refusal
from sercli.corpora.ratings import UnreadRatings
from sercli.errors import RequestError
from sercli.results.folds import Fold
from sercli.training.batches import collate
from sercli.training.caveats import caveats
from sercli.training.data import Data
from sercli.training.folds import make_folds
from sercli.training.listeners import listener_scores
from sercli.training.loss import TrainingLoss, classification_loss
from sercli.training.raters import check_ratings, soft_targets, training_items
from sercli.training.trainer import train_fold
from sercli.training.validate import new_model

CPU = torch.device("cpu")


def rated(data: Data, *ratings: tuple[str, str, str]) -> Data:
    """Give the corpus ratings: utterance, rater, class."""
    table = pd.DataFrame([(u, r, c, c) for u, r, c in ratings], columns=list(RATINGS), dtype="str")
    return replace(data, manifest=replace(data.manifest, ratings=table))


@pytest.fixture(name="judged", scope="module")
def _judged(toy: Data) -> Data:
    """Two raters who agree with every label, and one of session 1 who always says anger."""
    agreed = [(name, rater, label) for name, label in toy.labels.items() for rater in ("r1", "r2")]
    angry = [(name, "r3", "anger") for name in toy.labels if name.startswith("s1")]
    return rated(toy, *agreed, *angry)


@pytest.fixture(name="folds", scope="module")
def _folds(toy: Data, toy_config: Callable[..., Config]) -> list[Fold]:
    return list(make_folds(toy.manifest, toy_config().protocol))


def test_soft_targets_are_shares_of_raters_or_the_label(toy: Data) -> None:
    data = rated(
        *(toy, ("s1a0", "r1", "anger"), ("s1a0", "r2", "sadness"), ("s1a0", "r3", "anger")),
        *(("s1a1", "r1", "sadness"), ("s1a1", "r1", "anger")),  # the first of two of one rater
    )
    rows = data.packed.rows(["s1a0", "s1a1", "s1a2"])
    third = data.packed.labels[rows[2]]
    expected = [[2 / 3, 0, 0, 1 / 3], [0, 0, 0, 1], np.eye(4)[third]]
    torch.testing.assert_close(soft_targets(data)[rows], torch.tensor(np.array(expected)).float())


@pytest.mark.parametrize(("gamma", "smoothing"), [(0.0, 0.0), (2.0, 0.1)])
def test_soft_targets_of_one_class_give_the_loss_of_the_class(
    gamma: float, smoothing: float
) -> None:
    logits, weights = torch.randn(5, 4), torch.tensor([1.0, 2.0, 0.5, 3.0])
    classes = torch.tensor([0, 1, 2, 3, 1])
    settings = {"smoothing": smoothing, "gamma": gamma}
    hard = classification_loss(logits, classes, weights, **settings)
    soft = classification_loss(logits, torch.eye(4)[classes], weights, **settings)
    torch.testing.assert_close(soft, hard)


def test_the_loss_of_soft_labels_is_the_mean_over_raters(toy: Data) -> None:
    data = rated(toy, ("s1a0", "r1", "anger"), ("s1a0", "r2", "sadness"))
    plain = TrainerConfig(label_smoothing=0.0)
    rows, logits = data.packed.rows(["s1a0"]), torch.randn(1, 4)
    soft = TrainingLoss(replace(plain, labels="soft"), data, ["s1a0"], CPU)
    each = TrainingLoss(plain, data, ["s1a0"], CPU)
    singles = [each.criterion(rows, labels=np.array([c]))("label", logits) for c in (0, 3)]
    torch.testing.assert_close(soft.criterion(rows)("label", logits), sum(singles) / 2)


def test_an_item_is_a_rating_of_the_training_set_and_rare_raters_are_one(
    judged: Data, folds: list[Fold]
) -> None:
    fold = next(fold for fold in folds if fold.name == "session1")
    data = replace(judged, min_ratings=20)  # r3 has 16
    assert data.raters == ["other", "r1", "r2"]
    items = training_items("rater", data, fold.train)
    assert items.labels is not None
    assert items.raters is not None
    assert len(items.rows) == 2 * len(fold.train)
    assert set(items.raters) == {1, 2}  # the angry rater is in the test set alone
    np.testing.assert_array_equal(items.labels, data.packed.labels[items.rows])


@pytest.mark.parametrize("labels", ["soft", "rater"])
@pytest.mark.parametrize("augment", ["none", "spec_augment"])
def test_any_model_trains_on_raters_and_a_seed_repeats_it(
    judged: Data, folds: list[Fold], toy_config: Callable[..., Config], labels: str, augment: str
) -> None:
    few = (f"trainer.labels={labels}", f"augment={augment}", "trainer.steps=4")
    config = toy_config(*few, "trainer.eval_every=2")
    fold = next(fold for fold in folds if "s1a0" in fold.train)  # with the angry rater
    one, two = (train_fold(config, judged, fold, seed=0) for _ in range(2))
    pd.testing.assert_frame_equal(one.history, two.history)
    other = train_fold(toy_config(*few[1:], "trainer.eval_every=2"), judged, fold, seed=0)
    assert one.history["loss"].iloc[-1] != other.history["loss"].iloc[-1]


def test_labels_of_raters_are_in_the_key_only_if_they_are_used() -> None:
    def trainer(*overrides: str) -> set[str]:
        return set(result_relevant(compose(overrides))["trainer"])

    base = trainer("trainer.min_ratings=7")
    assert base == trainer()
    assert trainer("trainer.labels=soft") - base == {"labels"}
    assert trainer("trainer.labels=rater") - base == {"labels", "min_ratings"}


def test_missing_labels_of_raters_are_one_clear_line(
    toy: Data, judged: Data, folds: list[Fold], toy_config: Callable[..., Config]
) -> None:
    soft, rater = (toy_config(f"trainer.labels={each}") for each in ("soft", "rater"))
    with pytest.raises(RequestError, match="toy has no labels of single raters among the classes"):
        check_ratings(soft, toy, folds)
    unread = (UnreadRatings("detailed.csv", "has no column 'Workers'"), Refusal("a.wav", "labels"))
    refused = replace(toy, manifest=replace(toy.manifest, refused=unread))
    with pytest.raises(RequestError, match=r"task \(detailed.csv: .* no column 'Workers'\); set"):
        check_ratings(soft, refused, folds)
    test = rated(toy, ("s1a0", "r1", "anger"))
    with pytest.raises(RequestError, match="no training utterance of fold session1 has the label"):
        check_ratings(rater, test, folds)
    check_ratings(soft, test, folds)
    fitted = compose(["model=svm_functionals", "trainer.labels=soft"])
    with pytest.raises(RequestError, match="svm_functionals is fitted to one label"):
        check_ratings(fitted, judged, folds)
    (caveat,) = caveats(rater, test, folds)
    assert caveat == (
        "63 of 64 utterances have no rater's label among the classes; they are not trained on"
    )
    assert not caveats(rater, judged, folds)


def test_a_listener_adaptive_model_asks_the_raters_of_its_training_set(
    judged: Data, folds: list[Fold], toy_config: Callable[..., Config]
) -> None:
    few = ("trainer.steps=3", "trainer.eval_every=3", "trainer.batch_size=16")
    config = compose(["model=listener_adaptive_small", "activation=tanh", *few])
    fold = next(fold for fold in folds if fold.name == "session1")
    result = train_fold(config, judged, fold, seed=0)
    assert judged.raters == ["r1", "r2", "r3"]
    assert result.weights["heard"].tolist() == [1, 1, 0]
    shares = result.predictions.filter(like="p_").sum(axis=1)
    np.testing.assert_allclose(shares, 1, rtol=1e-5)

    scores = listener_scores(config, judged, folds, [result])
    model = new_model(config, judged).eval()
    model.load_state_dict({name: torch.from_numpy(x) for name, x in result.weights.items()})
    found = result.predictions
    test = found[(found["part"] == "test") & (found["selection"] == "dev")]
    hits = []
    for rater, name in enumerate(judged.raters):
        classes = list(test["predicted"])  # r3 has no label in training
        labels = list(test["label"]) if name != "r3" else ["anger"] * len(test)
        for i, utterance in enumerate(test["utterance"] if name != "r3" else ()):
            batch = collate(judged.packed.rows([utterance]), judged.packed, CPU)
            logits = model(replace(batch, rater=torch.tensor([rater])))
            classes[i] = judged.manifest.classes[int(logits.argmax())]
        hits.append(np.mean(np.array(classes) == np.array(labels)))
    assert scores is not None
    assert scores["wa"] == pytest.approx(np.mean(hits))
    assert (scores["raters"], scores["labels"]) == (3, 3 * len(test))
    assert listener_scores(toy_config(), judged, folds, [result]) is None

    majority = compose(["model=listener_adaptive_small", "trainer.labels=majority"])
    with pytest.raises(RequestError, match=r"learns from single raters: set trainer\.labels=rater"):
        check_ratings(majority, judged, folds)
