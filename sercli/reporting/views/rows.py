"""The rows of a report: one per run, one per published result."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sercli.analysis.comparability import caveat, published_match, why_incomparable
from sercli.reporting.names import SystemName, name_systems, without_common_words
from sercli.results.baselines import Baseline
from sercli.results.run_record import Record
from sercli.results.seal import shows_test

Bounds = Sequence[float]
"""Lower and upper end of a confidence interval."""

_METRICS = (
    *("ua", "wa", "ua_ci", "wa_ci", "ua_oracle", "wa_oracle", "ua_oracle_ci", "wa_oracle_ci"),
    *("dev_ua", "maf", "map"),
)
_WITH_DEVIATION = ("ua", "wa", "maf", "dev_ua")
"""Metrics whose standard deviation over seeds a row has."""


@dataclass(frozen=True)
class RunRow:
    """A run or a published result. Rates are fractions; None if unknown or sealed.

    Attributes:
        system: Name of the run (`sercli.reporting.names`), or of a published system.
        source: ``run`` or ``published``.
        experiment: Experiment of the run.
        status: ``complete``, ``diverged`` or ``published``.
        settings: Model, cell, activation, and further settings that differ between the runs.
        sealed: True if the test results are sealed.
        dataset: Corpus.
        synthetic: True for generated speech.
        protocol: Name of the evaluation protocol.
        model: Name of the model.
        cell: Name of the RNN cell.
        activation: Name of the activation.
        alpha: α of the activation.
        beta: β of the activation.
        seeds: Number of seeds.
        folds: Number of folds.
        n: Number of utterances.
        ua: Unweighted accuracy on test at the step selected on dev.
        wa: Weighted accuracy, likewise.
        ua_ci: 95 % confidence interval of ``ua``.
        wa_ci: That of ``wa``.
        ua_oracle: UA at the step selected on test.
        wa_oracle: WA at that step.
        ua_oracle_ci: 95 % confidence interval of ``ua_oracle``.
        wa_oracle_ci: That of ``wa_oracle``.
        dev_ua: UA on dev.
        maf: Macro F1.
        map: Macro precision.
        ua_sd: Standard deviation of ``ua`` over seeds, if there are several.
        wa_sd: That of ``wa``.
        maf_sd: That of ``maf``.
        dev_ua_sd: That of ``dev_ua``.
        recall: Class → recall.
        listeners: Scores against the labels of single raters
            (`sercli.training.listeners.listener_scores`); empty without them.
        published_as: The published system that the run repeats.
        published_in: The source of that result.
        published_on: Its corpus.
        published_ua: Its UA.
        published_wa: Its WA.
        comparable: True if some published result (for a published result: some run) compares.
        reason: Cause of a divergence or obstacle to a comparison; of a published result also a
            caveat.
        runs: The key of the run, if it is one.
        card: The protocol card of a run; source and selection of a published result.
    """

    system: str
    source: str
    experiment: str | None
    status: str
    settings: str
    sealed: bool
    dataset: str
    synthetic: bool
    protocol: str
    model: str | None = None
    cell: str | None = None
    activation: str | None = None
    alpha: float | None = None
    beta: float | None = None
    seeds: int | None = None
    folds: int | None = None
    n: int | None = None
    ua: float | None = None
    wa: float | None = None
    ua_ci: Bounds | None = None
    wa_ci: Bounds | None = None
    ua_oracle: float | None = None
    wa_oracle: float | None = None
    ua_oracle_ci: Bounds | None = None
    wa_oracle_ci: Bounds | None = None
    dev_ua: float | None = None
    maf: float | None = None
    map: float | None = None
    ua_sd: float | None = None
    wa_sd: float | None = None
    maf_sd: float | None = None
    dev_ua_sd: float | None = None
    recall: Mapping[str, float] = field(default_factory=dict)
    listeners: Mapping[str, float] = field(default_factory=dict)
    published_as: str | None = None
    published_in: str | None = None
    published_on: str | None = None
    published_ua: float | None = None
    published_wa: float | None = None
    comparable: bool = False
    reason: str | None = None
    runs: Sequence[str] = ()
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of the run."""
        return self.runs[0]

    @property
    def task(self) -> tuple[str, str, frozenset[tuple[str, str]]]:
        """Corpus, protocol and classes: only results of one task may share a column."""
        return self.dataset, self.protocol, frozenset(self.card["mapping"].items())

    @property
    def task_title(self) -> str:
        """The task in words."""
        return f"{self.dataset}, {self.protocol}, {len(self.card['classes'])} classes"


@dataclass(frozen=True)
class Labels:
    """The names of the runs of one table, without what all have in common.

    Attributes:
        of: Name of a run → its label.
        common: The words that the labels lack; empty for none.
        settings: Label → settings, where a plan named the runs.
    """

    of: Mapping[str, str]
    common: str
    settings: Mapping[str, str]

    @property
    def note(self) -> str:
        """A footnote with all that the labels do not say."""
        common = f"All systems: {self.common}." if self.common else ""
        named = "; ".join(f"{label}: {text}" for label, text in self.settings.items())
        return f"{common} {named}{'.' if named else ''}".strip()


def row_labels(rows: Sequence[RunRow]) -> Labels:
    """Label the runs of one table: names of a plan as they are, others by what differs."""
    common, short = without_common_words([row.settings for row in rows])
    named = {row.system: text for row, text in zip(rows, short, strict=True)}
    if any(row.system != row.settings for row in rows):
        return Labels({name: name for name in named}, common, named)
    return Labels(named, common, {})


def run_rows(records: Sequence[Record], baselines: Sequence[Baseline]) -> list[RunRow]:
    """Return one row per run, by corpus and dev UA, the best first; diverged runs last.

    Args:
        records: The runs; sealed ones have no test results
            (`sercli.results.seal.hide_sealed`).
        baselines: The published results.
    """
    names = name_systems(records)
    rows = [_run_row(record, name, baselines) for record, name in zip(records, names, strict=True)]
    return sorted(rows, key=lambda row: (row.dataset, -(row.dev_ua or 0.0)))


def published_rows(baselines: Sequence[Baseline], records: Sequence[Record]) -> list[RunRow]:
    """Return one row per published result, with the reason where no run compares."""
    return [_published_row(baseline, records) for baseline in baselines]


def by_task(rows: Iterable[RunRow]) -> list[list[RunRow]]:
    """Group the rows of runs by task, in the order of their first rows."""
    found: dict[object, list[RunRow]] = {}
    for row in rows:
        found.setdefault(row.task, []).append(row)
    return list(found.values())


def _run_row(record: Record, name: SystemName, baselines: Sequence[Baseline]) -> RunRow:
    configuration, card = record.summary["configuration"], record.summary["card"]
    activation, metrics = configuration["activation"], record.metrics
    reasons = [why_incomparable(card, baseline) for baseline in baselines]
    comparable = None in reasons
    return RunRow(
        **facts_of_run(record, name),
        model=configuration["model"]["name"],
        cell=configuration["cell"]["name"],
        activation=activation["name"],
        alpha=activation.get("alpha"),
        beta=activation.get("beta"),
        **rates(metrics),
        recall=metrics.get("recall", {}),
        listeners=record.summary.get("listeners") or {},
        **_published_fields(published_match(configuration, baselines)),
        comparable=comparable,
        reason=why_diverged(record) or (None if comparable else next(iter(reasons), None)),
    )


def facts_of_run(record: Record, name: SystemName) -> dict[str, Any]:
    """Return the fields of a row that do not depend on the kind of labels."""
    card = record.summary["card"]
    return {
        "system": name.name,
        "source": "run",
        "experiment": record.experiment,
        "status": record.status,
        "settings": name.settings,
        "sealed": not shows_test(record),
        "dataset": card["dataset"],
        "synthetic": card["synthetic"],
        "protocol": card["protocol"],
        "seeds": len(record.metrics.get("by_seed", card["seeds"])),
        "folds": card["folds"],
        "n": card["utterances"],
        "runs": [record.key],
        "card": card,
    }


def _published_row(baseline: Baseline, records: Sequence[Record]) -> RunRow:
    reasons = [why_incomparable(record.summary["card"], baseline) for record in records]
    comparable = None in reasons
    suffix = "_oracle" if baseline.selection == "test" else ""
    rates: dict[str, Any] = {f"ua{suffix}": baseline.ua / 100, f"wa{suffix}": baseline.wa / 100}
    return RunRow(
        system=baseline.system,
        source="published",
        experiment=None,
        status="published",
        settings="",
        sealed=False,
        dataset=baseline.corpus,
        synthetic=False,
        protocol=baseline.protocol,
        alpha=baseline.alpha,
        beta=baseline.beta,
        **rates,
        comparable=comparable,
        reason=caveat(baseline) if comparable else "; ".join(dict.fromkeys(filter(None, reasons))),
        card={"source": baseline.source, "selection": baseline.selection},
    )


def rates(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics, and sample standard deviations over seeds if there are several."""
    found = {metric: metrics.get(metric) for metric in _METRICS}
    return found | {f"{metric}_sd": deviation(metrics, metric) for metric in _WITH_DEVIATION}


def deviation(metrics: Mapping[str, Any], metric: str) -> float | None:
    """Return the sample standard deviation of a metric over seeds; None of fewer than two."""
    values = [row[metric] for row in metrics.get("by_seed", []) if metric in row]
    return statistics.stdev(values) if len(values) > 1 else None


def _published_fields(baseline: Baseline | None) -> dict[str, Any]:
    if baseline is None:
        return {}
    return {
        "published_as": baseline.system,
        "published_in": baseline.source,
        "published_on": baseline.corpus,
        "published_ua": baseline.ua / 100,
        "published_wa": baseline.wa / 100,
    }


def why_diverged(record: Record) -> str | None:
    """Return the seeds, folds and steps at which a run diverged; None if it did not."""
    lost = record.summary["diverged"]
    where = [f"seed {x['seed']}, fold {x['fold']}, step {x['step']}{_before(x)}" for x in lost]
    if not where:
        return None
    others = "; the results are those of the other seeds" if record.metrics else ""
    return f"diverged: {'; '.join(where)}{others}"


def _before(lost: Mapping[str, Any]) -> str:
    """Return the best evaluation of a fold before it diverged, in parentheses."""
    if "dev_ua" not in lost:
        return ""
    if "ua" not in lost:
        return f" (before: {100 * lost['dev_ua']:.1f} % dev UA at step {lost['selected_step']})"
    return (
        f" (before: {100 * lost['ua']:.1f} % UA of the fold at step {lost['selected_step']}, "
        f"oracle {100 * lost['ua_oracle']:.1f} % at step {lost['oracle_step']})"
    )
