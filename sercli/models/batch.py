"""What a model receives: the current turns of a batch, and the turns before them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sercli.nn.pooling import valid_steps


@dataclass(frozen=True)
class Turns:
    """A padded batch of turns.

    Attributes:
        frames: (B, T, features), zero after the end of a turn.
        lengths: Number of real steps of each turn, (B,).
    """

    frames: Tensor
    lengths: Tensor

    @property
    def valid(self) -> Tensor:
        """Boolean (B, T), true where a step is real."""
        return valid_steps(self.lengths, self.frames.shape[1])

    @property
    def real_frames(self) -> Tensor:
        """The frames with whatever stands after the end of a turn set to zero."""
        return self.frames.masked_fill(~self.valid.unsqueeze(-1), 0.0)


@dataclass(frozen=True)
class Batch:
    """A batch of target turns with their context.

    Attributes:
        current: The turns to classify.
        own: The previous turn of the same speaker (the pad turn where there is none).
        interlocutor: The previous turn of the other speaker (likewise).
    """

    current: Turns
    own: Turns
    interlocutor: Turns
