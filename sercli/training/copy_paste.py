"""CopyPaste: concatenation of random excerpts of two training turns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch

from sercli.config.schema import Config, FeaturesConfig
from sercli.errors import RequestError, nearest
from sercli.models.interface import Turns
from sercli.training.data import Data
from sercli.training.spec_augment import check_frames, check_seconds, check_share, whole_steps

_NEUTRAL = "neutral"
"""Name of the class that N-CP pastes."""

_SCHEMES = {"n": ("n",), "se": ("se",), "n_se": ("n", "se")}
_SPEAKERS = ("any", "same")


class CopyPaste:
    """CopyPaste (Pappagari et al. 2021, ICASSP, arXiv 2010.14602): concatenation of turns.

    In a share of the batches, each turn is replaced by a random excerpt of it and one of another
    training turn, in random order, and keeps its label. The other turn is neutral (scheme ``n``,
    the paper's N-CP), of the same class (``se``, SE-CP), or either, decided for each batch
    (``n_se``, N+SE-CP). The paper states neither the order, nor the speaker of the other turn, nor
    a cross-fade: random, any and none are our choices. A turn without an eligible other turn stays
    whole. An auxiliary label, such as the gender, counts if both turns have it.

    >>> print(CopyPaste(scheme="se"))
    copy_paste (4 s of a turn and 4 s of one of its class, of any speaker, in 80% of the batches)

    Args:
        scheme: ``n``, ``se`` or ``n_se``.
        share: Share of the batches in which turns are pasted (0.8 in the paper).
        seconds: Maximum length of an excerpt (4 in the paper).
        speaker: Speaker of the other turn: ``any`` or ``same``.

    Raises:
        RequestError: A value is invalid.
    """

    def __init__(
        self, scheme: str = "n_se", share: float = 0.8, seconds: float = 4.0, speaker: str = "any"
    ) -> None:
        _check_choice("copy_paste.scheme", scheme, _SCHEMES)
        _check_choice("copy_paste.speaker", speaker, _SPEAKERS)
        check_share("copy_paste.share", share)
        check_seconds("copy_paste.seconds", seconds)
        self.scheme, self.share, self.seconds, self.speaker = scheme, share, seconds, speaker

    def __str__(self) -> str:
        neutral, same = "a neutral one", "one of its class"
        other = {"n": neutral, "se": same, "n_se": f"{neutral} or {same}"}[self.scheme]
        speaker = "any speaker" if self.speaker == "any" else "the same speaker"
        return (
            f"copy_paste ({self.seconds:g} s of a turn and {self.seconds:g} s of {other}, of "
            f"{speaker}, in {self.share:.0%} of the batches)"
        )

    def check(self, config: Config) -> None:
        """Refuse features without frames, or classes without the one that the scheme needs.

        Raises:
            RequestError: The features or the classes do not fit.
        """
        check_frames("copy_paste", config.features)
        classes = sorted(set(config.dataset.classes.values()))
        if "n" in _SCHEMES[self.scheme] and _NEUTRAL not in classes:
            raise RequestError(
                f"augment.copy_paste.scheme={self.scheme} pastes turns of a class '{_NEUTRAL}', "
                f"and the classes are {', '.join(classes)}; set augment.copy_paste.scheme=se"
            )


class Paster:
    """CopyPaste on the training turns of a fold.

    Args:
        settings: The settings.
        data: The corpus.
        train: Ids of the training utterances.
        features: Settings of the features, for the duration of a step.
    """

    def __init__(
        self, settings: CopyPaste, data: Data, train: Sequence[str], features: FeaturesConfig
    ) -> None:
        turns = data.packed
        rows = turns.rows(train)
        self._settings, self._labels = settings, turns.labels
        self._steps = whole_steps(settings.seconds, features)
        classes = data.manifest.classes
        self._neutral = classes.index(_NEUTRAL) if _NEUTRAL in classes else -1
        self._speakers = np.zeros(len(turns.names), dtype=np.int64)
        if settings.speaker == "same":
            speakers = [data.speakers[name] for name in turns.names[rows]]
            self._speakers[rows] = np.unique(speakers, return_inverse=True)[1]
        self._pools: dict[tuple[int, int], list[int]] = {}
        for row in np.unique(rows).tolist():
            self._pools.setdefault((int(self._speakers[row]), int(self._labels[row])), []).append(
                row
            )

    @property
    def possible(self) -> bool:
        """True if some training turn has an eligible other turn."""
        every = np.concatenate([np.array(pool) for pool in self._pools.values()])
        return any(
            (self._others(every, scheme, np.zeros(len(every))) != every).any()
            for scheme in _SCHEMES[self._settings.scheme]
        )

    def others(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray | None:
        """Draw the turns to paste to those of a batch.

        Args:
            rows: Rows of the batch.
            random: Random generator.

        Returns:
            Row of the other turn of each, or its own row if there is none; None: the batch stays
            as it is.
        """
        if random.random() >= self._settings.share:
            return None
        schemes = _SCHEMES[self._settings.scheme]
        scheme = schemes[int(random.integers(len(schemes)))]
        return self._others(rows, scheme, random.random(len(rows)))

    def _others(self, rows: np.ndarray, scheme: str, draws: np.ndarray) -> np.ndarray:
        found = rows.copy()
        for place, (row, draw) in enumerate(zip(rows.tolist(), draws.tolist(), strict=True)):
            label = self._neutral if scheme == "n" else int(self._labels[row])
            pool = self._pools.get((int(self._speakers[row]), label), [])
            itself = label == self._labels[row]
            if len(pool) > itself:
                chosen = int(draw * (len(pool) - itself))
                found[place] = pool[-1] if pool[chosen] == row else pool[chosen]
        return found

    def paste(
        self, turns: Turns, others: Turns, pasted: np.ndarray, random: np.random.Generator
    ) -> Turns:
        """Concatenate excerpts of turns and of others.

        Args:
            turns: The turns of a batch.
            others: The turns to paste to them.
            pasted: True for the turns that are pasted to, (B,); the others stay whole.
            random: Random generator.

        Returns:
            The turns; their lengths are the sums of those of both excerpts.
        """
        whole = np.stack([turns.lengths.numpy(force=True), others.lengths.numpy(force=True)])
        sizes = np.minimum(whole, self._steps)
        starts = random.integers(0, whole - sizes + 1)
        swapped = pasted & (random.random(len(pasted)) < 0.5)
        sizes = np.where(pasted, sizes, [whole[0], 0 * whole[0]])
        starts = np.where(pasted, starts, 0)
        starts[1] += turns.frames.shape[1]  # where the frames of the others begin, below
        order, each = np.stack([swapped, ~swapped]).astype(np.int64), np.arange(len(pasted))
        first, lengths = sizes[order, each][0], sizes.sum(axis=0)
        begin, then = starts[order, each]
        step = np.arange(lengths.max())
        index = np.where(
            step < first[:, None], begin[:, None] + step, (then - first)[:, None] + step
        )
        valid = step < lengths[:, None]
        device = turns.frames.device
        places = torch.from_numpy(np.where(valid, index, 0)).to(device)
        both = torch.cat([turns.frames, others.frames], dim=1)
        frames = both.gather(1, places.unsqueeze(-1).expand(-1, -1, both.shape[2]))
        outside = torch.from_numpy(~valid).to(device).unsqueeze(-1)
        return Turns(frames.masked_fill(outside, 0.0), torch.from_numpy(lengths).to(device))


def _check_choice(key: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise RequestError(f"augment.{key}={value} is not known.{nearest(value, known)}")
