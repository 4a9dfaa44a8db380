"""Measure the coverage of confidence intervals, and the level and power of tests.

    .venv/bin/python benchmarks/statistics.py coverage [REPETITIONS]
    .venv/bin/python benchmarks/statistics.py table1 [REPETITIONS]
    .venv/bin/python benchmarks/statistics.py speed FOLDER [RUNS]

``coverage`` draws corpora and systems of known true UA (tests/helpers/simulated_runs.py), 1 000
times by default, and prints the tables of statistics.md. ``table1`` draws tables like Table 1 of
Rajamani et al. (ICASSP 2021) from equal systems. ``speed`` writes 2 000 records of 5 531
predictions each to FOLDER, unless they exist, and compares all of them with the first.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.simulated_records import write_simulated_records
from helpers.simulated_runs import Design, counted, draw_corpus, draw_people, draw_system, true_ua

from sercli.analysis.comparison import compare
from sercli.analysis.statistics.permutation import permutation_p
from sercli.analysis.statistics.tests import detectable, mcnemar_p
from sercli.results.bootstrap import Interval, difference_interval, interval
from sercli.results.counts import Counts, Floats
from sercli.results.run_record import find_records, read_record

IEMOCAP = Design()
DESIGNS: Mapping[str, Design] = {
    "10 speakers, 5 folds, 3 seeds": IEMOCAP,
    "the same, 1 seed": replace(IEMOCAP, seeds=1),
    "the same, 10 seeds": replace(IEMOCAP, seeds=10),
    "9 speakers, 9 folds, 3 seeds": replace(IEMOCAP, speakers=9, folds=9),
    "10 speakers, 1 fold, 3 seeds": replace(IEMOCAP, folds=1),
    "40 speakers, 1 fold, 3 seeds": replace(IEMOCAP, speakers=40, folds=1),
    "40 speakers, 1 fold, 5 seeds": replace(IEMOCAP, speakers=40, folds=1, seeds=5),
}
ALPHA = 0.05
CLAIMED_GAIN = 2.0
"""Points of UA by which AR-GRU (V) exceeds tanh in Table 1 (68.3 − 66.3)."""
Rates = dict[str, float]


def coverage(repetitions: int) -> None:
    """Print the tables of simulated rates."""
    _table("Coverage of the 95 % confidence interval of UA", DESIGNS, _intervals, repetitions)
    _table("False positives: equal systems found different", DESIGNS, _tests, repetitions)
    alike = {
        name: replace(design, system_speaker=0, system_speaker_class=0)
        for name, design in DESIGNS.items()
        if design.seeds == IEMOCAP.seeds
    }
    _table("False positives, without interaction of speaker and system", alike, _tests, repetitions)
    _table(
        "Power: a difference of 2.4 points of UA found", DESIGNS, _tests, repetitions, better=0.15
    )
    print("\n### Minimum detectable difference\n")
    print("| | on average | found, if true |\n|---|---|---|")
    for name, design in DESIGNS.items():
        _detectable(name, design, repetitions)


def _table(
    title: str,
    designs: Mapping[str, Design],
    measure: Callable[[Design, float, np.random.Generator], Rates],
    repetitions: int,
    better: float = 0.0,
) -> None:
    print(f"\n### {title}\n")
    for number, (name, design) in enumerate(designs.items()):
        rates = _rates(design, measure, repetitions, better)
        if number == 0:
            print(f"| | {' | '.join(rates)} |\n|{'---|' * (len(rates) + 1)}")
        shown = " | ".join(f"{100 * rate:.1f} %" for rate in rates.values())
        print(f"| {name} | {shown} |", flush=True)


def _rates(
    design: Design,
    measure: Callable[[Design, float, np.random.Generator], Rates],
    repetitions: int,
    better: float,
) -> Rates:
    random = np.random.default_rng(0)
    seen = [measure(design, better, random) for _ in range(repetitions)]
    return {name: float(np.mean([each[name] for each in seen])) for name in seen[0]}


def _intervals(design: Design, better: float, random: np.random.Generator) -> Rates:
    corpus = draw_corpus(design, random)
    people = draw_people(design, corpus, random)
    counts = counted(corpus, draw_system(design, corpus, people, better, random))
    truth = true_ua(design, better)
    ends = dict(_other_intervals(counts))
    ours = interval(counts)
    ends["ours"] = (ours.low, ours.high)
    return {name: float(low <= truth <= high) for name, (low, high) in ends.items()}


def _other_intervals(counts: Counts) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield other intervals, all over speakers alone."""
    from scipy.special import ndtr, ndtri
    from scipy.stats import t

    total, correct = counts.total, counts.correct.mean(axis=0)
    speakers = len(total)
    drawn = _drawn(speakers)
    recalls, observed = (drawn @ correct) / (drawn @ total), correct.sum(0) / total.sum(0)
    values, ua = recalls.mean(axis=1), float(observed.mean())
    yield "percentile", tuple(np.quantile(values, [0.025, 0.975]))

    influence = ((correct - observed * total) / total.sum(0)).mean(axis=1)
    bias = ndtri((values < ua).mean())
    bend = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    levels = [ndtr(bias + (bias + z) / (1 - bend * (bias + z))) for z in (-1.96, 1.96)]
    yield "BCa", tuple(np.quantile(values, levels))

    correction = speakers / (speakers - 1)
    error = np.sqrt(correction * (influence**2).sum())
    own = (correct - recalls[:, None] * total) / (drawn @ total)[:, None]
    errors = np.sqrt(correction * (drawn * own.mean(axis=2) ** 2).sum(axis=1))
    low, high = np.quantile((values - ua) / errors, [0.025, 0.975])
    yield "bootstrap-t", (ua - high * error, ua - low * error)
    half = float(t.ppf(0.975, speakers - 1)) * error
    yield "Student's t", (ua - half, ua + half)


def _tests(design: Design, better: float, random: np.random.Generator) -> Rates:
    a, b, p_mcnemar = _pair(design, better, random)
    a_fixed, b_fixed = (_fixed(each) for each in (a, b))
    truly = permutation_p(a, b)
    between, fixed = difference_interval(a, b), difference_interval(a_fixed, b_fixed)
    return {
        "McNemar (WA)": float(p_mcnemar < ALPHA),
        "bootstrap, models fixed": float(_excludes_zero(fixed)),
        "permutation, models fixed": float(permutation_p(a_fixed, b_fixed) < ALPHA),
        "bootstrap, ours": float(_excludes_zero(between)),
        "permutation, ours": float(truly < ALPHA),
        "permutation, ours (WA)": float(permutation_p(a.of_one_class(), b.of_one_class()) < ALPHA),
        "permutation, ours, at 1 %": float(truly < 0.01),
    }


def _pair(
    design: Design, better: float, random: np.random.Generator
) -> tuple[Counts, Counts, float]:
    corpus = draw_corpus(design, random)
    people = draw_people(design, corpus, random)
    a, b = (draw_system(design, corpus, people, each, random) for each in (better, 0.0))
    return counted(corpus, a), counted(corpus, b), mcnemar_p(a[0], b[0])


def _fixed(counts: Counts) -> Counts:
    """Treat the models as fixed: as if every speaker had its own model and one seed."""
    mean = counts.correct.mean(axis=0, keepdims=True)
    return replace(counts, correct=mean, fold=np.arange(len(counts.speakers)))


def _excludes_zero(found: Interval) -> bool:
    return not found.low <= 0 <= found.high


def _detectable(name: str, design: Design, repetitions: int) -> None:
    random = np.random.default_rng(0)
    pairs = (_pair(design, 0.0, random) for _ in range(repetitions))
    promised = float(np.mean([detectable(difference_interval(a, b)) for a, b, _ in pairs]))
    steps = np.linspace(0, 1, 1001)
    gains = [true_ua(design, step) - true_ua(design) for step in steps]
    better = float(np.interp(promised, gains, steps))
    rates = _rates(design, _tests, repetitions, better)
    interval_rate, test_rate = rates["bootstrap, ours"], rates["permutation, ours"]
    found = f"{100 * interval_rate:.0f} % (permutation {100 * test_rate:.0f} %)"
    print(f"| {name} | {100 * promised:.1f} points | {found} |", flush=True)


def table1(repetitions: int) -> None:
    """Print how far the best of several equal systems lies above another equal one."""
    print("\n### A baseline and the best of several systems, all equal: difference of UA\n")
    print("| | median | 95th percentile | ≥ 2.0 points |\n|---|---|---|---|")
    for seeds, variants in ((1, 1), (1, 5), (3, 5), (10, 5)):
        design = replace(IEMOCAP, seeds=seeds)
        random = np.random.default_rng(0)
        gains = 100 * np.array([_gain(design, variants, random) for _ in range(repetitions)])
        middle, high = np.quantile(gains, [0.5, 0.95])
        by_chance = 100 * (gains >= CLAIMED_GAIN).mean()
        name = f"best of {variants}, {'1 seed' if seeds == 1 else f'{seeds} seeds'}"
        print(f"| {name} | {middle:.1f} | {high:.1f} | {by_chance:.1f} % |", flush=True)


def _gain(design: Design, variants: int, random: np.random.Generator) -> float:
    """Return the UA of the best of equal systems minus that of one more."""
    corpus = draw_corpus(design, random)
    people = draw_people(design, corpus, random)
    systems = (draw_system(design, corpus, people, 0.0, random) for _ in range(variants + 1))
    baseline, *others = (float(counted(corpus, each).ua.mean()) for each in systems)
    return max(others) - baseline


def _drawn(speakers: int) -> Floats:
    """Draw fewer resamples than ours: enough for a rate."""
    shares = [1 / speakers] * speakers
    return np.random.default_rng(0).multinomial(speakers, shares, size=2000).astype(float)


def speed(folder: Path, runs: int) -> None:
    """Write the records and compare them."""
    experiment = folder / f"simulated-{runs}"
    if not experiment.is_dir():
        began = time.perf_counter()
        for _ in write_simulated_records(experiment, runs, design=Design(seeds=1), better=0.1):
            pass
        print(f"{runs} records written in {time.perf_counter() - began:.0f} s")
    records = [read_record(path) for path in find_records(experiment)]
    began = time.perf_counter()
    frame = compare(records)
    took = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(frame)} comparisons in {took:.1f} s, {memory:.0f} MiB")
    print(frame["note"].iloc[0])


if __name__ == "__main__":
    if sys.argv[1:2] == ["speed"]:
        speed(Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 2000)
    else:
        tables = table1 if sys.argv[1:2] == ["table1"] else coverage
        tables(int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
