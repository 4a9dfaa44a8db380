"""Which classes are taken for which, and which utterances are confused most often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sercli.analysis.predictions import Predicted


def pair_rows(run: Predicted) -> list[dict[str, Any]]:
    """Count how often each class is taken for each other one, most often first.

    Args:
        run: What a run predicted of test.

    Returns:
        ``truth``, ``predicted``; ``n``, utterances per seed; ``share`` of those of that class.
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


def confused_rows(runs: Sequence[Predicted], most: int) -> list[dict[str, Any]]:
    """Find the utterances that runs of one task confuse most often.

    Every seed of every run counts once. Of those that are confused as often, the first are those
    whose true class was held for least probable.

    Args:
        runs: What they predicted of test.
        most: How many to return.

    Returns:
        ``utterance``; ``truth``; ``predicted``, the class that it is most often taken for;
        ``wrong`` of ``trials``; ``probability`` of the true class, on average; ``transcript``.
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


def _probability_of_truth(run: Predicted) -> pd.DataFrame:
    table = run.predictions
    classes = sorted(table["label"].unique())
    places = pd.Categorical(table["label"], categories=classes).codes
    probabilities = table[[f"p_{name}" for name in classes]].to_numpy()
    table = table[["utterance", "label", "predicted"]]
    return table.assign(probability=probabilities[range(len(table)), places])
