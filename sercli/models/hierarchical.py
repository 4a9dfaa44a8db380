"""Hierarchical attention: over the steps of each segment between pauses, and over segments."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Turns
from sercli.models.parts import check_dropout, check_sizes
from sercli.nn.attention import SegmentAttention
from sercli.nn.checks import check_one_of

LOUDNESS = ("loudness", "energy", "log_mel")


@MODELS.register("hierarchical")
class Hierarchical(nn.Module):
    """Recurrent network with attention over the steps of segments and over segments: our design.

    A bidirectional layer reads the turn; `SegmentAttention` pools its states. Hsu, Su, Wu and Chen
    (TASLP 2021) segment a turn by silence detection and by detectors of non-verbal sounds, which
    need labels. Here the segments are the parts of a turn between pauses. A pause is a run of
    silent steps and belongs to no segment; short acted turns rarely have one. A step is silent if
    its loudness is in the lowest part of the turn's range, which z-normalisation does not change.
    All sizes are our choices.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Facts of the corpus: the names of the features.
        hidden: Features of the recurrent layer in each direction.
        attention: Features of both attention spaces.
        split: ``pauses``, or ``fixed``: segments of equal length.
        loudness: Substring of the names of the features whose mean is the loudness, deltas left
            out; None: ``loudness``, ``energy`` or ``log_mel``, the first that occurs.
        silence: Threshold of silence, as a share of the range from the softest to the loudest step.
        pause: Minimum number of steps of a pause; 6 of 50 ms are 0.3 s.
        steps: Steps of a fixed segment.
        dropout: Dropout probability on the pooled vector.

    Raises:
        RequestError: A number is out of range, the split is unknown, or no name of a feature
            contains ``loudness``.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        hidden: int = 128,
        attention: int = 64,
        split: str = "pauses",
        loudness: str | None = None,
        silence: float = 0.2,
        pause: int = 6,
        steps: int = 20,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, attention=attention, pause=pause, steps=steps)
        check_dropout(dropout)
        check_one_of("model.split", split, ("pauses", "fixed"))
        if not 0 < silence < 1:
            raise RequestError(f"model.silence={silence:g}: must be between 0 and 1")
        self.loudness = _loudness(loudness, inputs, corpus) if split == "pauses" else []
        self.silence, self.pause, self.steps = silence, pause, steps
        self.recurrent = new_cell(inputs, hidden, bidirectional=True)
        size = self.recurrent.output_size
        self.pool = SegmentAttention(size, attention)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = batch.current
        states, _ = self.recurrent(turns.frames, lengths=turns.lengths)
        logits: Tensor = self.head(self.pool(states, self._segments(turns)))
        return logits

    def _segments(self, turns: Turns) -> Tensor:
        if not self.loudness:
            return fixed_segments(turns.valid, self.steps)
        loudness = turns.real_frames[..., self.loudness].mean(dim=-1)
        return segments_between_pauses(
            silent_steps(loudness, turns.valid, self.silence), turns.valid, self.pause
        )


def silent_steps(loudness: Tensor, valid: Tensor, share: float) -> Tensor:
    """Mark the real steps in the lowest ``share`` of each turn's range of loudness.

    >>> import torch
    >>> loudness = torch.tensor([[1.0, 0.0, 0.2, 9.0]])
    >>> silent_steps(loudness, torch.tensor([[True, True, True, False]]), share=0.25)
    tensor([[False,  True,  True, False]])

    Args:
        loudness: (B, T).
        valid: Boolean (B, T), with a true value in each row.
        share: In (0, 1).

    Returns:
        Boolean (B, T), false at the loudest step.
    """
    low = loudness.masked_fill(~valid, torch.inf).amin(dim=1, keepdim=True)
    high = loudness.masked_fill(~valid, -torch.inf).amax(dim=1, keepdim=True)
    return (loudness - low < share * (high - low)) & valid


def segments_between_pauses(silent: Tensor, valid: Tensor, pause: int) -> Tensor:
    """Segment turns at pauses, runs of at least ``pause`` silent steps.

    >>> import torch
    >>> silent = torch.tensor([[False, True, False, True, True, False]])
    >>> segments_between_pauses(silent, torch.ones_like(silent), pause=2)[0, :2].int()
    tensor([[1, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 1]], dtype=torch.int32)

    Args:
        silent: Boolean (B, T), with a false value at a real step of each row.
        valid: Boolean (B, T), true where a step is real.
        pause: Minimum number of steps of a pause.

    Returns:
        The steps of each segment, boolean (B, S, T), where S bounds the number of segments.
    """
    runs = F.pad(silent[:, None, None].float(), (pause - 1, pause - 1))
    whole = -F.max_pool2d(-runs, (1, pause), stride=1)  # 1 where a run of that length begins
    paused = F.max_pool2d(whole, (1, pause), stride=1)[:, 0, 0] > 0
    inside = valid & ~paused
    begins = inside & ~F.pad(inside, (1, 0))[:, :-1]
    return _members(begins.cumsum(dim=1) - 1, inside, pause + 1)


def fixed_segments(valid: Tensor, steps: int) -> Tensor:
    """Segment turns into ``steps`` steps each; the last segment may be shorter.

    >>> import torch
    >>> fixed_segments(torch.ones(1, 3, dtype=torch.bool), steps=2)[0, :2].int()
    tensor([[1, 1, 0],
            [0, 0, 1]], dtype=torch.int32)

    Args:
        valid: Boolean (B, T), true where a step is real.
        steps: Steps of a segment.

    Returns:
        The steps of each segment, boolean (B, S, T), where S bounds the number of segments.
    """
    time = torch.arange(valid.shape[1], device=valid.device)
    return _members((time // steps).expand_as(valid), valid, steps)


def _members(number: Tensor, inside: Tensor, fewest: int) -> Tensor:
    """Return the steps of each segment, (B, S, T).

    Args:
        number: Index of the segment of each step, (B, T).
        inside: True where a step is in a segment, (B, T).
        fewest: Minimum number of steps between the beginnings of two segments.
    """
    most = number.shape[1] // fewest + 2  # never 1: an export would specialise on it
    segments = torch.arange(most, device=number.device).unsqueeze(1)
    return (number.unsqueeze(1) == segments) & inside.unsqueeze(1)


def _loudness(name: str | None, inputs: int, corpus: CorpusInfo) -> list[int]:
    """Return the positions of the features whose mean is the loudness."""
    columns = corpus.columns()
    for part in (name,) if name else LOUDNESS:
        found = [
            i
            for i, each in enumerate(columns)
            if part.lower() in each.lower() and "_de" not in each
        ]
        if found and len(columns) == inputs:
            return found
    raise RequestError(
        f"model.loudness={name or 'null'}: no feature has {name or ' or '.join(LOUDNESS)} in its "
        "name; set model.split=fixed, or model.loudness to a part of a name"
    )
