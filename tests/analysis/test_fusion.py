"""Late fusion by weights that are fitted on dev."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sercli.analysis.fusion import LEAST, fit_weights, fuse_tables, pool

CLASSES = ("anger", "joy", "neutral")
SIZE = 120


def predicted(sharpness: float, seed: int) -> pd.DataFrame:
    """Predictions in two folds, more accurate with higher sharpness; 0: random."""
    random = np.random.default_rng(seed)
    tables = []
    for fold in ("one", "two"):
        for part in ("dev", "test"):
            truth = np.arange(SIZE) % len(CLASSES)
            logits = random.normal(size=(SIZE, len(CLASSES)))
            logits[np.arange(SIZE), truth] += sharpness
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            facts = {
                "seed": 0,
                "fold": fold,
                "part": part,
                "utterance": [f"{fold}-{part}{place}" for place in range(SIZE)],
                "label": np.array(CLASSES)[truth],
            }
            shares = {f"p_{name}": p[:, place] for place, name in enumerate(CLASSES)}
            tables.append(pd.DataFrame(facts | shares))
    return pd.concat(tables, ignore_index=True)


def decisions(table: pd.DataFrame) -> list[str]:
    """The classes that one run predicts on test."""
    test = table[table["part"] == "test"]
    p = test[[f"p_{name}" for name in CLASSES]].to_numpy()
    return [CLASSES[place] for place in p.argmax(axis=1)]


def wa(fused: pd.DataFrame) -> float:
    return float((fused["label"] == fused["predicted"]).mean())


def test_a_run_fused_with_itself_decides_as_before() -> None:
    run = predicted(1.0, seed=1)
    weights, fused = fuse_tables([run, run])
    assert fused["predicted"].tolist() == decisions(run)
    assert np.allclose(weights[0], weights[1])


def test_a_random_run_gets_little_weight_and_does_no_harm() -> None:
    good, random = predicted(1.5, seed=1), predicted(0.0, seed=2)
    weights, fused = fuse_tables([random, good])
    assert (weights[0] < 0.2 * weights[1]).all()
    alone = np.mean(np.array(decisions(good)) == fused["label"])
    assert wa(fused) >= alone - 0.02


def test_two_independent_runs_are_better_than_each() -> None:
    a, b = predicted(1.0, seed=1), predicted(1.0, seed=2)
    _, fused = fuse_tables([a, b])
    assert wa(fused) > max(np.mean(np.array(decisions(x)) == fused["label"]) for x in (a, b)) + 0.03


def test_only_dev_labels_have_an_effect() -> None:
    a, b = predicted(1.0, seed=1), predicted(0.5, seed=2)

    def relabelled(part: str) -> list[pd.DataFrame]:
        label = np.where(a["part"] == part, "anger", a["label"])
        return [each.assign(label=label) for each in (a, b)]

    (weights, fused), (same, after) = fuse_tables([a, b]), fuse_tables(relabelled("test"))
    pd.testing.assert_frame_equal(weights, same)
    pd.testing.assert_frame_equal(fused.drop(columns="label"), after.drop(columns="label"))
    assert not np.allclose(fuse_tables(relabelled("dev"))[0][0], weights[0])


def test_weights_are_those_of_a_search_over_a_grid() -> None:
    a, b = (predicted(s, seed) for s, seed in ((1.0, 3), (0.6, 4)))
    columns = [f"p_{name}" for name in CLASSES]
    dev = (a["part"] == "dev").to_numpy()
    log_p = np.log([table[columns].to_numpy()[dev] for table in (a, b)])
    labels = np.array([CLASSES.index(label) for label in a["label"][dev]])

    def loss(w: np.ndarray) -> float:  # classes are equally frequent
        return float(-np.log(pool(log_p, w)[np.arange(len(labels)), labels]).mean())

    found = fit_weights(log_p, labels)
    around = [found + np.array(move) for move in [(0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)]]
    assert all(loss(found) < loss(each) for each in around)


def test_a_run_that_is_certainly_wrong_has_the_least_weight() -> None:
    certain, unsure = np.array([[1.0, 0.0]] * 2), np.array([[0.5, 0.5]] * 2)
    table = pd.DataFrame(
        {"seed": 0, "fold": "one", "part": ["dev", "test"], "utterance": ["a", "b"]}
    )
    runs = [
        table.assign(label="right", p_wrong=p[:, 0], p_right=p[:, 1]) for p in (certain, unsure)
    ]
    weights, fused = fuse_tables(runs)
    assert weights.loc[0, 0] == pytest.approx(LEAST)
    assert np.isfinite(fused[["p_wrong", "p_right"]]).all(axis=None)
