"""The interface of a system: a batch of turns in, logits and auxiliary losses out."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from torch import Tensor

from sercli.errors import RequestError
from sercli.nn.pooling import valid_steps

Criterion = Callable[[str, Tensor], Tensor]
"""The loss of a batch: a column of the manifest and logits (B, values) → a scalar.

The values of ``label`` are the classes; those of any other column are its sorted values among
the targets of the corpus (`CorpusInfo`).
"""


@dataclass(frozen=True)
class Turns:
    """A padded batch of turns.

    >>> import torch
    >>> turns = Turns(torch.ones(2, 3, 45), lengths=torch.tensor([3, 1]))
    >>> turns.valid.sum(dim=1)
    tensor([3, 1])

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
        """The frames, with everything after the end of a turn set to zero."""
        return self.frames.masked_fill(~self.valid.unsqueeze(-1), 0.0)


@dataclass(frozen=True)
class Batch:
    """A batch of target turns with their context.

    Attributes:
        current: The turns to classify.
        own: The previous turn of the same speaker (the pad turn where there is none).
        interlocutor: The previous turn of the other speaker (likewise).
        rater: Index of the rater of each turn, (B,), in training on single raters
            (``trainer.labels=rater``) and in scores against the labels of raters; else None.
        criterion: In training, the loss of logits against a column of the manifest, for auxiliary
            losses; None in evaluation.
        streams: Name → further features of the turns to classify (``streams.NAME``), such as the
            words of their transcripts; each has its own number of steps, at least 1.
    """

    current: Turns
    own: Turns
    interlocutor: Turns
    rater: Tensor | None = field(default=None, kw_only=True)
    criterion: Criterion | None = field(default=None, kw_only=True)
    streams: Mapping[str, Turns] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class Output:
    """Logits of a batch and auxiliary losses.

    A model with nothing but logits may return those alone.

    Attributes:
        logits: (B, classes).
        losses: Name → weighted auxiliary loss, a scalar. The trainer adds them to the loss of the
            classes and records each as ``loss/<name>``. Evaluation ignores them.
    """

    logits: Tensor
    losses: Mapping[str, Tensor] = field(default_factory=dict)


def as_output(returned: Tensor | Output) -> Output:
    """Return what a model returned as an `Output`."""
    return returned if isinstance(returned, Output) else Output(returned)


class AskedSizes(UserDict[str, int]):
    """The sizes of streams, which records those that a model reads.

    >>> sizes = AskedSizes({"text": 300, "video": 64})
    >>> sizes["text"], sizes.asked
    (300, {'text'})

    Args:
        sizes: Name of a stream → features of its steps.

    Attributes:
        asked: Names of the streams whose size was read.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__(sizes)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> int:
        size = super().__getitem__(name)
        self.asked.add(name)
        return size


@dataclass(frozen=True)
class Pretrained:
    """A pretrained encoder.

    Attributes:
        module: The module of transformers, loaded anew.
        digest: SHA-256 of its files.
        path: Its folder, for messages.
    """

    module: Any  # transformers has no types
    digest: str
    path: str


def _no_encoder() -> NoReturn:
    raise RequestError("the features are not those of a pretrained encoder")


@dataclass(frozen=True)
class CorpusInfo:
    """Facts of a corpus that the shape of a model can depend on.

    Attributes:
        name: The corpus, for messages.
        model: The model that is built, for messages.
        values: Column of the manifest → its sorted values among the targets; empty where the
            corpus does not state it.
        columns: Function that returns the names of the features of a step, in order. It may start
            openSMILE, so only a model that needs names calls it.
        streams: Name of a further stream → features of its steps.
        encoder: Function that returns the pretrained encoder whose convolutions computed the
            features, and raises a RequestError for other features. It reads the weights, so only a
            model that needs them calls it.
    """

    name: str = "unknown"
    model: str = "unknown"
    values: Callable[[str], Sequence[str]] = lambda column: ()
    columns: Callable[[], Sequence[str]] = tuple
    streams: Mapping[str, int] = field(default_factory=dict)
    encoder: Callable[[], Pretrained] = _no_encoder

    def count(self, column: str) -> int:
        """Return the number of values of a column of the manifest.

        Raises:
            RequestError: The corpus does not state it.
        """
        found = len(self.values(column))
        if not found:
            raise RequestError(
                f"model {self.model} has '{column}' as an auxiliary task, and the corpus "
                f"{self.name} does not state it; set model.{column}_weight=0"
            )
        return found

    def stream(self, name: str) -> int:
        """Return the number of features of a step of a further stream.

        Raises:
            RequestError: The configuration has no stream of that name.
        """
        if name not in self.streams:
            given = f"; there is {', '.join(self.streams)}" if self.streams else ""
            raise RequestError(
                f"model {self.model} reads the stream '{name}'{given}: set streams.{name} to a "
                f"feature set, as in streams.{name}=word_vectors"
            )
        return self.streams[name]
