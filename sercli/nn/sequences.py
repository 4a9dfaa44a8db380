"""Batched, single and packed sequences as inputs and outputs of a recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from sercli.errors import RequestError


@dataclass(frozen=True)
class Sequences:
    """A padded batch, and the form in which it was given.

    Attributes:
        steps: (T, B, I).
        lengths: Number of real steps of each sequence, (B,).
        batch_first: True if it was given as (B, T, I).
        unbatched: True if it was given as one sequence (T, I).
        packed: The packed sequence that was given, if any.
        padded: True if a sequence may be shorter than T.
    """

    steps: Tensor
    lengths: Tensor
    batch_first: bool = False
    unbatched: bool = False
    packed: PackedSequence | None = None
    padded: bool = True

    def like_input(self, steps: Tensor) -> Tensor | PackedSequence:
        """Convert an output (T, B, O) to the form of the input."""
        if self.packed is not None:
            return _packed_like(self.packed, steps, self.lengths)
        if self.unbatched:
            return steps.squeeze(1)
        return steps.transpose(0, 1) if self.batch_first else steps


def read_sequences(
    given: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | None, *, batch_first: bool
) -> Sequences:
    """Read sequences in any form that the layers of torch take, or padded with lengths.

    Args:
        given: (T, B, I) or, with ``batch_first``, (B, T, I); one sequence (T, I); or packed.
        lengths: Number of real steps of each sequence of a batch, (B,); None: all.
        batch_first: True if a batch is (B, T, I).

    Raises:
        RequestError: There is no step, a length does not fit, or lengths are given for sequences
            that have their own.
    """
    if isinstance(given, PackedSequence):
        _check_no_lengths(lengths, "a packed sequence")
        steps, own = pad_packed_sequence(given)
        return Sequences(steps, own.to(steps.device), packed=given)
    if given.dim() not in (2, 3):
        raise RequestError(f"input of shape {tuple(given.shape)}: expected (T, B, I) or (T, I)")
    if given.dim() == 2:
        _check_no_lengths(lengths, "a single sequence")
        return replace(read_sequences(given.unsqueeze(1), None, batch_first=False), unbatched=True)
    steps = given.transpose(0, 1) if batch_first else given
    found, padded = _checked(lengths, steps)
    return Sequences(steps, found, batch_first=batch_first, padded=padded)


def _check_no_lengths(lengths: object, what: str) -> None:
    if lengths is not None:
        raise RequestError(f"lengths= does not go with {what}, which has its own")


def _checked(lengths: Tensor | Sequence[int] | None, steps: Tensor) -> tuple[Tensor, bool]:
    """Return the lengths on the device of the steps, and True if a sequence may be padded.

    The values of a tensor on a GPU are not read, since the host would wait for them; nor are those
    in an export, which are only an example.
    """
    count, batch = steps.shape[:2]
    if count == 0:
        raise RequestError("input has no steps (T = 0)")
    if lengths is None:
        return torch.full((batch,), count, device=steps.device), False
    lengths = torch.as_tensor(lengths)
    if lengths.shape != (batch,):
        raise RequestError(f"{batch} sequences but lengths of shape {tuple(lengths.shape)}")
    if lengths.is_floating_point() or lengths.dtype is torch.bool:
        raise RequestError(f"lengths are {lengths.dtype}: expected whole numbers")
    if lengths.is_cuda or torch.compiler.is_compiling():
        return lengths.to(steps.device), True
    listed = lengths.tolist()
    if listed and (min(listed) < 1 or max(listed) > count):
        raise RequestError(
            f"lengths from {min(listed)} to {max(listed)} do not fit a batch of {count} steps"
        )
    return lengths.to(steps.device), min(listed, default=0) < count


def _packed_like(packed: PackedSequence, steps: Tensor, lengths: Tensor) -> PackedSequence:
    order = packed.sorted_indices
    if order is not None:
        steps, lengths = steps.index_select(1, order), lengths.index_select(0, order)
    data = pack_padded_sequence(steps, lengths.cpu()).data
    return PackedSequence(data, packed.batch_sizes, order, packed.unsorted_indices)
