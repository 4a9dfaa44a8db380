"""The optimiser and the learning rate schedule of a configuration, from ``torch.optim``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from sercli.config.schema import OptimConfig, ScheduleConfig


def make_optimiser(parameters: Iterable[nn.Parameter], optim: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser of parameters."""
    common: dict[str, Any] = {"lr": optim.lr, "weight_decay": optim.weight_decay}
    if optim.name == "rmsprop":
        return torch.optim.RMSprop(parameters, momentum=optim.momentum, **common)
    common["fused"] = True  # one pass over each parameter instead of ten
    if optim.name == "sgd":
        return torch.optim.SGD(parameters, momentum=optim.momentum, **common)
    adam = torch.optim.AdamW if optim.name == "adamw" else torch.optim.Adam
    return adam(parameters, **common)


class Schedule:
    """The learning rate over the steps of training: a linear warm-up, then a scheduler of torch.

    Args:
        optimiser: The optimiser, whose learning rate is changed.
        schedule: The configuration.
        steps: Steps of training.

    >>> optimiser = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    >>> schedule = Schedule(optimiser, ScheduleConfig(warmup=4), steps=10)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(schedule.lr)
    ...     optimiser.step()
    ...     schedule.step()
    >>> rates
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimiser: torch.optim.Optimizer, schedule: ScheduleConfig, steps: int
    ) -> None:
        self._optimiser = optimiser
        self._warming = max(schedule.warmup - 1, 0)  # its last step has the full rate
        self._warmup = (
            lr_scheduler.LinearLR(optimiser, 1 / schedule.warmup, total_iters=self._warming)
            if self._warming
            else None
        )
        self._main = _main(optimiser, schedule, steps - self._warming)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimiser.param_groups[0]["lr"])

    @property
    def constant(self) -> bool:
        """True if the learning rate never changes."""
        return self._main is None and self._warmup is None

    def step(self) -> None:
        """Proceed after a step of the optimiser."""
        if self._warmup is not None and self._warming:
            self._warming -= 1
            self._warmup.step()
        elif self._main is not None and not _follows_dev(self._main):
            self._main.step()

    def evaluated(self, dev_ua: float) -> None:
        """Proceed after an evaluation: ``plateau`` follows UA on dev, once warm-up is over."""
        if _follows_dev(self._main) and not self._warming:
            self._main.step(dev_ua)


def _main(optimiser: torch.optim.Optimizer, schedule: ScheduleConfig, steps: int) -> Any:
    """Return the scheduler that follows the warm-up, for so many steps; None for a constant."""
    if schedule.name == "step":
        return lr_scheduler.StepLR(optimiser, schedule.step_size, schedule.factor)
    if schedule.name == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimiser, steps, schedule.min_lr)
    if schedule.name == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimiser, "max", schedule.factor, schedule.patience, min_lr=schedule.min_lr
        )
    return None


def _follows_dev(scheduler: Any) -> bool:
    return isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
