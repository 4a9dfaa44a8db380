"""Where the padding of recurrences lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sercli.nn.masks import valid_steps
from sercli.nn.recurrence.operands import Recurrence


@dataclass(frozen=True)
class Padding:
    """The padding of one recurrence.

    Attributes:
        first: The first step at which any sequence is padded; T: none is.
        mask: Boolean (T, B, 1), true where a step is padding; None: nowhere.
    """

    first: int
    mask: Tensor | None

    @classmethod
    def of(cls, recurrence: Recurrence) -> Padding:
        """Find the padding of a recurrence. The lengths are read once, on the host."""
        steps = recurrence.inputs.shape[0]
        first = min(recurrence.lengths.tolist(), default=steps)
        if first == steps:
            return cls(first, None)
        return cls(first, ~valid_steps(recurrence.lengths, steps).t().unsqueeze(-1))

    def zeroed(self, x: Tensor) -> Tensor:
        """Return (T, B, n) with zeros at padded steps."""
        return x if self.mask is None else x.masked_fill(self.mask, 0.0)

    @staticmethod
    def rounds(group: Sequence[Recurrence], padding: Sequence[Padding]) -> list[Tensor | None]:
        """Say for each round of the loop over a group which rows are padding.

        Returns:
            For each round boolean ([G,] B, 1); None where none is, so that most rounds of a
            batch of similar lengths do without masks.
        """
        steps, batch, _ = group[0].inputs.shape
        if all(each.mask is None for each in padding):
            return [None] * steps
        none = torch.zeros(steps, batch, 1, dtype=torch.bool, device=group[0].inputs.device)
        masks = []
        for recurrence, each in zip(group, padding, strict=True):
            mask = none if each.mask is None else each.mask
            masks.append(mask.flip(0) if recurrence.reverse else mask)
        stacked = masks[0] if len(masks) == 1 else torch.stack(masks)
        ahead = [p.first for r, p in zip(group, padding, strict=True) if not r.reverse]
        back = [p.first for r, p in zip(group, padding, strict=True) if r.reverse]
        bare = range(steps - min(back, default=steps), min(ahead, default=steps))
        return [None if t in bare else mask for t, mask in enumerate(stacked.unbind(-3))]
