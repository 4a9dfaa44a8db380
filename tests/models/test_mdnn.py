from __future__ import annotations

import pytest
import torch
from helpers.reference_models import (
    linear,
    random_batch,
    run_with_criterion,
    sequences,
    tiny,
    weights_of,
)

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.models.interface import CorpusInfo
from sercli.models.mdnn import feature_groups
from sercli.training.validate import check_settings

TINY = ("model=mdnn", "model.local_units=3", "model.global_units=5", "model.dropout=0")
GROUPS = "model.groups=[[fa],[5-5,fb2,3-4]]"  # of six features fa0, fa1, fb2, … fb5


def test_all_logits_are_those_of_the_equations_computed_one_by_one() -> None:
    model, batch = tiny(*TINY, GROUPS), random_batch(padding=2)
    w = weights_of(model)
    found, criterion = run_with_criterion(model, batch)
    for i, frames in enumerate(sequences(batch.current)):
        means = [sum(column) / len(column) for column in frames.T]
        deviations = [
            (sum((x - mean) ** 2 for x in column) / len(column)).clamp(min=1e-12).sqrt()
            for column, mean in zip(frames.T, means, strict=True)
        ]
        hidden = []
        for number, group in enumerate(([0, 1], [2, 3, 4, 5])):
            inputs = torch.stack([means[k] for k in group] + [deviations[k] for k in group])
            hidden.append(linear(w, f"local_hidden.{number}.0", inputs).clamp(min=0))
            local = linear(w, f"local_heads.{number}", hidden[-1])
            torch.testing.assert_close(criterion.calls[number][1][i], local)
        inner = linear(w, "global_head.0.0", torch.cat(hidden)).clamp(min=0)
        torch.testing.assert_close(found.logits[i], linear(w, "global_head.1", inner))


def test_local_classifiers_learn_the_classes_and_share_their_weight() -> None:
    model = tiny(*TINY, GROUPS, "model.local_weight=0.5")
    output, criterion = run_with_criterion(model, random_batch())
    assert [column for column, _ in criterion.calls] == ["label", "label"]
    for loss, (_, logits) in zip(output.losses.values(), criterion.calls, strict=True):
        torch.testing.assert_close(loss, 0.25 * logits.square().sum())


def test_the_groups_of_the_packaged_model_divide_the_45_descriptors_of_iaan() -> None:
    from sercli.config.compose import compose
    from sercli.features.sets import column_names

    config = compose(["model=mdnn", "features=iaan45"])
    names = column_names(config.features)
    groups = feature_groups(config.model["groups"], 45, CorpusInfo(columns=lambda: names))
    assert sorted(i for group in groups for i in group) == list(range(45))
    assert [len(group) for group in groups] == [5, 4, 12, 12, 12]


def test_positions_need_no_names() -> None:
    def no_names() -> list[str]:
        raise AssertionError

    groups = feature_groups([["0-1", "1-2"], ["4-4"]], 5, CorpusInfo(columns=no_names))
    assert groups == [[0, 1, 2], [4]]


def test_positions_are_not_judged_before_the_corpus_is_read() -> None:
    check_settings(compose(["model=mdnn_small", "model.groups=[[0-39],[40-79]]"]))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("[]", r"model.groups=\[\]: expected a list of features for each group"),
        ("[[]]", "expected a list of features for each group"),
        ("[fa,fb]", "expected a list of features for each group"),
        ("[[3-6]]", "3-6 is no range of the 6 features 0-5"),
        ("[[3-2]]", "3-2 is no range"),
        ("[[F0]]", "none of the 6 features begins with 'F0'; they are fa0, fa1, fb2, …"),
        ("all", r"model.groups=all: must be a list; write model.groups=\[all\]"),
    ],
)
def test_groups_of_nothing_are_refused(groups: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny(*TINY, f"model.groups={groups}")
