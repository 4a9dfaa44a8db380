"""What a model returns beside the logits of the classes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Task:
    """One more classification that a model is trained by.

    Attributes:
        column: Which column of the manifest holds the truth: ``label``, ``speaker``, ``gender``.
        logits: (B, values); of ``label`` the classes, else the sorted values of the column among
            the targets of the corpus (`sercli.models.corpus_info.CorpusInfo`).
        weight: How much its loss counts, where that of the classes counts 1.
    """

    column: str
    logits: Tensor
    weight: float


@dataclass(frozen=True)
class Output:
    """What a model says of a batch, and what it wants its training to mind.

    A model that has only logits returns those alone.

    Attributes:
        logits: (B, classes).
        tasks: Other classifications; nothing in evaluation reads them.
        penalty: Added to the loss.
    """

    logits: Tensor
    tasks: tuple[Task, ...] = ()
    penalty: Tensor | float = 0.0


def as_output(returned: Tensor | Output) -> Output:
    """Return what a model returned in its full form."""
    return returned if isinstance(returned, Output) else Output(returned)
