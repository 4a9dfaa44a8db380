"""The rows of a report: one per run, one per published result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sercli.reporting.comparable import caution, counterpart, obstacle
from sercli.results.baselines import Baseline
from sercli.results.record import Record

Row = dict[str, Any]

_METRICS = ("ua", "wa", "ua_ci", "wa_ci", "ua_oracle", "wa_oracle", "dev_ua", "maf", "map")


def run_rows(records: Sequence[Record], baselines: Sequence[Baseline]) -> list[Row]:
    """Make one row per run, the best on dev first; diverged runs last.

    Each row is named by its model, cell and activation, and by whatever else differs
    between the runs of the report.
    """
    settings = [_flat(record.page["configuration"]) for record in records]
    varying = [key for key in _differing(settings) if key not in _SHOWN]
    rows = [
        _run_row(record, {key: setting[key] for key in varying if key in setting}, baselines)
        for record, setting in zip(records, settings, strict=True)
    ]
    return sorted(rows, key=lambda row: (row["dataset"], -(row["dev_ua"] or 0.0)))


def published_rows(baselines: Sequence[Baseline], records: Sequence[Record]) -> list[Row]:
    """Make one row per published result, with the reason where no run compares with it."""
    return [_published_row(baseline, records) for baseline in baselines]


def comparisons(rows: Sequence[Row], baselines: Sequence[Baseline]) -> list[Row]:
    """Subtract published figures from those of the runs, wherever the two are comparable.

    A result that was selected on test is compared with the run's oracle.
    """
    found = []
    for row in rows:
        for baseline in baselines:
            if row["ua"] is None or obstacle(row["card"], baseline):
                continue
            after = "_oracle" if baseline.selection == "test" else ""
            found.append(
                {
                    "system": row["system"],
                    "experiment": row["experiment"],
                    "runs": row["runs"],
                    "published": baseline.system,
                    "source": baseline.source,
                    "selection": "oracle" if after else "dev",
                    "delta_ua": row[f"ua{after}"] - baseline.ua / 100,
                    "delta_wa": row[f"wa{after}"] - baseline.wa / 100,
                    "caution": caution(baseline),
                }
            )
    return found


_SHOWN = ("activation.alpha", "activation.beta")
"""Keys that the name of a system shows already."""


def _run_row(record: Record, varying: Mapping[str, Any], baselines: Sequence[Baseline]) -> Row:
    page = record.page
    configuration, card = page["configuration"], page["card"]
    activation = configuration["activation"]
    names = [configuration["model"]["name"]]
    if card.get("recurrent", True):  # else cell and activation mean nothing
        names += [configuration["cell"]["name"], _named(activation)]
    names += [f"{key}={value}" for key, value in varying.items()]
    obstacles = [obstacle(card, baseline) for baseline in baselines]
    return {
        "system": " ".join(names),
        "source": "run",
        "experiment": record.experiment,
        "status": record.status,
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
        **{name: record.metrics.get(name) for name in _METRICS},
        **_published(counterpart(configuration, baselines)),
        "comparable": None in obstacles,
        "reason": _why_diverged(page)
        or (None if None in obstacles else next(iter(obstacles), None)),
        "runs": [record.key],
        "card": card,
    }


def _published_row(baseline: Baseline, records: Sequence[Record]) -> Row:
    obstacles = [obstacle(record.page["card"], baseline) for record in records]
    comparable = None in obstacles
    figures = {"ua": baseline.ua / 100, "wa": baseline.wa / 100}
    after = "_oracle" if baseline.selection == "test" else ""
    return {
        "system": baseline.system,
        "source": "published",
        "experiment": None,
        "status": "published",
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
        **{f"{name}{after}": figure for name, figure in figures.items()},
        **_published(None),
        "comparable": comparable,
        "reason": caution(baseline) if comparable else "; ".join(dict.fromkeys(_texts(obstacles))),
        "runs": [],
        "card": {"source": baseline.source, "selection": baseline.selection},
    }


def _published(baseline: Baseline | None) -> Row:
    """What a run stands for, of which corpus, and the figures published for it."""
    if baseline is None:
        names = ("published_as", "published_on", "published_ua", "published_wa")
        return dict.fromkeys(names)
    return {
        "published_as": baseline.system,
        "published_on": baseline.corpus,
        "published_ua": baseline.ua / 100,
        "published_wa": baseline.wa / 100,
    }


def _texts(obstacles: Sequence[str | None]) -> list[str]:
    return [text for text in obstacles if text]


def _why_diverged(page: Mapping[str, Any]) -> str | None:
    where = [f"seed {x['seed']}, fold {x['fold']}, step {x['step']}" for x in page["diverged"]]
    if not where:
        return None
    others = "; the figures are those of the other seeds" if page["metrics"] else ""
    return f"diverged: {'; '.join(where)}{others}"


def _named(activation: Mapping[str, Any]) -> str:
    letters = {"alpha": "α", "beta": "β"}
    values = [f"{letters[k]}={activation[k]:g}" for k in letters if k in activation]
    return " ".join([activation["name"], *values])


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys with several values among settings that have the same choice in the key's group."""
    keys = dict.fromkeys(key for setting in settings for key in setting)
    return [key for key in keys if not key.endswith("name") and _differs(key, settings)]


def _differs(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    group = key.partition(".")[0]
    values: dict[Any, set[str]] = {}
    for setting in settings:
        values.setdefault(setting.get(f"{group}.name"), set()).add(str(setting.get(key)))
    return any(len(found) > 1 for found in values.values())
