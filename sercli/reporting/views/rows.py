"""The rows of a report: one per run, one per published result."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sercli.analysis.comparability import caveat, published_match, why_incomparable
from sercli.config.keys import flatten
from sercli.reporting.table import Row
from sercli.results.baselines import Baseline
from sercli.results.run_record import Record
from sercli.results.seal import shows_test

_METRICS = (
    *("ua", "wa", "ua_ci", "wa_ci", "ua_oracle", "wa_oracle", "ua_oracle_ci", "wa_oracle_ci"),
    *("dev_ua", "maf", "map"),
)
_STANDS_FOR = ("published_as", "published_in", "published_on", "published_ua", "published_wa")
_SPREADS = ("ua", "wa", "maf", "dev_ua")
"""Metrics whose standard deviation over seeds a row holds."""


def run_rows(records: Sequence[Record], baselines: Sequence[Baseline]) -> list[Row]:
    """Make one row per run, the best on dev first; diverged runs last.

    Each row is named by its model, cell and activation, and by whatever else differs
    between the runs of the report. Of a sealed run only dev has figures.

    Args:
        records: Runs that went through `sercli.results.seal.keep_sealed`.
        baselines: The published results.
    """
    names = system_names(records)
    rows = [_run_row(record, name, baselines) for record, name in zip(records, names, strict=True)]
    return sorted(rows, key=lambda row: (row["dataset"], -(row["dev_ua"] or 0.0)))


def published_rows(baselines: Sequence[Baseline], records: Sequence[Record]) -> list[Row]:
    """Make one row per published result, with the reason where no run compares with it."""
    return [_published_row(baseline, records) for baseline in baselines]


def system_names(records: Sequence[Record]) -> list[str]:
    """Name each run by its model, cell and activation, and by what else differs among them."""
    settings = [_settings(record.summary["configuration"]) for record in records]
    varying = [key for key in _differing(settings) if key not in _SHOWN]
    return [
        _name(record, {key: setting[key] for key in varying if key in setting})
        for record, setting in zip(records, settings, strict=True)
    ]


def task_of(row: Row) -> tuple[str, str, frozenset[tuple[str, str]]]:
    """Corpus, protocol and class mapping: only within one task may numbers stand in a column."""
    return row["dataset"], row["protocol"], frozenset(row["card"]["mapping"].items())


def tasks(rows: Iterable[Row]) -> list[list[Row]]:
    """Part the rows of runs by task, in the order of their first rows."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(task_of(row), []).append(row)
    return list(found.values())


def task_title(row: Row) -> str:
    """Name the task of a run: corpus, protocol, classes."""
    return f"{row['dataset']}, {row['protocol']}, {len(row['card']['classes'])} classes"


def _settings(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flatten(configuration).items() if value != {}}


_SHOWN = ("activation.alpha", "activation.beta")
"""Keys that the name of a system shows already."""


def _name(record: Record, varying: Mapping[str, Any]) -> str:
    configuration = record.summary["configuration"]
    names = [configuration["model"]["name"]]
    if record.summary["card"].get("recurrent", True):  # else cell and activation mean nothing
        names += [configuration["cell"]["name"], _named(configuration["activation"])]
    return " ".join([*names, *(f"{key}={value}" for key, value in varying.items())])


def _run_row(record: Record, name: str, baselines: Sequence[Baseline]) -> Row:
    summary = record.summary
    configuration, card = summary["configuration"], summary["card"]
    activation = configuration["activation"]
    obstacles = [why_incomparable(card, baseline) for baseline in baselines]
    return {
        "system": name,
        "source": "run",
        "experiment": record.experiment,
        "status": record.status,
        "sealed": not shows_test(record),
        "dataset": card["dataset"],
        "synthetic": card["synthetic"],
        "protocol": card["protocol"],
        "model": configuration["model"]["name"],
        "cell": configuration["cell"]["name"],
        "activation": activation["name"],
        "alpha": activation.get("alpha"),
        "beta": activation.get("beta"),
        "seeds": len(record.metrics.get("by_seed", card["seeds"])),
        "folds": card["folds"],
        "n": card["utterances"],
        **{metric: record.metrics.get(metric) for metric in _METRICS},
        **{f"{metric}_sd": _spread(record, metric) for metric in _SPREADS},
        "recall": record.metrics.get("recall", {}),
        **_published(published_match(configuration, baselines)),
        "comparable": None in obstacles,
        "reason": _why_diverged(summary)
        or (None if None in obstacles else next(iter(obstacles), None)),
        "runs": [record.key],
        "card": card,
    }


def _published_row(baseline: Baseline, records: Sequence[Record]) -> Row:
    obstacles = [why_incomparable(record.summary["card"], baseline) for record in records]
    comparable = None in obstacles
    figures = {"ua": baseline.ua / 100, "wa": baseline.wa / 100}
    after = "_oracle" if baseline.selection == "test" else ""
    return {
        "system": baseline.system,
        "source": "published",
        "experiment": None,
        "status": "published",
        "sealed": False,
        "dataset": baseline.corpus,
        "synthetic": False,
        "protocol": baseline.protocol,
        "model": None,
        "cell": None,
        "activation": None,
        "alpha": baseline.alpha,
        "beta": baseline.beta,
        "seeds": None,
        "folds": None,
        "n": None,
        **dict.fromkeys(_METRICS),
        **{f"{metric}_sd": None for metric in _SPREADS},
        "recall": {},
        **{f"{name}{after}": figure for name, figure in figures.items()},
        **_published(None),
        "comparable": comparable,
        "reason": caveat(baseline) if comparable else "; ".join(dict.fromkeys(_texts(obstacles))),
        "runs": [],
        "card": {"source": baseline.source, "selection": baseline.selection},
    }


def _spread(record: Record, metric: str) -> float | None:
    """Standard deviation over seeds (that of the sample, by n - 1), where there are several."""
    values = [row[metric] for row in record.metrics.get("by_seed", []) if metric in row]
    return statistics.stdev(values) if len(values) > 1 else None


def _published(baseline: Baseline | None) -> Row:
    """What a run stands for, of which corpus, and the figures published for it."""
    if baseline is None:
        return dict.fromkeys(_STANDS_FOR)
    return {
        "published_as": baseline.system,
        "published_in": baseline.source,
        "published_on": baseline.corpus,
        "published_ua": baseline.ua / 100,
        "published_wa": baseline.wa / 100,
    }


def _texts(obstacles: Sequence[str | None]) -> list[str]:
    return [text for text in obstacles if text]


def _why_diverged(summary: Mapping[str, Any]) -> str | None:
    where = [f"seed {x['seed']}, fold {x['fold']}, step {x['step']}" for x in summary["diverged"]]
    if not where:
        return None
    others = "; the figures are those of the other seeds" if summary["metrics"] else ""
    return f"diverged: {'; '.join(where)}{others}"


def _named(activation: Mapping[str, Any]) -> str:
    letters = {"alpha": "α", "beta": "β"}
    values = [f"{letters[k]}={activation[k]:g}" for k in letters if k in activation]
    return " ".join([activation["name"], *values])


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys with several values among settings that have the same choice in the key's group."""
    keys = dict.fromkeys(key for setting in settings for key in setting)
    return [key for key in keys if not key.endswith("name") and _differs(key, settings)]


def _differs(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    group = key.partition(".")[0]
    values: dict[str, set[str]] = {}
    for setting in settings:
        values.setdefault(str(setting.get(f"{group}.name")), set()).add(str(setting.get(key)))
    return any(len(found) > 1 for found in values.values())
