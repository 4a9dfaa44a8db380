"""Refit: networks trained on all utterances of a run, for the median selected step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sercli.config.schema import Config
from sercli.errors import RequestError, SercliError
from sercli.results.folds import Fold
from sercli.results.run_record import Record
from sercli.training.data import Data
from sercli.training.fold_pool import FoldPool
from sercli.training.refit import Refit, chosen_steps, refit, refit_on
from sercli.training.rerun import configuration_of
from sercli.training.run import train_run
from sercli.training.trainer import train_fold
from sercli.training.validate import validate_run


@pytest.fixture(name="record", scope="module")
def _record(
    toy: Data, toy_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> Record:
    runs = tmp_path_factory.mktemp("runs")
    config = toy_config("trainer.steps=4", "trainer.eval_every=2", f"paths.runs={runs}")
    with FoldPool(toy) as pool:
        return train_run(validate_run(config, toy), pool)[0]


def refitted(record: Record, data: Data, steps: int, progress: object = None) -> Refit:
    config = replace(configuration_of(record), seeds=[0])
    given = {} if progress is None else {"progress": progress}
    with FoldPool(data) as pool:
        return refit_on(record, config, data, pool, steps, **given)  # type: ignore[arg-type]


def test_the_weights_are_those_of_training_on_all_utterances(
    toy: Data, record: Record, watching: type
) -> None:
    progress = watching()
    made = refitted(record, toy, 3, progress)
    assert made.utterances == len(toy.manifest.targets)
    assert progress.steps == 3
    everything = tuple(toy.manifest.targets["utterance"])
    config = replace(
        made.config, trainer=replace(made.config.trainer, steps=3, eval_every=3, patience=None)
    )
    fold = Fold("all", everything, everything, everything)
    expected = train_fold(config, toy, fold, 0).weights
    for name, value in made.results[0].weights.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)
    assert not list(record.path.parent.glob(".*.partial")), "nothing is left behind"


def test_steps_are_the_lower_median_of_the_selected_ones(record: Record) -> None:
    rows = [{"selected_step": step} for step in (300, 100, None, 200, 400)]
    summary = {**record.summary, "metrics": {"by_fold": rows}}
    assert chosen_steps(replace(record, summary=summary)) == 200
    with pytest.raises(SercliError, match="every seed diverged; give --steps"):
        chosen_steps(replace(record, summary={**record.summary, "metrics": {}}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [("name: plateau", "follows dev UA"), ("name: cosine", "ends at trainer.steps=4")],
)
def test_a_schedule_that_a_refit_cannot_follow_is_refused(
    record: Record, tmp_path: Path, change: str, reason: str
) -> None:
    text = (record.path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(
        text.replace("schedule:\n  name: none", f"schedule:\n  {change}")
    )
    with pytest.raises(RequestError, match=reason):
        refit(replace(record, path=tmp_path), [0], steps=5)


def test_a_changed_corpus_is_refused(toy: Data, record: Record) -> None:
    with pytest.raises(RequestError, match="has changed"):
        refitted(record, replace(toy, fingerprint="another"), 3)
