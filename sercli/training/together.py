"""Fold runs of several configurations that read the same batches, trained as one model.

The points of a search differ in a few numbers. With the same fold and seed they read the same
batches from the same initial weights on, so that a batch is gathered once and passes through all
models in one pass (`sercli.nn.together`). Everything else remains a fold run's own: its loss, its
optimiser and clipping, its randomness, its history and selection. One that ends leaves the others.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn

from sercli.config.schema import Config
from sercli.models.interface import Criterion, Output, as_output
from sercli.nn.together import Randomness, together
from sercli.results.fold_result import FoldResult
from sercli.results.folds import Fold
from sercli.training.batches import collate, repeated
from sercli.training.data import Data
from sercli.training.device import autocast, device_name
from sercli.training.monitoring import watched_states
from sercli.training.trainer import Found, Training, finish, start, train_fold

TOGETHER = 8
"""Fold runs that are trained together by default (our choice; benchmarks/together.md)."""

SMALL = 250_000
"""Parameters up to which models are trained together by default: the step of a larger one is
nearly all products (our choice; benchmarks/together.md)."""


def alike(config: Config) -> object:
    """Return what has to agree for fold runs to be trained together; None: nothing can.

    On a GPU each fold run is trained alone.
    """
    if config.trainer.together == 1 or device_name(config.device) != "cpu":
        return None
    trainer = asdict(config.trainer)
    names = ("steps", "batch_size", "batches", "eval_every", "together")
    return (
        *(trainer[name] for name in names),
        *(part.get("system") or part.get("name") for part in (config.model, config.cell)),
        config.activation.get("name"),
        config.precision,
        config.recurrence.backend,
        repr(config.protocol),
    )


def number_together(config: Config, parameters: int = 0) -> int:
    """Return the largest number of fold runs that are trained together.

    Args:
        config: The configuration of any of them.
        parameters: Number of trainable parameters of a model; by default it does not count.
    """
    if alike(config) is None:
        return 1
    if config.trainer.together is not None:
        return config.trainer.together
    return TOGETHER if parameters <= SMALL else 1


def train_together(
    configs: Sequence[Config],
    data: Data,
    fold: Fold,
    seed: int,
    ended: Callable[[int, FoldResult], None],
    stepped: Callable[[int], None] = lambda steps: None,
) -> None:
    """Train one fold with one seed for several configurations; see `train_fold`.

    Each result is that of `train_fold`, to the bit. Models that cannot be computed together, or
    whose losses or gradients would differ in a bit from those of each alone, are trained one after
    the other; the first batch decides.

    Args:
        configs: The configurations, for which `alike` agrees.
        data: The corpus.
        fold: The fold.
        seed: The seed.
        ended: Called with the position of a configuration and its result, when it ends.
        stepped: As in `train_fold`.

    Raises:
        RequestError: The device or the backend of the recurrence is not available here.
    """
    members = [_Member(i, config, data, fold, seed) for i, config in enumerate(configs)]
    batches = members[0].batches
    rows = next(batches)
    if not _agree(members[:2], data, rows):
        del members
        for i, config in enumerate(configs):
            began = time.perf_counter()
            result = train_fold(config, data, fold, seed, stepped)
            ended(i, replace(result, seconds=time.perf_counter() - began))
        return
    stack = _Stack(members, data)
    stack.evaluate_untrained()
    while stack.members:
        began = time.perf_counter()
        count = len(stack.members)
        stack.step(rows)
        stepped(count)
        stack.evaluate_if_due()
        for each in stack.members:
            each.seconds += (time.perf_counter() - began) / count
        for each in stack.leave():
            began = time.perf_counter()
            stepped(each.training.steps_left)
            result = finish(each.training, each.config, data, fold, seed)
            each.seconds += time.perf_counter() - began
            ended(each.place, replace(result, seconds=each.seconds))
        rows = next(batches)


class _Member:
    """A fold run in a stack: its training, its randomness, and the time spent on it."""

    def __init__(self, place: int, config: Config, data: Data, fold: Fold, seed: int) -> None:
        began = time.perf_counter()
        self.place, self.config = place, config
        self.training, self.batches = start(config, data, fold, seed)
        self.randomness = Randomness()
        self.seconds = time.perf_counter() - began


class _Stack:
    """The fold runs that are trained together at present."""

    def __init__(self, members: Sequence[_Member], data: Data) -> None:
        self.members = list(members)
        self._data = data
        self._joint = _joint(self.members)

    def step(self, rows: np.ndarray) -> None:
        """Take a step with every fold run on the same batch."""
        if len(self.members) == 1:
            with self.members[0].randomness:
                self.members[0].training.step(rows)
            return
        for each in self.members:
            each.training.train_mode()
        losses = _losses([each.training for each in self.members], self._joint, self._data, rows)
        for each in self.members:
            each.training.optimiser.zero_grad()
        torch.autograd.backward([loss for loss, _ in losses])
        for each, (loss, parts) in zip(self.members, losses, strict=True):
            each.training.learned(each.training.optimiser.update(), loss, parts)

    def evaluate_untrained(self) -> None:
        for each, found in zip(self.members, self._evaluated(), strict=True):
            each.training.evaluate_untrained(found)

    def evaluate_if_due(self) -> None:
        """Evaluate the fold runs whose step asks for it."""
        if any(each.training.evaluation_due for each in self.members):
            found = cache(self._evaluated)  # nothing, if all have diverged
            for i, each in enumerate(self.members):
                if each.training.evaluation_due:
                    each.training.evaluate(partial(_nth, found, i))

    def leave(self) -> list[_Member]:
        """Take out the fold runs that have ended, and return them."""
        gone = [each for each in self.members if each.training.done]
        if gone:
            self.members = [each for each in self.members if not each.training.done]
            self._joint = _joint(self.members)
        return gone

    def _evaluated(self) -> list[Found]:
        """Predictions of dev and test, and the largest state, of every fold run."""
        if len(self.members) == 1:
            return [self.members[0].training.predictions()]
        trainings = [each.training for each in self.members]
        with ExitStack() as stack:
            states = [stack.enter_context(watched_states(each.model.eval())) for each in trainings]
            dev, test = (
                part.predict_together(
                    self._joint, len(trainings), trainings[0].device, trainings[0].precision
                )
                for part in (trainings[0].dev, trainings[0].test)
            )
        largest = ({"max_state": each.value} for each in states)
        return list(zip(dev, test, largest, strict=True))


def _nth(found: Callable[[], list[Found]], place: int) -> Found:
    return found()[place]


def _joint(members: Sequence[_Member]) -> nn.Module:
    if len(members) < 2:
        return nn.Identity()  # not used: it is trained alone
    return together(
        [each.training.model for each in members], [each.randomness for each in members]
    )


def _losses(
    trainings: Sequence[Training], joint: nn.Module, data: Data, rows: np.ndarray
) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Return the loss of each fold run on a batch, and the parts that it is the sum of."""
    first, count = trainings[0], len(trainings)
    criteria = [each.loss.criterion(rows) for each in trainings]
    with autocast(first.device, first.precision):
        batch = collate(rows, data.packed, first.device, first.rule, _of_each(criteria))
        output = as_output(joint(repeated(batch, count)))
        aux = [{name: each[i] for name, each in output.losses.items()} for i in range(count)]
        return [
            each.loss.total(Output(logits, own), criterion)
            for each, logits, own, criterion in zip(
                trainings, output.logits.chunk(count), aux, criteria, strict=True
            )
        ]


def _of_each(criteria: Sequence[Criterion]) -> Criterion:
    """Return a criterion whose losses are those of each fold run, (G,)."""

    def losses(column: str, logits: Tensor) -> Tensor:
        parts = logits.chunk(len(criteria))
        return torch.stack([each(column, own) for each, own in zip(criteria, parts, strict=True)])

    return losses


def _agree(members: Sequence[_Member], data: Data, rows: np.ndarray) -> bool:
    """Return True if models compute the same bits together as alone, on copies of them.

    The number of rows is odd, which a module whose results depend on where in memory a row lies
    does not survive: a vector of a processor then holds numbers of two models.
    """
    rows = rows[: len(rows) - 1 + len(rows) % 2] if len(rows) > 1 else rows
    try:
        alone, joint = ([_copy(each) for each in members] for _ in range(2))
        separate = []
        for each in alone:
            with each.randomness:
                separate.append(each.training.loss_on(rows)[0])
        losses = _losses([each.training for each in joint], _joint(joint), data, rows)
        for found in (separate, [loss for loss, _ in losses]):
            torch.autograd.backward(found)
    except MemoryError:
        raise
    except Exception:  # whatever it is, each alone either raises it too or works
        return False
    pairs = zip(separate, losses, strict=True)
    return all(_bits(a) == _bits(b) for a, (b, _) in pairs) and all(
        _state(a) == _state(b) for a, b in zip(alone, joint, strict=True)
    )


def _copy(member: _Member) -> _Member:
    """Return a copy that can take a step without a trace."""
    own = copy.copy(member)
    own.training = copy.copy(member.training)
    own.training.model = copy.deepcopy(member.training.model).train()
    own.randomness = copy.copy(member.randomness)
    return own


def _state(member: _Member) -> list[bytes]:
    """The gradients, the buffers and the state of the generator."""
    model = member.training.model
    tensors = [*(each.grad for each in model.parameters()), *model.buffers()]
    return [b"" if each is None else _bits(each) for each in (*tensors, member.randomness.state)]


def _bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().numpy().tobytes()
