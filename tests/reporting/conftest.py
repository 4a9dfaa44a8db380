"""Records with any configuration and any figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sercli.config.compose import compose, to_yaml
from sercli.config.key import result_relevant, run_key
from sercli.results.record import Record, write_record
from sercli.results.unit import UnitResult

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


@pytest.fixture(name="record")
def _record(made_unit: Callable[..., UnitResult], tmp_path: Path) -> Callable[..., Record]:
    """Write a record below ``tmp_path/runs``: a complete run on IEMOCAP unless told otherwise.

    ``card`` changes facts of its protocol card; ``metrics`` are figures beside `METRICS`;
    ``diverged`` says where it did.
    """

    def record(
        *overrides: str,
        experiment: str = "first",
        card: Mapping[str, Any] | None = None,
        diverged: list[dict[str, Any]] | None = None,
        **metrics: Any,
    ) -> Record:
        config = compose(["dataset=iemocap", *overrides])
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
        page = {
            "key": key,
            "status": "diverged" if diverged else "complete",
            "diverged": diverged or [],
            "configuration": result_relevant(config),
            "card": {**facts, **(card or {})},
            "metrics": {} if diverged else {**METRICS, **metrics},
        }
        return write_record(
            tmp_path / "runs" / experiment / key,
            page,
            config_yaml=to_yaml(config),
            folds={"one": {}},
            environment={},
            utterances=pd.DataFrame({"utterance": ["x"], "speaker": ["s"]}),
            units=[made_unit(["x"], ["x"])],
        )

    return record
