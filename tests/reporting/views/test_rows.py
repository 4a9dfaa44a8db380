"""The rows of a report: their order, their names, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import pytest

from sercli.reporting.views.published import compare_all
from sercli.reporting.views.rows import published_rows, row_labels, run_rows
from sercli.results.baselines import Baseline, read_baselines
from sercli.results.run_record import Record
from sercli.results.seal import _without_test
from sercli.results.sweep_summary import PARAMETER

Make = Callable[..., Record]

WHERE = [{"seed": 0, "fold": "Session2", "step": 140}]


def named(system: str) -> list[Baseline]:
    """Take the shipped baselines of that name."""
    return [baseline for baseline in read_baselines() if baseline.system == system]


def systems(records: Sequence[Record]) -> list[str]:
    return [row.system for row in run_rows(records, [])]


def test_the_best_on_dev_comes_first_and_diverged_runs_come_last(record: Make) -> None:
    rows = run_rows(
        [
            record("activation=relu", diverged=WHERE),
            record("activation=tanh", dev_ua=0.5, ua=0.9),
            record("activation=leaky_relu", dev_ua=0.6, ua=0.1),
        ],
        [],
    )

    assert [row.activation for row in rows] == ["leaky_relu", "tanh", "relu"]


def test_a_row_holds_what_the_run_is_and_found(record: Make) -> None:
    run = record("activation=arelu", "arelu.alpha=0.1", "arelu.beta=2", "seeds=[4,5]")

    (row,) = run_rows([run], [])

    assert (row.model, row.cell, row.activation) == ("iaan_small", "gru", "arelu")
    assert (row.alpha, row.beta) == (0.1, 2.0)
    assert (row.seeds, row.folds, row.n) == (2, 5, 5531)
    assert (row.ua, row.wa, row.ua_oracle) == (0.70, 0.68, 0.72)
    assert (row.source, row.experiment, row.runs) == ("run", "first", [run.key])


def test_runs_that_differ_in_optimiser_schedule_or_augmentation_have_different_names(
    record: Make,
) -> None:
    found = systems(
        [
            record("activation=tanh", "optim=sgd", "optim.lr=0.001"),
            record("activation=tanh", "schedule=cosine"),
            record("activation=tanh", "augment=[speed,noise]"),
            record("activation=tanh"),
        ]
    )
    assert found == [
        "iaan_small gru tanh optim=sgd",
        "iaan_small gru tanh schedule=cosine",
        "iaan_small gru tanh augment=speed+noise",
        "iaan_small gru tanh",
    ]


def test_a_single_run_is_named_by_model_cell_and_activation(record: Make) -> None:
    assert systems([record("activation=tanh")]) == ["iaan_small gru tanh"]
    assert systems([record("activation=arelu", "arelu.alpha=0.1")]) == [
        "iaan_small gru arelu α=0.1 β=1"
    ]


def test_a_setting_is_shown_only_where_there_is_one(record: Make) -> None:
    clamped = record("arelu.alpha=0", "arelu.alpha_min=0")
    runs = [clamped, record("activation=tanh"), record("activation=arelu")]

    assert sorted(systems(runs)) == [
        "iaan_small gru arelu α=0 β=1 arelu.alpha_min=0.0",
        "iaan_small gru arelu α=0.01 β=1 arelu.alpha_min=0.01",
        "iaan_small gru tanh",
    ]


def test_the_value_of_most_runs_is_not_named(record: Make) -> None:
    clamped = record("arelu.alpha=0", "arelu.alpha_min=0")
    runs = [clamped, *(record("activation=arelu", f"arelu.beta={beta}") for beta in (1, 2))]

    assert systems(runs) == [
        "iaan_small gru arelu α=0 β=1 arelu.alpha_min=0.0",
        "iaan_small gru arelu α=0.01 β=1",
        "iaan_small gru arelu α=0.01 β=2",
    ]


def test_a_trial_of_a_named_point_has_the_name_of_the_plan(record: Make) -> None:
    made = [record("activation=tanh"), record("arelu.alpha=0.9"), record("activation=relu")]
    trials = pd.DataFrame(
        {
            "run": [made[0].key, made[1].key, None],
            f"{PARAMETER}point": ["IAAN", "AR-GRU (I)", "R-GRU"],
            f"{PARAMETER}cell.reset": ["after", "before", "after"],
            f"{PARAMETER}optim.lr": [0.1, 0.1, 0.1],
        }
    )
    trials.to_parquet(made[0].path.parent / "trials.parquet")

    rows = {row.activation: row for row in run_rows(made, [])}

    assert rows["tanh"].system == "IAAN, cell.reset=after"
    assert rows["arelu"].system == "AR-GRU (I), cell.reset=before"
    assert rows["arelu"].settings == "iaan_small gru arelu α=0.9 β=1"
    assert rows["relu"].system == rows["relu"].settings == "iaan_small gru relu"
    labels = row_labels(list(rows.values()))
    assert labels.note.startswith("All systems: iaan_small gru. ")
    assert "AR-GRU (I), cell.reset=before: arelu α=0.9 β=1" in labels.note


def test_a_model_without_recurrence_is_named_by_itself(record: Make) -> None:
    run = record("model=svm_functionals", card={"recurrent": False})

    assert systems([run]) == ["svm_functionals"]


def test_a_model_without_context_is_named_without_its_settings(record: Make) -> None:
    alone = {"context": "none: the model reads the utterance alone"}
    runs = [
        record("model=bigru_att_small", "activation=tanh", card=alone),
        record("model=bilstm_att_small", "activation=tanh", card=alone),
        record("model=iaan_small", "activation=tanh", "dataset.context.past_only=true"),
        record("model=iaan_small", "activation=tanh"),
    ]

    assert sorted(systems(runs)) == [
        "bigru_att_small gru tanh",
        "bilstm_att_small gru tanh",
        "iaan_small gru tanh dataset.context.past_only=False",
        "iaan_small gru tanh dataset.context.past_only=True",
    ]


def test_names_show_what_varies_between_the_runs_and_nothing_else(record: Make) -> None:
    runs = [record("activation=tanh", f"trainer.steps={steps}") for steps in (100, 200)]

    assert sorted(systems(runs)) == [
        "iaan_small gru tanh trainer.steps=100",
        "iaan_small gru tanh trainer.steps=200",
    ]


def test_settings_that_only_one_choice_of_a_group_has_do_not_vary(record: Make) -> None:
    names = systems([record("activation=tanh"), record("activation=leaky_relu")])

    assert sorted(names) == ["iaan_small gru leaky_relu", "iaan_small gru tanh"]
    names = systems([record(f"activation.slope={s}", "activation=leaky_relu") for s in (0.1, 0.2)])
    assert sorted(names) == [
        "iaan_small gru leaky_relu activation.slope=0.1",
        "iaan_small gru leaky_relu activation.slope=0.2",
    ]


def test_sizes_of_two_models_are_in_their_names_already(record: Make) -> None:
    names = systems([record("activation=tanh", f"model={name}") for name in ("iaan", "iaan_small")])

    assert sorted(names) == ["iaan gru tanh", "iaan_small gru tanh"]


def test_runs_of_as_many_but_other_seeds_have_different_names(record: Make) -> None:
    names = systems([record("activation=tanh", f"seeds=[{seed}]") for seed in (1, 2)])

    assert sorted(names) == ["iaan_small gru tanh seeds=[1]", "iaan_small gru tanh seeds=[2]"]


def test_a_diverged_row_says_where_and_has_no_figures(record: Make) -> None:
    (row,) = run_rows([record(diverged=WHERE)], read_baselines())

    assert row.reason == "diverged: seed 0, fold Session2, step 140"
    assert row.status == "diverged"
    assert row.ua is None
    assert row.dev_ua is None


def test_a_diverged_row_says_what_was_best_before(record: Make) -> None:
    best = {"selected_step": 40, "dev_ua": 0.4, "ua": 0.318, "oracle_step": 20, "ua_oracle": 0.33}
    run = record(diverged=[WHERE[0] | best])

    (row,) = run_rows([run], [])
    assert row.reason == (
        "diverged: seed 0, fold Session2, step 140 (before: 31.8 % UA of the fold at step 40, "
        "oracle 33.0 % at step 20)"
    )
    (row,) = run_rows([_without_test(run)], [])
    assert row.reason == (
        "diverged: seed 0, fold Session2, step 140 (before: 40.0 % dev UA at step 40)"
    )


def test_a_row_that_compares_with_nothing_says_why(record: Make) -> None:
    (row,) = run_rows([record("dataset=synthetic")], read_baselines())
    assert not row.comparable
    assert row.reason == "iemocap is real speech, that of the run is synthetic"

    (row,) = run_rows([record()], read_baselines())
    assert row.comparable
    assert row.reason is None


def test_a_dev_selected_or_unknown_result_is_compared_with_the_result(record: Make) -> None:
    run = record()

    (difference,) = compare_all(run_rows([run], []), named("AR-GRU (V)"))

    assert difference.delta_ua == pytest.approx(0.70 - 0.683)
    assert difference.delta_wa == pytest.approx(0.68 - 0.669)
    assert difference.selection == "dev"
    assert difference.caveat == "selection not stated"
    (noted,) = (each.model_copy(update={"note": "no dev fold"}) for each in named("AR-GRU (V)"))
    (difference,) = compare_all(run_rows([run], []), [noted])
    assert difference.remarks == ["selection not stated", "AR-GRU (V): no dev fold"]
    assert (difference.published, difference.runs) == ("AR-GRU (V)", [run.key])


def test_a_test_selected_result_is_compared_with_the_oracle(record: Make) -> None:
    (difference,) = compare_all(run_rows([record()], []), named("IAAN (official repository)"))

    assert difference.delta_ua == pytest.approx(0.72 - 0.6721)
    assert difference.delta_wa == pytest.approx(0.69 - 0.6583)
    assert difference.selection == "oracle"


def test_intervals_move_with_the_figures_that_are_subtracted(record: Make) -> None:
    run = record(ua_oracle_ci=[0.6, 0.8])

    (quoted,) = compare_all(run_rows([run], []), named("AR-GRU (V)"))
    (repository,) = compare_all(run_rows([run], []), named("IAAN (official repository)"))

    assert quoted.delta_ua_ci == pytest.approx([0.651 - 0.683, 0.749 - 0.683])
    assert quoted.delta_wa_ci == pytest.approx([0.63 - 0.669, 0.73 - 0.669])
    assert repository.delta_ua_ci == pytest.approx([0.6 - 0.6721, 0.8 - 0.6721])
    assert repository.delta_wa_ci is None


def test_several_seeds_have_a_standard_deviation(record: Make) -> None:
    by_seed = [{"seed": seed, "ua": ua, "wa": 0.5} for seed, ua in enumerate((0.6, 0.7, 0.8))]

    (row,) = run_rows([record(by_seed=by_seed)], [])
    assert row.ua_sd == pytest.approx(0.1)
    assert row.wa_sd == 0.0
    assert row.maf_sd is None

    (row,) = run_rows([record(by_seed=by_seed[:1])], [])
    assert row.ua_sd is None


@pytest.mark.parametrize(
    "arguments", [{"diverged": WHERE}, {"card": {"utterances": 100}}, {"card": {"synthetic": True}}]
)
def test_what_diverged_or_does_not_compare_is_not_subtracted(
    record: Make, arguments: dict[str, object]
) -> None:
    assert compare_all(run_rows([record(**arguments)], []), read_baselines()) == []


def test_a_published_row_holds_fractions_under_what_selected_them(record: Make) -> None:
    (quoted,) = published_rows(named("AR-GRU (V)"), [record()])
    (repository,) = published_rows(named("IAAN (official repository)"), [record()])

    assert quoted.ua == pytest.approx(0.683)
    assert quoted.ua_oracle is repository.ua is None
    assert (quoted.alpha, quoted.beta) == (0.01, 1.0)
    assert repository.ua_oracle == pytest.approx(0.6721)
    assert quoted.source == "published"


def test_a_published_row_says_whether_any_run_compares_and_else_why_none_does(
    record: Make,
) -> None:
    baselines = named("AR-GRU (V)")
    other, synthetic = record("protocol=loso_speaker"), record("dataset=synthetic")

    (row,) = published_rows(baselines, [record(), other])
    assert (row.comparable, row.reason) == (True, "selection not stated")

    (row,) = published_rows(baselines, [other, other, synthetic])
    assert row.comparable is False
    assert row.reason == (
        "protocol loso_session, not loso_speaker; "
        "iemocap is real speech, that of the run is synthetic"
    )
