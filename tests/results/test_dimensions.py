"""CCC and its intervals."""

from __future__ import annotations

import audmetric
import numpy as np
import pandas as pd
import pytest

from sercli.results.dimensions import Moments, ccc, moments

SPEAKERS = 6


def predictions(seeds: int = 2) -> pd.DataFrame:
    """Predictions of the same utterances of six speakers in three folds."""
    random = np.random.default_rng(1)
    truth = random.normal(3, 1, size=60)
    tables = []
    for seed in range(seeds):
        tables.append(
            pd.DataFrame(
                {
                    "seed": seed,
                    "fold": [f"fold{place % SPEAKERS // 2}" for place in range(60)],
                    "utterance": [f"u{place}" for place in range(60)],
                    "valence": truth,
                    "predicted_valence": 0.6 * truth + 1 + random.normal(0, 0.5, size=60),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


SPOKEN = {f"u{place}": f"s{place % SPEAKERS}" for place in range(60)}


def test_ccc_is_that_of_audmetric_and_0_without_variance() -> None:
    table = predictions(seeds=1)
    x, y = table["valence"], table["predicted_valence"]
    assert ccc(x, y) == pytest.approx(audmetric.concordance_cc(x, y))
    assert ccc([2, 2], [2, 2]) == 0


def test_a_resample_is_the_ccc_of_its_utterances() -> None:
    table = predictions()
    drawn = np.array([[1.0] * SPEAKERS, [2.0, 0, 1, 1, 1, 1]])
    whole, other = moments(table, ["valence"], SPOKEN).resampled(drawn)

    def mean_ccc(rows: pd.DataFrame) -> float:
        of = [ccc(each["valence"], each["predicted_valence"]) for _, each in rows.groupby("seed")]
        return float(np.mean(of))

    speaker = table["utterance"].map(SPOKEN)
    assert whole == pytest.approx(mean_ccc(table))
    twice = pd.concat([table[speaker != "s1"], table[speaker == "s0"]])
    assert other == pytest.approx(mean_ccc(twice))


def test_contributions_are_the_slopes_of_ccc_in_the_weights_of_speakers() -> None:
    found = moments(predictions(seeds=1), ["valence"], SPOKEN)
    step = 1e-6
    weights = np.ones((SPEAKERS, SPEAKERS)) + step * np.eye(SPEAKERS)
    slopes = (found.resampled(weights) - found.resampled(np.ones((1, SPEAKERS)))) / step
    assert found.contributions[0] == pytest.approx(slopes, abs=1e-5)
    assert found.contributions.sum() == pytest.approx(0)


def test_dimensions_are_averaged() -> None:
    one = moments(predictions(), ["valence"], SPOKEN)
    two = Moments(one.fold, np.concatenate([one.sums, one.sums], axis=2))
    assert np.allclose(two.contributions, one.contributions)
    assert np.allclose(two.of(1).sums, one.sums)
