"""The output of `sercli fuse`, and its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.shell import InProcessShell

from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary

pytestmark = pytest.mark.usefixtures("few_resamples")

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
TRUTH = [EMOTIONS[3 - place % 4] for place in range(64)]
WHO = {f"one-test{place}": f"s{place // 16}" for place in range(64)}
WHO |= {f"one-dev{place}": f"d{place // 16}" for place in range(64)}

Run = Callable[..., Record]


@pytest.fixture(name="run")
def _run(record: Callable[..., Record], make_result: Callable[..., FoldResult]) -> Run:
    """Write a run whose predictions are wrong where ``wrong(position)`` is True."""

    def run(
        *overrides: str,
        wrong: Callable[[int], bool],
        seeds: tuple[int, ...] = (0, 1),
        truth: list[str] = TRUTH,
        **facts: object,
    ) -> Record:
        guess = [
            EMOTIONS[(EMOTIONS.index(label) + wrong(place)) % 4]
            for place, label in enumerate(truth)
        ]
        units = [make_result(truth, guess, seed=seed, dev=(truth, guess)) for seed in seeds]
        for unit in units:
            certain = np.where(
                [wrong(place % len(truth)) for place in unit.predictions.index], 0.4, 0.7
            )
            for name in EMOTIONS:
                is_so = unit.predictions["predicted"] == name
                unit.predictions[f"p_{name}"] = np.where(is_so, certain, (1 - certain) / 3)
        dev_ua = float(np.mean([a == b for a, b in zip(truth, guess, strict=True)]))
        return record(*overrides, results=units, speakers=WHO, dev_ua=dev_ua, **facts)

    return run


@pytest.fixture(name="shell")
def _shell(tmp_path: Path) -> InProcessShell:
    return InProcessShell(tmp_path)


def test_a_fusion_is_shown_beside_its_runs(run: Run, shell: InProcessShell) -> None:
    a = run("activation=tanh", wrong=lambda place: place % 5 == 0)
    b = run("activation=relu", wrong=lambda place: place % 3 == 1)

    found = json.loads(shell.ok("fuse", a.key, b.key, "--format", "json"))

    fused, *alone = found["rows"]
    assert (fused["source"], fused["runs"]) == ("fusion", [a.key, b.key])
    assert [row["runs"] for row in alone] == [[a.key], [b.key]]
    right = np.mean([not (place % 5 == 0 and place % 3 == 1) for place in range(64)])
    assert fused["wa"] == pytest.approx(right)
    assert fused["ua_ci"][0] <= fused["ua"] <= fused["ua_ci"][1]
    (difference,) = found["comparisons"]
    assert difference["reference_run"] == a.key  # the better on dev
    assert difference["delta_wa"] == pytest.approx(right - np.mean([p % 5 > 0 for p in range(64)]))
    assert {(w["seed"], w["fold"], w["run"]) for w in found["weights"]} == {
        (seed, "one", key) for seed in (0, 1) for key in (a.key, b.key)
    }
    text = shell.ok("fuse", a.key, b.key)
    assert "runs minus" in text
    assert "Weights of the fusion" in text


def test_runs_that_do_not_match_are_refused(
    run: Run,
    shell: InProcessShell,
    search: Callable[..., SweepSummary],
) -> None:
    a = run("activation=tanh", wrong=lambda place: place % 5 == 0)

    def refused(*overrides: str, **facts: object) -> str:
        other = run(*overrides, **{"wrong": lambda place: place % 3 == 0} | facts)
        return shell.refused("fuse", a.key, other.key, status=2)

    assert "seeds 0, not 0, 1" in refused("activation=relu", seeds=(0,))
    assert "corpus msp, not iemocap" in refused("activation=selu", card={"dataset": "msp"})
    assert "the dev utterances of fold one differ" in refused("activation=elu", truth=TRUTH[:60])
    assert "the labels differ, e.g. of" in refused(
        "activation=softplus", truth=[*TRUTH[1:], TRUTH[0]]
    )
    assert "fuse needs at least two runs, found 1" in shell.refused("fuse", a.key, a.key, status=2)
    trial = run("activation=relu", wrong=lambda place: place % 3 == 0, experiment="searched")
    search(experiment="searched")
    assert "sealed" in shell.refused("fuse", a.key, f"searched/{trial.key}", status=2)


def test_a_fusion_of_test_selected_runs_says_so(run: Run, shell: InProcessShell) -> None:
    on_test = {"selected_on": "test"}
    a = run("activation=tanh", wrong=lambda place: place % 5 == 0, card=on_test)
    b = run("activation=relu", wrong=lambda place: place % 3 == 1, card=on_test)
    text = " ".join(shell.ok("fuse", a.key, b.key).split())
    assert "TEST-SELECTED" in text
    assert "the weights are fitted on test, too" in text
