"""Confusions of classes, and the utterances that are most often misclassified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sercli.analysis.predictions import RunPredictions


def confusions(run: RunPredictions) -> list[dict[str, Any]]:
    """Count how often each class is predicted as each other one, the largest share first.

    Args:
        run: The predictions of a run.

    Returns:
        For each pair of classes: ``truth``, ``predicted``; ``n``, utterances per seed; ``share``
        of the utterances of the true class.
    """
    table = run.predictions
    seeds = table["seed"].nunique()
    of_class = table["label"].value_counts()
    wrong = table[table["label"] != table["predicted"]]
    pairs = wrong.value_counts(["label", "predicted"]).reset_index(name="n")
    rows = [
        {
            "truth": pair["label"],
            "predicted": pair["predicted"],
            "n": pair["n"] / seeds,
            "share": float(pair["n"] / of_class[pair["label"]]),
        }
        for pair in pairs.to_dict("records")
    ]
    return sorted(rows, key=lambda row: (-row["share"], row["truth"], row["predicted"]))


def confused_utterances(runs: Sequence[RunPredictions], most: int) -> list[dict[str, Any]]:
    """Find the utterances that runs of one task misclassify most often.

    Every seed of every run counts once. Ties are sorted by the probability of the true class, the
    lowest first.

    Args:
        runs: The predictions of the runs.
        most: Number of utterances to return.

    Returns:
        For each utterance: ``utterance``; ``truth``; ``predicted``, the most frequent wrong class;
        ``wrong`` of ``trials`` predictions; mean ``probability`` of the true class;
        ``transcript``.
    """
    table = pd.concat([_probability_of_truth(run) for run in runs], ignore_index=True)
    table["wrong"] = table["label"] != table["predicted"]
    found = table.groupby("utterance").agg(
        truth=("label", "first"),
        wrong=("wrong", "sum"),
        trials=("wrong", "size"),
        probability=("probability", "mean"),
    )
    found = found[found["wrong"] > 0].assign(share=found["wrong"] / found["trials"])
    found = found.sort_values(["share", "probability"], ascending=[False, True]).head(most)
    missed = table[table["wrong"] & table["utterance"].isin(found.index)]
    usual = missed.groupby("utterance")["predicted"].agg(lambda taken: taken.mode().iloc[0])
    transcripts = pd.concat([run.utterances["transcript"] for run in runs])
    transcripts = transcripts[~transcripts.index.duplicated()]
    found = found.assign(predicted=usual, transcript=transcripts.reindex(found.index))
    rows = found.drop(columns="share").reset_index().astype(object).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _probability_of_truth(run: RunPredictions) -> pd.DataFrame:
    table = run.predictions
    classes = sorted(table["label"].unique())
    places = pd.Categorical(table["label"], categories=classes).codes
    probabilities = table[[f"p_{name}" for name in classes]].to_numpy()
    table = table[["utterance", "label", "predicted"]]
    return table.assign(probability=probabilities[range(len(table)), places])
