"""Systems whose true UA is known, tested on the speakers of an imagined corpus.

Whether an utterance is recognised is a coin whose log-odds are the sum of

- what the class and the system are like;
- what the speaker is like, in general and in each class: the same for all systems;
- how hard the utterance is: the same for all systems, so that their errors agree;
- how the system and the speaker get on, in general and in each class;
- how the training of one fold with one seed went, in each class: the same for all speakers
  that the fold tests.

All are normal and independent, so that the true UA, over all speakers and trainings that there
could be, is an integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sercli.results.counts import Counts

Bits = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]
Odds = npt.NDArray[np.float64]

CLASSES = ("anger", "happiness", "neutral", "sadness")
COUNTS = (1103, 1636, 1708, 1084)
"""Utterances of IEMOCAP's four classes."""

LEVEL = (0.9, 0.5, 0.6, 1.1)
"""Log-odds of the classes, beside all that is random."""


@dataclass(frozen=True)
class Design:
    """A corpus, its protocol, and how much everything varies (standard deviations of log-odds).

    The defaults give the size and folds of IEMOCAP, a UA of 63 %, speakers that differ by 5 points
    of UA, and seeds that differ by 0.9 (standard deviations).
    """

    speakers: int = 10
    folds: int = 5
    seeds: int = 3
    counts: tuple[int, ...] = COUNTS
    speaker: float = 0.2
    speaker_class: float = 0.4
    utterance: float = 1.5
    system_speaker: float = 0.06
    system_speaker_class: float = 0.12
    training: float = 0.25

    @property
    def spread(self) -> float:
        """Standard deviation of the log-odds of an utterance about those of its class."""
        parts = (
            self.speaker,
            self.speaker_class,
            self.utterance,
            self.system_speaker,
            self.system_speaker_class,
            self.training,
        )
        return float(np.sqrt(np.square(parts).sum()))


@dataclass(frozen=True)
class Corpus:
    """Utterances.

    Attributes:
        speaker: Code of each one's speaker.
        label: Code of its class.
        fold: Code of the fold that tests it; all of a speaker's are in one.
    """

    speaker: Codes
    label: Codes
    fold: Codes


def draw_corpus(design: Design, random: np.random.Generator) -> Corpus:
    """Draw who says how much of what: uneven, as in acted dialogues."""
    shares = random.dirichlet([20] * design.speakers, size=len(design.counts))
    label = np.repeat(np.arange(len(design.counts)), design.counts)
    speaker = np.concatenate(
        [
            random.choice(design.speakers, size=count, p=share)
            for count, share in zip(design.counts, shares, strict=True)
        ]
    )
    return Corpus(speaker, label, speaker * design.folds // design.speakers)


def draw_people(design: Design, corpus: Corpus, random: np.random.Generator) -> Odds:
    """Draw speakers and utterances, as hard as they are for every system (log-odds)."""
    speaker, label = corpus.speaker, corpus.label
    return (
        np.array(LEVEL)[label]
        + random.normal(scale=design.speaker, size=design.speakers)[speaker]
        + random.normal(scale=design.speaker_class, size=(design.speakers, 4))[speaker, label]
        + random.normal(scale=design.utterance, size=len(label))
    )


def draw_system(
    design: Design, corpus: Corpus, people: Odds, better: float, random: np.random.Generator
) -> Bits:
    """Draw what a system recognises.

    Args:
        design: How much everything varies.
        corpus: The utterances.
        people: How hard they are.
        better: How much better than `LEVEL` the system is, in log-odds.
        random: Where numbers come from.

    Returns:
        Whether it is right (seeds, utterances).
    """
    match = random.normal(scale=design.system_speaker, size=(design.speakers, 1))
    by_class = random.normal(scale=design.system_speaker_class, size=(design.speakers, 4))
    training = random.normal(scale=design.training, size=(design.seeds, design.folds, 4))
    odds = (
        people
        + better
        + (match + by_class)[corpus.speaker, corpus.label]
        + training[:, corpus.fold, corpus.label]
    )
    return np.asarray(random.random(odds.shape) < 1 / (1 + np.exp(-odds)))


def true_recalls(design: Design, better: float = 0.0) -> Odds:
    """Integrate the recall of each class over all that is random (Gauss–Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    odds = np.array(LEVEL)[:, None] + better + design.spread * nodes
    return np.asarray((weights / weights.sum() / (1 + np.exp(-odds))).sum(axis=1))


def counted(corpus: Corpus, right: Bits) -> Counts:
    """Count what a system recognises (seeds, utterances)."""
    speakers, classes = int(corpus.speaker.max()) + 1, len(CLASSES)
    cell = corpus.speaker * classes + corpus.label
    shape = (speakers, classes)
    fold = np.empty(speakers, dtype=np.intp)
    fold[corpus.speaker] = corpus.fold

    def of(weights: npt.NDArray[Any] | None) -> Odds:
        return np.bincount(cell, weights, speakers * classes).reshape(shape).astype(np.float64)

    names = tuple(f"speaker{number:03}" for number in range(speakers))
    return Counts(names, CLASSES, fold, of(None), np.array([of(each) for each in right]))


def true_ua(design: Design, better: float = 0.0) -> float:
    """True UA of a system, over all speakers and trainings."""
    return float(true_recalls(design, better).mean())


def draw_counts(design: Design, *better: float, seed: int = 0) -> list[Counts]:
    """Draw the counts of systems that are better by so much, on one corpus."""
    random = np.random.default_rng(seed)
    corpus = draw_corpus(design, random)
    people = draw_people(design, corpus, random)
    return [counted(corpus, draw_system(design, corpus, people, x, random)) for x in better]
