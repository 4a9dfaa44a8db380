"""Records of runs that never ran: of the form and size of real ones, with simulated predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.simulated_runs import (
    CLASSES,
    Bits,
    Codes,
    Corpus,
    Design,
    draw_corpus,
    draw_people,
    draw_system,
)
from sercli.config.compose import compose, to_yaml
from sercli.config.run_key import key_of, result_relevant
from sercli.config.schema import Config
from sercli.results.bootstrap import interval
from sercli.results.counts import count
from sercli.results.fold_result import FoldResult
from sercli.results.run_record import Record, write_record

FINGERPRINT = "simulated"


def write_simulated_records(
    folder: Path, number: int, *, design: Design | None = None, better: float = 0.0, seed: int = 0
) -> Iterator[Record]:
    """Write runs of one experiment, all tested on the same utterances of the same speakers.

    The first run is that of tanh; the others are of AReLU, each with an α of its own.

    Args:
        folder: Folder of the experiment.
        number: How many.
        design: How much everything varies; IEMOCAP's size and folds unless told otherwise.
        better: How much better than the first one the others are, in log-odds.
        seed: Where all numbers come from.
    """
    design = design or Design()
    random = np.random.default_rng(seed)
    corpus = draw_corpus(design, random)
    people = draw_people(design, corpus, random)
    utterances = _utterances(corpus)
    for config in _configurations(number, design):
        advantage = 0.0 if config.activation["name"] == "tanh" else better
        right = draw_system(design, corpus, people, advantage, random)
        oracle = right | (random.random(right.shape) < 0.02)
        results = list(_units(corpus, utterances, right, oracle))
        yield _write(folder, config, utterances, results)


def _configurations(number: int, design: Design) -> Iterator[Config]:
    task = ["dataset=iemocap", "model=iaan_small", f"seeds={list(range(design.seeds))}"]
    yield compose([*task, "activation=tanh"])
    arelu = compose([*task, "activation=arelu"])
    for run in range(1, number):
        yield replace(arelu, activation={**arelu.activation, "alpha": round(run / number, 6)})


def _utterances(corpus: Corpus) -> pd.DataFrame:
    """As `sercli.training.data` tabulates them."""
    label = np.array(CLASSES)[corpus.label]
    number = len(label)
    return pd.DataFrame(
        {
            "utterance": [f"Ses{fold + 1:02}_{i:05}" for i, fold in enumerate(corpus.fold)],
            "speaker": [f"speaker{code:03}" for code in corpus.speaker],
            "gender": np.where(corpus.speaker % 2, "male", "female"),
            "session": [f"session{fold + 1}" for fold in corpus.fold],
            "dialogue": [f"dialogue{fold + 1}" for fold in corpus.fold],
            "emotion": label,
            "label": label,
            "improvised": np.arange(number) % 2 == 0,
            "transcript": "so it goes",
            "seconds": 1 + np.arange(number) % 9,
            "own": True,
            "interlocutor": True,
        }
    )


def _units(
    corpus: Corpus, utterances: pd.DataFrame, right: Bits, oracle: Bits
) -> Iterator[FoldResult]:
    folds = int(corpus.fold.max()) + 1
    for seed in range(len(right)):
        for fold in range(folds):
            test = np.flatnonzero(corpus.fold == fold)
            dev = np.flatnonzero(corpus.fold == (fold + 1) % folds)
            parts = [
                _predictions(corpus, utterances, each, bits[seed]).assign(
                    seed=seed, fold=f"session{fold + 1}", part=part, selection=selection
                )
                for part, each in (("dev", dev), ("test", test))
                for selection, bits in (("dev", right), ("oracle", oracle))
            ]
            yield _result(seed, f"session{fold + 1}", pd.concat(parts, ignore_index=True))


def _predictions(
    corpus: Corpus, utterances: pd.DataFrame, each: Codes, right: Bits
) -> pd.DataFrame:
    """What is not right, is taken for the next class."""
    names = np.array(CLASSES)
    guess = (corpus.label + ~right) % len(names)
    table: pd.DataFrame = utterances.loc[each, ["utterance", "label"]]
    table = table.assign(predicted=names[guess[each]])
    for code, name in enumerate(CLASSES):
        table[f"p_{name}"] = np.where(guess[each] == code, np.float32(0.7), np.float32(0.1))
    return table


def _result(seed: int, fold: str, predictions: pd.DataFrame) -> FoldResult:
    steps = np.arange(100, 1100, 100)
    history = pd.DataFrame(
        {
            "seed": seed,
            "fold": fold,
            "step": steps,
            "loss": 1 / np.sqrt(steps / 100),
            **dict.fromkeys(("dev_ua", "dev_wa", "test_ua", "test_wa"), 0.6),
            "grad_norm": 1.0,
            "max_state": 1.0,
        }
    )
    return FoldResult(seed, fold, None, 900, 1000, history, predictions, {"w": np.zeros(1)})


def _write(
    folder: Path, config: Config, utterances: pd.DataFrame, results: Sequence[FoldResult]
) -> Record:
    settings = result_relevant(config)
    key = key_of(settings, FINGERPRINT)
    folds = dict.fromkeys(result.fold for result in results)
    card = {
        "dataset": "iemocap",
        "synthetic": False,
        "classes": list(CLASSES),
        "mapping": dict(config.dataset.classes),
        "utterances": len(utterances),
        "expected": len(utterances),
        "protocol": config.protocol.name,
        "division": "loso_session",
        "folds": len(folds),
        "selected_on": "dev",
        "recurrent": True,
        "seeds": list(config.seeds),
        "caveats": [],
        "paragraph": "SIMULATED.",
    }
    summary = {
        "key": key,
        "status": "complete",
        "diverged": [],
        "configuration": settings,
        "fingerprint": FINGERPRINT,
        "card": card,
        "metrics": _metrics(pd.concat([result.predictions for result in results]), utterances),
    }
    return write_record(
        folder / key,
        summary,
        config_yaml=to_yaml(config),
        folds={fold: {"train": [], "dev": [], "test": []} for fold in folds},
        environment={},
        utterances=utterances,
        results=results,
    )


def _metrics(predictions: pd.DataFrame, utterances: pd.DataFrame) -> dict[str, Any]:
    """As `sercli.results.summary` computes them, in a hundredth of the time."""
    rows = predictions.assign(right=predictions["label"] == predictions["predicted"])
    by_seed = _figures(rows, ["seed"])
    test = rows[(rows["part"] == "test") & (rows["selection"] == "dev")]
    counts = count(test, dict(zip(utterances["utterance"], utterances["speaker"], strict=True)))
    ends = {"ua_ci": interval(counts), "wa_ci": interval(counts.of_one_class())}
    steps = {"selected_step": 900, "oracle_step": 1000}
    return {
        **{str(name): value for name, value in by_seed.mean().items()},
        **{name: [found.low, found.high] for name, found in ends.items()},
        "recall": test.groupby("label")["right"].mean().to_dict(),
        "n": len(utterances),
        "by_seed": by_seed.reset_index().to_dict("records"),
        "by_fold": _figures(rows, ["seed", "fold"])
        .assign(**steps)
        .reset_index()
        .to_dict("records"),
    }


def _figures(rows: pd.DataFrame, results: list[str]) -> pd.DataFrame:
    """UA, WA and stand-ins of MAF and MAP, one row per fold run."""
    figures = {}
    for before, part, selection, after in (
        ("", "test", "dev", ""),
        ("", "test", "oracle", "_oracle"),
        ("dev_", "dev", "dev", ""),
    ):
        chosen = rows[(rows["part"] == part) & (rows["selection"] == selection)]
        recalls = chosen.groupby([*results, "label"])["right"].mean().unstack()
        figures[f"{before}ua{after}"] = recalls.mean(axis=1)
        figures[f"{before}wa{after}"] = chosen.groupby(results)["right"].mean()
        for stand_in in ("maf", "map"):
            figures[f"{before}{stand_in}{after}"] = figures[f"{before}ua{after}"]
    return pd.DataFrame(figures)
