from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sercli.corpora.synthetic.affect import AMBIGUOUS, SHARES
from sercli.corpora.synthetic.annotations import label_file
from sercli.corpora.synthetic.dialogues import SyntheticSize, generate_dialogues
from sercli.errors import RequestError

SEEDS = range(4)
TASK = {"ang": "anger", "hap": "happiness", "exc": "happiness", "neu": "neutral", "sad": "sadness"}


@cache
def turns_of(seed: int) -> pd.DataFrame:
    """All turns of a corpus in temporal order."""
    return pd.DataFrame(
        {
            "id": turn.id,
            "dialogue": dialogue.name,
            "session": dialogue.session,
            "speaker": turn.speaker,
            "start": turn.start,
            "end": turn.end,
            "label": turn.label,
        }
        for dialogue in generate_dialogues(seed)
        for turn in dialogue.turns
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_there_are_enough_turns_of_one_to_four_seconds(seed: int) -> None:
    turns = turns_of(seed)
    seconds = turns["end"] - turns["start"]
    assert len(turns) == 900
    assert turns["id"].is_unique
    assert turns["label"].isin(TASK).sum() > 450
    assert seconds.min() > 0.9999
    assert seconds.max() < 4.0001
    assert 1.8 < seconds.mean() < 2.2


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_have_the_shares_of_iemocap(seed: int) -> None:
    shares = turns_of(seed)["label"].value_counts(normalize=True)
    assert set(shares.index) <= set(SHARES)
    for label, share in SHARES.items():
        assert shares.get(label, 0.0) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_session_has_every_class_of_the_task(seed: int) -> None:
    turns = turns_of(seed)
    counts = pd.crosstab(turns["session"], turns["label"].map(TASK))
    assert counts.shape == (5, 4)
    assert counts.to_numpy().min() >= 5


def test_there_are_two_speakers_in_every_session_and_dialogue() -> None:
    turns = turns_of(0)
    assert turns["speaker"].nunique() == 10
    assert (turns.groupby("session")["speaker"].nunique() == 2).all()
    assert (turns.groupby("dialogue")["speaker"].nunique() == 2).all()


def test_dialogues_are_improvised_and_scripted_and_some_have_a_suffix() -> None:
    names = turns_of(0)["dialogue"].drop_duplicates()
    assert names.str.contains("impro").sum() == names.str.contains("script").sum() == 15
    assert names.str.match(r"Ses\d\dM_impro05a").any()
    assert names.str.match(r"Ses\d\dM_script01_1b").any()


def test_turns_of_two_speakers_overlap_and_those_of_one_do_not() -> None:
    turns = turns_of(0)
    for _, own in turns.groupby(["dialogue", "speaker"]):
        assert (own["start"].to_numpy()[1:] > own["end"].to_numpy()[:-1]).all()
    for _, both in turns.groupby("dialogue"):
        assert both["start"].is_monotonic_increasing
        assert (both["start"].to_numpy()[1:] < both["end"].to_numpy()[:-1]).any()


def chance_of_agreement(labels: pd.Series) -> float:
    return float((labels.value_counts(normalize=True) ** 2).sum())


def test_emotions_carry_over_to_the_next_own_turn_and_to_the_interlocutor() -> None:
    turns = turns_of(0)
    turns = turns[turns["label"] != AMBIGUOUS]
    own, other = [], []
    for _, scene in turns.groupby("dialogue"):
        for _, same in scene.groupby("speaker"):
            own += [a == b for a, b in pairwise(same["label"])]
        rows = scene[["speaker", "label"]].itertuples(index=False, name=None)
        other += [a[1] == b[1] for a, b in pairwise(rows) if a[0] != b[0]]
    chance = chance_of_agreement(turns["label"])
    assert np.mean(own) > chance + 0.3
    assert np.mean(other) > chance + 0.15


def test_the_same_seed_gives_the_same_play_and_another_seed_another() -> None:
    assert generate_dialogues(3) == generate_dialogues(3)
    assert generate_dialogues(3) != generate_dialogues(4)


@pytest.mark.parametrize(("dialogues", "turns"), [(0, 5), (7, 5), (2, 0)])
def test_a_size_that_cannot_be_is_refused(dialogues: int, turns: int) -> None:
    with pytest.raises(RequestError, match=f"not {dialogues} of {turns}"):
        SyntheticSize(dialogues_per_session=dialogues, turns_per_dialogue=turns)


def blocks_of(text: str) -> list[list[str]]:
    return [block.split("\n") for block in text.strip().split("\n\n")[1:]]


def test_raters_agree_on_the_label_and_not_where_it_is_ambiguous() -> None:
    random = np.random.default_rng(0)
    for dialogue in generate_dialogues(0)[:6]:
        for turn, lines in zip(
            dialogue.turns, blocks_of(label_file(dialogue, random)), strict=True
        ):
            votes = [line.split("\t")[1] for line in lines if line.startswith("C-")]
            winner = pd.Series(votes).value_counts()
            assert winner.iloc[0] == 1 if turn.label == AMBIGUOUS else winner.iloc[0] >= 2
            assert votes[0].casefold().startswith(turn.mood[:2]) or turn.label != turn.mood


def test_the_attributes_of_a_label_line_are_the_means_of_the_raters() -> None:
    random = np.random.default_rng(0)
    without_dominance = 0
    for dialogue in generate_dialogues(0):
        for lines in blocks_of(label_file(dialogue, random)):
            means = [float(value) for value in lines[0].split("\t")[3].strip("[]").split(", ")]
            rated = [
                [float(part.split()[1]) if " " in part.strip() else np.nan for part in parts[:3]]
                for parts in (line.split("\t")[1].split(";") for line in lines[4:])
            ]
            without_dominance += int(np.isnan(rated).sum())
            np.testing.assert_allclose(np.nanmean(rated, axis=0), means, atol=1e-4)
    assert 1 <= without_dominance <= 60
