"""The CTC loss on characters of transcripts, and the word error rate of greedy decoding."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sercli.errors import RequestError
from sercli.models.interface import Turns


def ctc(scores: Tensor, lengths: Tensor, characters: Turns, reduction: str = "sum") -> Tensor:
    """Return the CTC loss of a batch (Graves et al., ICML 2006), averaged over its turns.

    A turn without characters is left out, and one with more characters than its frames can align
    counts as 0.

    Args:
        scores: (B, T, 1 + characters); the first is the blank.
        lengths: Frames of each turn, (B,).
        characters: One-hot rows, (B, S, characters); a row of zeros is none.
        reduction: ``sum`` over the characters of a turn, or ``mean``.

    Returns:
        A scalar, in float32 at least.
    """
    exact = torch.promote_types(scores.dtype, torch.float32)
    targets, counts = _targets(characters)
    losses = F.ctc_loss(
        scores.to(exact).log_softmax(dim=-1).transpose(0, 1),
        targets,
        lengths,
        counts,
        reduction="none",
        zero_infinity=True,
    )
    if reduction == "mean":
        losses = losses / counts.clamp(min=1)
    stated = counts > 0
    return losses.where(stated, 0.0).sum() / stated.sum().clamp(min=1)


def word_errors(scores: Tensor, lengths: Tensor, characters: Turns) -> tuple[int, int]:
    """Count the word errors of greedy decoding, by jiwer.

    Args:
        scores: (B, T, 1 + characters); the first is the blank, the second the space.
        lengths: Frames of each turn, (B,).
        characters: One-hot rows, (B, S, characters); the first is the space.

    Returns:
        Number of substitutions, deletions and insertions, and number of words of the transcripts.
        Turns without words are left out.
    """
    from jiwer import process_words

    targets, counts = _targets(characters)
    symbols, targets = scores.argmax(dim=-1).cpu(), targets.cpu()
    read = [_text(row[:n].unique_consecutive()) for row, n in zip(symbols, lengths, strict=True)]
    true = [_text(row[:n]) for row, n in zip(targets, counts, strict=True)]
    pairs = [(one, other) for one, other in zip(true, read, strict=True) if one.strip()]
    if not pairs:
        return 0, 0
    found = process_words([one for one, _ in pairs], [other for _, other in pairs])
    missed = found.substitutions + found.deletions
    return missed + found.insertions, found.hits + missed


def check_characters(text: Turns) -> None:
    """Refuse a stream that is not one-hot, such as word vectors.

    Raises:
        RequestError: It is not.
    """
    rows = text.real_frames
    if not ((rows == 0) | (rows == 1)).all() or (rows.sum(dim=-1) > 1).any():
        raise RequestError("the stream 'text' is not of characters; set streams.text=characters")


def _targets(characters: Turns) -> tuple[Tensor, Tensor]:
    """Return the symbols of one-hot rows, of which 0 is the blank, (B, S), and their number, (B,).

    The symbols after the last character of a turn are undefined.
    """
    counts = (characters.real_frames > 0).any(dim=-1).sum(dim=1)
    return characters.frames.argmax(dim=-1) + 1, counts


def _text(symbols: Tensor) -> str:
    """Spell symbols: no letter for the blank, 0; a space for 1; any letter for each other."""
    return "".join(" " if each == 1 else chr(0x4E00 + each) for each in symbols.tolist() if each)
