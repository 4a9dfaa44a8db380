"""Schema of ``run.json``: what a report reads of a record, checked before it is read.

A record is written whole, but it can be copied by half or edited by hand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sercli.errors import RequestError
from sercli.files import why_denied
from sercli.results.run_record import Record
from sercli.validation import validate

FILES = ("predictions.parquet", "utterances.parquet", "history.parquet")
"""Files that a report reads beside ``run.json``."""

_MAGIC = b"PAR1"

Share = Annotated[float, Field(ge=0, le=1)]
Concordance = Annotated[float, Field(ge=-1, le=1)]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class _Node(BaseModel):
    """A part of ``run.json``; further keys are allowed, conversions and NaN are not."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class _Named(_Node):
    name: str


class _Activation(_Named):
    alpha: float = 0.0
    beta: float = 0.0


class _Configuration(_Node):
    model: _Named
    cell: _Named
    activation: _Activation


class _Divergence(_Node):
    seed: int
    fold: str
    step: int
    selected_step: int | None = None
    oracle_step: int | None = None
    dev_ua: Share = 0.0
    ua: Share = 0.0
    ua_oracle: Share = 0.0


class _Card(_Node):
    dataset: str
    synthetic: bool
    classes: list[str]
    dimensions: list[str] = []
    mapping: dict[str, str]
    utterances: int
    expected: int | None
    protocol: str
    division: str = ""
    folds: int
    seeds: list[int]
    paragraph: str


class _SeedMetrics(_Node):
    seed: int
    ua: Share = 0.0
    wa: Share = 0.0
    maf: Share = 0.0
    dev_ua: Share = 0.0


class _FoldMetrics(_SeedMetrics):
    fold: str


class _Metrics(_Node):
    ua: Share = 0.0
    wa: Share = 0.0
    dev_ua: Share = 0.0
    ua_oracle: Share = 0.0
    wa_oracle: Share = 0.0
    maf: Share = 0.0
    map: Share = 0.0
    ua_ci: Interval | None = None
    wa_ci: Interval | None = None
    ua_oracle_ci: Interval | None = None
    wa_oracle_ci: Interval | None = None
    recall: dict[str, Share] = {}
    by_seed: list[_SeedMetrics] = []
    by_fold: list[_FoldMetrics] = []


class _CompleteMetrics(_Metrics):
    ua: Share
    wa: Share
    dev_ua: Share


class _DimensionMetrics(_Node):
    """Metrics of dimensional labels (`sercli.results.dimensions`)."""

    ccc: Concordance
    dev_ccc: Concordance
    ccc_oracle: Concordance
    ccc_ci: Interval | None = None
    n: int


class _Listeners(_Node):
    ua: Share
    wa: Share
    raters: int
    labels: int


class DivergedRun(_Node):
    """``run.json`` of a run of which a seed diverged; metrics may be missing."""

    key: str
    status: Literal["complete", "diverged"]
    diverged: list[_Divergence]
    configuration: _Configuration
    card: _Card
    metrics: _Metrics
    listeners: _Listeners | None = None


class CompleteRun(DivergedRun):
    """``run.json`` of a complete run."""

    metrics: _CompleteMetrics


class CompleteDimensionRun(DivergedRun):
    """``run.json`` of a complete run on dimensional labels."""

    metrics: _DimensionMetrics  # type: ignore[assignment]


def why_unreadable(record: Record) -> str | None:
    """Return one line about what keeps a record from being reported; None if nothing does."""
    for name in FILES:
        if (denied := why_denied(record.path / name)) is not None:
            return f"{record.path}: {name} cannot be read: {denied}"
        if not _is_whole(record.path / name):
            return f"{record.path}: {name} is missing or cut off; copy it again, or remove it"
    card = record.summary.get("card")
    complete = CompleteDimensionRun if _has_dimensions(card) else CompleteRun
    schema = complete if record.summary.get("status") == "complete" else DivergedRun
    try:
        validate(schema, dict(record.summary), "run.json: ")
    except RequestError as error:
        return f"{record.path}: {error}; restore it, or remove the record"
    return None


def _has_dimensions(card: object) -> bool:
    return isinstance(card, dict) and bool(card.get("dimensions"))


def _is_whole(path: Path) -> bool:
    """Return True if a Parquet file reaches to its end, where its magic stands a second time."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_MAGIC), os.SEEK_END)
            return file.read() == _MAGIC
    except OSError:
        return False
