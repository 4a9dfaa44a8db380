"""Records with any configuration and any figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.config.compose import compose, to_yaml
from sercli.config.run_key import result_relevant, run_key
from sercli.config.schema import Config
from sercli.results import bootstrap
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record, find_records, read_record, write_record
from sercli.results.sweep_summary import PARAMETER, SweepSummary, write_sweep

METRICS = {
    "ua": 0.70,
    "wa": 0.68,
    "ua_ci": [0.651, 0.749],
    "wa_ci": [0.63, 0.73],
    "ua_oracle": 0.72,
    "wa_oracle": 0.69,
    "dev_ua": 0.71,
}
"""Figures of a run, as fractions."""


@cache
def _composed(*overrides: str) -> tuple[Config, str]:
    """Compose a configuration, once for all tests, with its YAML."""
    config = compose(overrides)
    return config, to_yaml(config)


@pytest.fixture(name="record")
def _record(make_result: Callable[..., FoldResult], tmp_path: Path) -> Callable[..., Record]:
    """Write a record below ``tmp_path/runs``: a complete run on IEMOCAP unless told otherwise.

    ``card`` changes facts of its protocol card; ``metrics`` are figures beside `METRICS`;
    ``diverged`` says where it did. ``results`` are what it predicted, ``speakers`` who spoke it,
    ``listeners`` the scores against the labels of raters.
    """

    def record(
        *overrides: str,
        experiment: str = "first",
        card: Mapping[str, Any] | None = None,
        diverged: list[dict[str, Any]] | None = None,
        results: Sequence[FoldResult] = (),
        speakers: Mapping[str, str] | None = None,
        listeners: Mapping[str, float] | None = None,
        **metrics: Any,
    ) -> Record:
        config, text = _composed("dataset=iemocap", *overrides)
        key = run_key(config, "data")
        expected = sum((config.dataset.expected or {}).values()) or None
        facts = {
            "dataset": config.dataset.name,
            "synthetic": config.dataset.synthetic,
            "classes": sorted(set(config.dataset.classes.values())),
            "mapping": config.dataset.classes,
            "utterances": expected or 64,
            "expected": expected,
            "protocol": config.protocol.name,
            "folds": 5,
            "seeds": config.seeds,
            "paragraph": "Leave-one-session-out, as the card says.",
        }
        summary = {
            "key": key,
            "status": "diverged" if diverged else "complete",
            "diverged": diverged or [],
            "configuration": result_relevant(config),
            "card": {**facts, **(card or {})},
            "metrics": {} if diverged else {**METRICS, **metrics},
            **({"listeners": listeners} if listeners else {}),
        }
        return write_record(
            tmp_path / "runs" / experiment / key,
            summary,
            config_yaml=text,
            folds={"one": {}},
            environment={},
            utterances=pd.DataFrame(
                (speakers or {"one-test0": "s"}).items(), columns=["utterance", "speaker"]
            ),
            results=results or [make_result(["x"], ["x"])],
        )

    return record


@pytest.fixture(name="runs")
def _runs(tmp_path: Path) -> Path:
    """Where `record` writes."""
    return tmp_path / "runs"


@pytest.fixture(name="search")
def _search(runs: Path) -> Callable[..., SweepSummary]:
    """Make an experiment a finished, sealed search; ``facts`` are others of its page."""

    def search(
        winner: Record | None = None, experiment: str = "first", **facts: Any
    ) -> SweepSummary:
        summary = SweepSummary(
            **{
                "experiment": experiment,
                "sampler": "grid",
                "objectives": ["dev_ua"],
                "pruner": None,
                "space": {"activation": "tanh,relu"},
                "seeds": [0],
                "states": {"complete": 2},
                "winner": winner.key if winner else None,
                **facts,
            }
        )
        write_sweep(runs / experiment, summary, _trials(runs / experiment))
        return summary

    return search


def _trials(folder: Path) -> pd.DataFrame:
    """Make the points of a search of its finished runs."""
    records = [read_record(path) for path in find_records(folder)]
    points = {
        "number": range(len(records)),
        "state": "complete",
        "run": [record.key for record in records],
        "overrides": [record.summary["configuration"]["activation"]["name"] for record in records],
        "dev_ua": [record.metrics.get("dev_ua") for record in records],
        "seconds": 1.0,
        "worker": "host:1",
        "attempts": 1,
        "cause": None,
    }
    table = pd.DataFrame(points)
    return table.assign(**{f"{PARAMETER}activation": table["overrides"]})


@pytest.fixture(name="few_resamples")
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take few resamples, where hundreds of intervals are averaged anyway."""
    bootstrap._resamples.cache_clear()
    monkeypatch.setattr(bootstrap, "RESAMPLES", 2_000)
    yield
    bootstrap._resamples.cache_clear()
