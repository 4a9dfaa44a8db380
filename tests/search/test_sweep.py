"""The sweep: every trial is trained once, through failures, divergences and interruptions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.toy import toy_data

from sercli.config.schema import Config
from sercli.errors import Interrupted, RequestError, SercliError
from sercli.progress import SILENT
from sercli.results.run_record import Record, find_records, read_record
from sercli.results.seal import hide_sealed, shows_test
from sercli.results.sweep_summary import read_sweep, read_trials
from sercli.results.verify.record import verify_record
from sercli.search.plan.plan import Plan, make_plan
from sercli.search.sweep import SweepOptions, SweepResult, default_workers, run_sweep
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.run import train_configuration, train_run
from sercli.training.validate import ValidatedRun, validate_run

STEPS = 2
FOLDS = 3
RUN_STEPS = FOLDS * STEPS


@pytest.fixture(name="toy", scope="module")
def _toy() -> Data:
    return toy_data(sessions=FOLDS)


@pytest.fixture(name="reads", autouse=True)
def _reads(toy: Data, monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """Give the toy corpus to sweeps, and list the configurations that were read."""
    reads: list[Config] = []
    give(toy, reads, monkeypatch)
    return reads


def give(toy: Data, reads: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    def read(config: Config, **options: object) -> Data:
        reads.append(config)
        return toy

    monkeypatch.setattr("sercli.search.worker.runner.read_data", read)
    monkeypatch.setattr("sercli.search.worker.runner.pool_size", lambda config, workers: 1)


@pytest.fixture(name="plan")
def _plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """Plan a sweep of tiny runs; its records go below ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    return planned


@cache
def planned(*overrides: str, **options: Any) -> Plan:
    """Plan it once for all tests: to compose takes longer than to train."""
    tiny = [f"model.{name}=4" for name in ("hidden", "context_hidden", "attention", "head")]
    fixed = [f"trainer.steps={STEPS}", f"trainer.eval_every={STEPS}", "paths.runs=."]
    return make_plan([*tiny, *fixed, "experiment=study", *overrides], **options)


@dataclass(frozen=True)
class Finished:
    """A finished sweep over tanh and relu.

    Attributes:
        result: The result of the command that trained it.
        notes: Its notes.
        reads: The configurations whose data it read.
    """

    result: SweepResult
    notes: tuple[str, ...]
    reads: tuple[Config, ...]


@pytest.fixture(name="folder_of_two", scope="module")
def _folder_of_two(
    toy: Data, watching: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Finished]:
    """Train a sweep over tanh and relu once for all tests."""
    folder = tmp_path_factory.mktemp("two")
    reads: list[Config] = []
    progress = watching()
    with pytest.MonkeyPatch.context() as patched:
        give(toy, reads, patched)
        patched.chdir(folder)
        result = sweep(planned("activation=tanh,relu"), progress)
    return folder, Finished(result, tuple(progress.notes), tuple(reads))


@pytest.fixture(name="finished")
def _finished(
    folder_of_two: tuple[Path, Finished], tmp_path: Path, plan: Callable[..., Plan]
) -> Finished:
    """Copy the finished sweep over tanh and relu to ``tmp_path``."""
    folder, finished = folder_of_two
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return finished


def sweep(plan: Plan, progress: Any = SILENT) -> SweepResult:
    return run_sweep(plan, SweepOptions(workers=1), progress)


def activations(records: Sequence[Record]) -> list[str]:
    return [record.summary["configuration"]["activation"]["name"] for record in records]


def states(result: SweepResult) -> dict[str, int]:
    return {state: n for state, n in result.summary.states.items() if n}


def test_every_trial_has_a_record_and_its_objective_is_ua_on_dev(
    finished: Finished, tmp_path: Path
) -> None:
    result = finished.result

    assert (states(result), result.finished_now) == ({"complete": 2}, 2)
    assert result.succeeded
    assert activations(result.records) == ["tanh", "relu"]
    storage = f"sqlite:///{tmp_path / 'study' / 'study.db'}"
    trials = optuna.load_study(study_name="study", storage=storage).trials
    assert [trial.value for trial in trials] == [
        record.metrics["dev_ua"] for record in result.records
    ]
    assert [trial.params["activation"] for trial in trials] == ["tanh", "relu"]
    assert len(finished.reads) == 1  # all trials read the same corpus


def test_the_winner_is_the_best_on_dev_and_is_in_the_summary(
    finished: Finished, tmp_path: Path
) -> None:
    result = finished.result

    best = max(result.records, key=lambda record: record.metrics["dev_ua"])
    summary = read_sweep(tmp_path / "study")
    assert summary == result.summary
    assert summary is not None
    assert summary.sealed
    winner = next(record for record in result.records if record.key == summary.winner)
    assert winner.metrics["dev_ua"] == best.metrics["dev_ua"]
    trials = read_trials(tmp_path / "study")
    assert trials["run"].tolist() == [record.key for record in result.records]
    assert trials["param/activation"].tolist() == ["tanh", "relu"]


def test_a_finished_sweep_trains_nothing_again(
    plan: Callable[..., Plan], finished: Finished, watching: Any
) -> None:
    progress = watching()

    second = sweep(plan("activation=tanh,relu"), progress)

    assert second.finished_now == 0
    assert progress.steps == 0
    assert [record.summary for record in second.records] == [
        record.summary for record in finished.result.records
    ]


@pytest.mark.usefixtures("finished")
def test_a_sweep_may_grow(plan: Callable[..., Plan], watching: Any) -> None:
    progress = watching()

    result = sweep(plan("activation=tanh,relu,leaky_relu"), progress)

    assert (states(result), result.finished_now) == ({"complete": 3}, 1)
    assert progress.steps == RUN_STEPS
    assert result.summary.space == {"activation": "tanh,relu; tanh,relu,leaky_relu"}
    (added,) = [note for note in progress.notes if "added to experiment" in note]
    assert added.startswith("1 trial is added to experiment study (")
    assert added.endswith("which has 2, 2 of them complete")


def test_adding_to_a_search_says_what_was_seen_and_which_settings_differ(
    plan: Callable[..., Plan], finished: Finished, watching: Any
) -> None:
    records = [read_record(path) for path in find_records(Path("study"))]
    hide_sealed(records)  # a report has shown the winner
    progress = watching()

    sweep(plan("activation=tanh,elu", "optim.lr=0.5"), progress)

    notes = "\n".join(progress.notes)
    assert "experiment study: 2 trials of an earlier sweep differ in optim.lr" in notes
    best = max(finished.result.records, key=lambda record: record.metrics["dev_ua"])
    winner = best.summary["configuration"]["activation"]["name"]
    assert f"the test result of the winner has been seen (activation={winner})" in notes


def test_named_systems_are_offered_a_comparison_that_trains_nothing_again(
    plan: Callable[..., Plan], finished: Finished, watching: Any
) -> None:
    (offer,) = [note for note in finished.notes if "--comparison" in note]
    assert offer.endswith("; finished runs are not trained again")

    again = watching()
    result = sweep(plan("activation=tanh,relu", "experiment=open", comparison=True), again)

    assert (again.steps, result.finished_now) == (0, 2)
    assert sum(note.endswith("3 fold runs, recorded earlier") for note in again.notes) == 2
    assert not [note for note in finished.notes if "recorded earlier" in note]
    assert not [note for note in again.notes if "--comparison" in note]
    records, _ = hide_sealed(result.records)
    assert all(map(shows_test, records))


def test_a_run_of_the_experiment_that_is_no_trial_is_not_sealed(
    plan: Callable[..., Plan], toy: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.training.run.read_data", lambda *given, **options: toy)
    searched = plan("activation=tanh,relu")
    config = searched.space.thaw(searched.points[0])
    before = train_configuration(replace(config, optim=replace(config.optim, lr=0.3)), workers=1)
    result = sweep(searched)
    after = train_configuration(replace(config, optim=replace(config.optim, lr=0.4)), workers=1)
    trial = train_configuration(config, workers=1)

    shown = {each.key: shows_test(each) for each in hide_sealed([before, after, trial])[0]}

    assert (shown[before.key], shown[after.key]) == (True, True)
    assert shown[trial.key] == (trial.key == result.summary.winner)


def test_an_interrupted_sweep_resumes(plan: Callable[..., Plan], watching: Any) -> None:
    def stop_in_the_second_trial(task: str, count: float) -> None:
        if progress.steps == RUN_STEPS + STEPS + 1:
            raise Interrupted

    progress = watching(stop_in_the_second_trial)
    with pytest.raises(Interrupted):
        sweep(plan("activation=tanh,relu"), progress)

    again = watching()
    result = sweep(plan("activation=tanh,relu"), again)
    assert (states(result), result.finished_now) == ({"complete": 2}, 1)
    assert again.steps == RUN_STEPS - STEPS  # one fold of the second was done
    assert again.counts["sweep study, trials"] == 1
    assert activations(result.records) == ["tanh", "relu"]


def test_an_invalid_trial_is_refused_before_any_work(
    plan: Callable[..., Plan], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=r"arelu.alpha=0.8.*: .* lies outside its clamp"):
        sweep(plan("activation=arelu", "arelu.alpha_max=0.5", "arelu.alpha=0.1,0.8,0.2"))

    assert not list(tmp_path.rglob("run.json"))


def no_memory_for_tanh(run: ValidatedRun, *arguments: Any, **options: Any) -> tuple[Record, bool]:
    """Train a run, unless it is one with tanh."""
    if run.config.activation["name"] == "tanh":
        raise SercliError("a training process was killed")
    return train_run(run, *arguments, **options)


def test_a_failed_trial_is_retried_noted_listed_and_trained_by_the_next_sweep(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, watching: Any
) -> None:
    progress = watching()
    with monkeypatch.context() as patched:
        patched.setattr("sercli.search.worker.runner.train_run", no_memory_for_tanh)
        first = sweep(plan("activation=tanh,relu"), progress)
    ((overrides, reason),) = first.failed
    assert "activation=tanh" in overrides
    assert reason == "a training process was killed"
    assert progress.notes.count("trial 0 failed: a training process was killed") == 3
    assert states(first) == {"complete": 1, "failed": 1}
    assert not first.succeeded
    document = json.loads(json.dumps(first.to_json()))
    (record,) = first.records
    assert document["runs"] == [
        {"key": record.key, "status": "complete", "dev_ua": record.metrics["dev_ua"]}
    ]
    assert (document["trials"], document["finished"], document["finished_now"]) == (2, 1, 2)
    assert "activation=tanh" in document["failed"][0]["trial"]
    assert first.lines()[1].startswith("failed: model.hidden=4 ")

    second = sweep(plan("activation=tanh,relu"))
    assert (second.finished_now, second.failed) == (1, ())
    assert second.succeeded


def a_bug(run: ValidatedRun, *arguments: Any, **options: Any) -> tuple[Record, bool]:
    raise ZeroDivisionError(f"division of {run.config.seeds[0]} by zero")


def test_a_sweep_whose_first_trials_all_fail_alike_stops_and_says_so(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.worker.runner.train_run", a_bug)

    result = sweep(plan("seeds=" + ",".join(f"[{n}]" for n in range(5))))

    assert states(result) == {"waiting": 5}  # what failed waits to be tried again, too
    assert result.stopped == (
        "the first 3 trials failed alike: ZeroDivisionError: division of 0 by zero"
    )
    assert not result.succeeded


@pytest.mark.usefixtures("finished")
def test_trials_that_fail_alike_are_one_line(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.search.worker.runner.train_run", a_bug)

    result = sweep(plan("seeds=[0],[1],[2]", "activation=elu"))

    ((trials, cause),) = result.failed
    assert trials.endswith("and 2 more")
    assert cause == "ZeroDivisionError: division of 0 by zero"


def test_a_diverged_trial_is_a_result_and_is_not_retried(
    plan: Callable[..., Plan], watching: Any
) -> None:
    planned = plan("activation=relu", "optim.lr=1e20,0.01")

    first = sweep(planned)
    assert [record.status for record in first.records] == ["diverged", "complete"]
    assert (first.finished_now, first.failed, first.succeeded) == (2, (), False)
    assert first.summary.winner == first.records[1].key

    progress = watching()
    second = sweep(planned, progress)
    assert (second.finished_now, progress.steps) == (0, 0)
    assert second.lines() == ["study: 2 trials: 0 finished now, 2 earlier, 1 diverged, 0 failed"]


def test_a_trial_whose_record_was_removed_is_trained_again(
    plan: Callable[..., Plan], finished: Finished, watching: Any
) -> None:
    first = finished.result
    shutil.rmtree(Path("study") / first.records[0].key)
    progress = watching()

    second = sweep(plan("activation=tanh,relu"), progress)

    assert progress.steps == RUN_STEPS
    assert [record.summary for record in second.records] == [
        record.summary for record in first.records
    ]


def test_a_run_that_was_trained_before_is_taken_into_the_sweep(
    plan: Callable[..., Plan], toy: Data, watching: Any
) -> None:
    planned = plan("activation=tanh,relu")
    with FoldPool(toy) as pool:
        train_run(validate_run(planned.space.thaw(planned.points[0]), toy), pool)
    progress = watching()

    result = sweep(planned, progress)

    assert result.succeeded
    assert (result.finished_now, progress.steps) == (2, RUN_STEPS)


def test_trials_of_two_corpora_are_each_trained_on_their_own(
    plan: Callable[..., Plan], reads: list[Config]
) -> None:
    result = sweep(plan("features.pool=1,5"))

    assert result.succeeded
    pools = [record.summary["configuration"]["features"]["pool"] for record in result.records]
    assert pools == [1, 5]
    assert {config.features.pool for config in reads} == {1, 5}


def test_trials_that_read_the_same_data_are_one_run(
    plan: Callable[..., Plan], watching: Any
) -> None:
    progress = watching()

    result = sweep(plan("dataset.root=here,there"), progress)

    assert (states(result), len(result.records)) == ({"complete": 2}, 1)
    assert progress.steps == RUN_STEPS


def test_two_sweeps_at_once_share_the_trials(plan: Callable[..., Plan], watching: Any) -> None:
    others: list[SweepResult] = []

    def sweep_too(task: str, count: float) -> None:
        if progress.steps == 1:
            others.append(sweep(plan("activation=tanh,relu")))

    progress = watching(sweep_too)
    result = sweep(plan("activation=tanh,relu"), progress)

    assert states(result) == {"complete": 2}
    assert len(others) == 1
    assert others[0].finished_now == 1  # the first trial was trained elsewhere
    assert progress.steps == RUN_STEPS


def test_a_search_spends_its_budget_and_a_larger_one_extends_it_reproducibly(
    plan: Callable[..., Plan], watching: Any, tmp_path: Path
) -> None:
    space = ["activation=arelu", "arelu.alpha=interval(0.01,0.99)", "arelu.beta=interval(-4,4)"]
    first = sweep(plan(*space, sampler="tpe", trials=1))
    progress = watching()

    second = sweep(plan(*space, sampler="tpe", trials=2), progress)

    assert (states(first), states(second)) == ({"complete": 1}, {"complete": 2})
    assert second.finished_now == 1
    assert progress.steps == RUN_STEPS
    drawn = [record.summary["configuration"]["activation"] for record in second.records]
    assert len({(each["alpha"], each["beta"]) for each in drawn}) == 2
    assert second.records[0].key == first.records[0].key
    shutil.rmtree(tmp_path / "study")
    again = sweep(plan(*space, sampler="tpe", trials=2))
    assert [record.key for record in again.records] == [record.key for record in second.records]


def test_excluded_suggestions_do_not_count(plan: Callable[..., Plan], tmp_path: Path) -> None:
    file = tmp_path / "half.yaml"
    file.write_text(
        "sampler: random\ntrials: 2\nexclude: arelu.alpha > 0.5\n"
        "overrides: [activation=arelu]\nsweep: {arelu.alpha: 'interval(0.01,0.99)'}\n"
    )
    result = sweep(plan(plan=str(file)))

    alphas = [r.summary["configuration"]["activation"]["alpha"] for r in result.records]
    assert len(alphas) == result.summary.states["complete"] == 2
    assert max(alphas) <= 0.5
    assert result.summary.states["excluded"] > 0


def test_a_search_where_everything_is_excluded_stops(
    plan: Callable[..., Plan], tmp_path: Path
) -> None:
    file = tmp_path / "none.yaml"
    file.write_text(
        "sampler: random\ntrials: 2\nexclude: arelu.alpha < 2\n"
        "overrides: [activation=arelu]\nsweep: {arelu.alpha: 'interval(0.01,0.99)'}\n"
    )
    result = sweep(plan(plan=str(file)))

    assert result.records == ()
    assert result.stopped is not None
    assert result.stopped.endswith("are excluded; narrow the space (the last one: by the plan)")


def test_invalid_suggestions_of_a_sampler_are_excluded(
    plan: Callable[..., Plan], watching: Any
) -> None:
    progress = watching()
    space = ["activation=arelu", "arelu.alpha_max=0.3", "arelu.alpha=interval(0.01,0.99)"]

    result = sweep(plan(*space, sampler="random", trials=2), progress)

    assert result.succeeded
    assert result.summary.states["complete"] == 2
    assert result.summary.states["excluded"] > 0
    (note,) = [note for note in progress.notes if note.startswith("a part of the space is invalid")]
    assert "activation.alpha=0.99 lies outside its clamp" in note


def test_a_poor_trial_is_pruned_between_its_folds(
    plan: Callable[..., Plan], watching: Any, tmp_path: Path
) -> None:
    fast = ("trainer.steps=10", "trainer.eval_every=10")
    planned = plan("seeds=[0,1]", "optim.lr=0.05,0.0000001", *fast, pruner="wilcoxon")
    progress = watching()

    result = sweep(planned, progress)

    assert states(result) == {"complete": 1, "pruned": 1}
    assert progress.steps < 2 * 2 * FOLDS * 10
    assert list((tmp_path / "study").glob(".*.partial/seed0-fold0"))  # its folds are kept
    assert result.succeeded


def test_a_search_with_a_cost_has_a_pareto_front(plan: Callable[..., Plan], tmp_path: Path) -> None:
    planned = plan("model.hidden=2,4,8", objectives=("dev_ua", "parameters"))

    result = sweep(planned)

    trials = read_trials(tmp_path / "study")
    assert trials["parameters"].is_monotonic_increasing
    front = trials[trials["run"].isin(list(result.summary.front))]
    assert front["dev_ua"].is_monotonic_increasing  # each that costs more is better
    assert trials["run"][0] in result.summary.front  # the cheapest
    assert result.summary.winner in result.summary.front


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampler": "random", "trials": 2}, "was planned with sampler=grid, not random"),
        ({"pruner": "median"}, "was planned with pruner=None, not median"),
        ({"objectives": ("dev_ua", "seconds")}, "was planned with objectives="),
    ],
)
@pytest.mark.usefixtures("finished")
def test_another_kind_of_sweep_needs_another_name(
    plan: Callable[..., Plan], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        sweep(plan("activation=tanh,relu", **change))


def test_a_search_elsewhere_needs_another_name(plan: Callable[..., Plan]) -> None:
    sweep(plan("optim.lr=interval(0.001,0.01)", sampler="random", trials=1))

    for other in ("optim.lr=interval(0.001,0.1)", "optim.lr=tag(log,interval(0.001,0.01))"):
        with pytest.raises(RequestError, match=r"searches another space \(optim.lr=interval"):
            sweep(plan(other, sampler="random", trials=2))
    with pytest.raises(RequestError, match="searches another space"):
        sweep(plan("optim.lr=interval(0.001,0.01)", "seeds=[1]", sampler="random", trials=2))


@pytest.mark.usefixtures("finished")
def test_changed_code_is_noticed_and_named_in_the_record(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, watching: Any
) -> None:
    new = {"sercli": "9", "git": None, "code": "another"}
    monkeypatch.setattr("sercli.search.worker.worker.describe_code", lambda: new)
    progress = watching()

    result = sweep(plan("activation=tanh,relu,elu"), progress)

    assert [note for note in progress.notes if note.startswith("the code has changed")]
    changed = [record.environment()["origin"]["code_changed"] for record in result.records]
    assert changed == [False, False, True]


def test_few_trials_have_one_worker_and_many_one_per_core() -> None:
    assert [default_workers(trials, cores=4) for trials in (1, 15, 16, 100)] == [1, 1, 4, 4]


def test_weights_of_the_winner_alone_are_kept_where_asked(
    plan: Callable[..., Plan], toy: Data
) -> None:
    result = sweep(plan("activation=tanh,relu", "trainer.keep_weights=winner"))

    kept = {each.key for each in result.records if any(each.path.rglob("*.safetensors"))}
    assert kept == {result.summary.winner}
    assert [fault for each in result.records for fault in verify_record(each.path)] == []
    grown = sweep(plan("activation=tanh,relu", "seeds=[1]", "trainer.keep_weights=winner"))
    kept = {each.key for each in grown.records if any(each.path.rglob("*.safetensors"))}
    assert kept == {grown.summary.winner}
