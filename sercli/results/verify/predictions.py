"""Checks of a record's predictions and folds: completeness, labels, probabilities, leakage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from sercli.config.schema import DatasetConfig, ProtocolConfig, corpus_name
from sercli.errors import counted
from sercli.results.folds import Fold, shared_speakers
from sercli.results.run_record import dimensional_labels
from sercli.results.seen import FILE as SEEN
from sercli.results.seen import identities, overlap
from sercli.results.verify.files import Contents, Finding

ROUNDING = 1e-5
"""Tolerance of the sum of an utterance's probabilities (our choice; they are float32)."""

_FILE = "predictions.parquet"


def predicted_once(record: Contents) -> Iterator[Finding]:
    """Find fold runs that do not predict each utterance of a part once under each selection."""
    if record.predictions.empty:
        return
    groups = record.predictions.groupby(["seed", "fold", "part", "selection"], sort=False)
    found = {key: sorted(names.tolist()) for key, names in groups["utterance"]}
    fold_runs = dict.fromkeys((seed, fold) for seed, fold, *_ in found)
    for (seed, fold), part, selection in product(fold_runs, ("dev", "test"), ("dev", "oracle")):
        names = found.pop((seed, fold, part, selection), [])
        wanted = sorted(record.folds[fold][part])
        if names != wanted:
            where = f"seed {seed}, fold {fold}, {part} selected on {selection}"
            yield _FILE, f"{where}: {_unlike(names, wanted)}"
    for seed, fold, part, selection in found:
        yield _FILE, f"seed {seed}, fold {fold}: unknown part or selection {part}, {selection}"


def _unlike(names: list[str], wanted: list[str]) -> str:
    missing, other = set(wanted) - set(names), set(names) - set(wanted)
    parts = []
    if missing:
        parts.append(f"{counted(len(missing), 'utterance')} missing, e.g. {min(missing)}")
    if other:
        parts.append(f"{len(other)} do not belong to it, e.g. {min(other)}")
    if len(names) > len(set(names)):
        parts.append(f"{len(names) - len(set(names))} occur twice")
    return "; ".join(parts)


def labels(record: Contents) -> Iterator[Finding]:
    """Find labels that differ from those of the utterances."""
    known = record.utterances.set_index("utterance")
    if known.index.has_duplicates:
        twice = known.index[known.index.duplicated()][0]
        yield "utterances.parquet", f"{twice} occurs twice"
    elif not record.predictions.empty:
        table = record.predictions
        columns = dimensional_labels(record.summary) or ["label"]
        listed = known.reindex(table["utterance"])[columns].to_numpy()
        differs = (listed != table[columns].to_numpy()).any(axis=1)
        wrong = table["utterance"][differs]
        if not wrong.empty:
            number, first = counted(len(wrong), "prediction"), wrong.iloc[0]
            yield _FILE, f"{number} with another label than utterances.parquet, e.g. of {first}"


def probabilities(record: Contents) -> Iterator[Finding]:
    """Find invalid outputs, and predictions that are not the most probable class."""
    table, classes = record.predictions, record.summary["card"]["classes"]
    if table.empty:
        return
    if dimensions := dimensional_labels(record.summary):
        predicted = table[[f"predicted_{name}" for name in dimensions]].to_numpy(float)
        if n := int((~np.isfinite(predicted)).any(axis=1).sum()):
            yield _FILE, f"{n} rows have predictions that are not finite"
        return
    values = table[[f"p_{name}" for name in classes]].to_numpy(float)
    sound = (values >= 0).all(axis=1) & (abs(values.sum(axis=1) - 1) <= ROUNDING)
    likely = np.array(classes, dtype=object)[values.argmax(axis=1)]
    unlikely = sound & (table["predicted"].to_numpy(object) != likely)
    for rows, what in (
        (~sound, "have probabilities that do not sum to one"),
        (unlikely, "do not predict their most probable class"),
    ):
        if rows.any():
            yield _FILE, f"{rows.sum()} rows {what}, e.g. of {table['utterance'][rows].iloc[0]}"


def sides(record: Contents) -> Iterator[Finding]:
    """Find utterances and speakers in two parts of a fold, and utterances that are tested twice."""
    protocol = ProtocolConfig(**record.summary["configuration"]["protocol"])
    table = record.utterances
    speakers = dict(zip(table["utterance"], table["speaker"], strict=True))
    tested: set[str] = set()
    for name, parts in record.folds.items():
        fold = Fold(name, *(tuple(parts[part]) for part in ("train", "dev", "test")))
        for what in (
            *_misplaced(fold, protocol, speakers),
            *(f"{each} is tested in another fold as well" for each in tested & set(fold.test)),
        ):
            yield "folds.json", f"fold {name}: {what}"
        tested |= set(fold.test)


def _misplaced(fold: Fold, protocol: ProtocolConfig, speakers: dict[str, str]) -> Iterator[str]:
    train, dev, test = set(fold.train), set(fold.dev), set(fold.test)
    both = train & test | train & dev | (dev & test if protocol.dev != "test" else set())
    yield from (f"{each} is in two parts" for each in sorted(both))
    if unknown := sorted((train | dev | test) - set(speakers)):
        yield f"{counted(len(unknown), 'utterance')} not in utterances.parquet, e.g. {unknown[0]}"
    elif not protocol.same_speakers:
        shared = sorted(shared_speakers(fold, speakers, protocol))
        yield from (f"speaker {each} is in two parts" for each in shared)


def unseen(record: Contents) -> Iterator[Finding]:
    """Find test utterances, and test speakers, that the initial weights had seen."""
    settings = record.summary["configuration"]
    dataset = {name: settings["dataset"][name] for name in ("name", "synthetic", "options")}
    table = identities(record.utterances, corpus_name(DatasetConfig(**dataset)))
    for name, seen in record.seen.items():
        both = overlap(seen, table, record.folds[name]["test"])
        if both.utterances:
            what = f"{len(both.utterances)} test utterances, e.g. {both.utterances[0]}"
        elif both.speakers and not settings["protocol"]["same_speakers"]:
            what = f"{len(both.speakers)} test speakers, e.g. {both.speakers[0]}"
        else:
            continue
        yield SEEN, f"fold {name}: the initial weights had seen {what}"
