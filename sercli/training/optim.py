"""The optimiser and the learning rate schedule of a configuration, from ``torch.optim``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from sercli.config.schema import OptimConfig, ScheduleConfig
from sercli.errors import RequestError

_ALIGNED = 16
"""Alignment of parameters in the vector, in float32 elements: 64 bytes, as torch allocates."""


Group = Mapping[str, Any]
"""Parameters (``params``) and their learning rate (``lr``), as torch's optimisers take them."""


def parameter_groups(model: nn.Module, optim: OptimConfig) -> list[Group]:
    """Group the parameters that a model trains by learning rate.

    >>> model = nn.ModuleDict({"encoder": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    >>> groups = parameter_groups(model, OptimConfig(lr=0.1, encoder_lr=0.01))
    >>> [(group["lr"], len(group["params"])) for group in groups]
    [(0.1, 2), (0.01, 2)]

    Args:
        model: The model.
        optim: The optimiser; with ``encoder_lr`` the part ``encoder`` of the model is the second
            group.

    Raises:
        RequestError: ``encoder_lr`` is set, and the model trains no part of that name.
    """
    trained = [each for each in model.parameters() if each.requires_grad]
    if optim.encoder_lr is None:
        return [{"params": trained, "lr": optim.lr}]
    encoder = getattr(model, "encoder", None)
    inside = set(encoder.parameters()) if isinstance(encoder, nn.Module) else set()
    groups: list[Group] = [
        {"params": [each for each in trained if (each in inside) == of_encoder], "lr": lr}
        for of_encoder, lr in ((False, optim.lr), (True, optim.encoder_lr))
    ]
    if not groups[1]["params"]:
        raise RequestError(
            f"optim.encoder_lr={optim.encoder_lr:g}: the model trains no encoder; set "
            "optim.encoder_lr=null"
        )
    return groups


def make_optimiser(
    parameters: Iterable[nn.Parameter] | Iterable[Group], optim: OptimConfig
) -> torch.optim.Optimizer:
    """Return the optimiser of parameters, or of groups of them."""
    common: dict[str, Any] = {"lr": optim.lr, "weight_decay": optim.weight_decay}
    if optim.name == "rmsprop":
        return _plain(torch.optim.RMSprop)(parameters, momentum=optim.momentum, **common)
    common["fused"] = True  # one pass over each parameter instead of ten
    if optim.name == "sgd":
        return _plain(torch.optim.SGD)(parameters, momentum=optim.momentum, **common)
    adam = torch.optim.AdamW if optim.name == "adamw" else torch.optim.Adam
    return _plain(adam)(parameters, **common)


def _plain(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Return an optimiser class without its decorators for ``torch.compile``.

    They import ``torch._dynamo``, which costs a process 2 CPU seconds and 70 MB.
    """
    bare: dict[str, Any] = {
        name: unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad")
    }
    return type(kind.__name__, (kind,), bare | {"step": torch.no_grad()(unwrap(kind.step))})


class VectorOptimiser:
    """The optimiser of a model, with clipping, in one pass over one vector of all parameters.

    The parameters of the model become views of the vector, with those of one learning rate
    together. The results equal those of one pass over each parameter up to rounding in single
    precision. A parameter that a loss does not depend on has a gradient of zero.

    >>> model = nn.Linear(2, 1)
    >>> optimiser = VectorOptimiser(model, OptimConfig("adam", lr=0.1, clip_norm=None))
    >>> norm = optimiser.step(model(torch.ones(1, 2)).sum())
    >>> round(norm.item(), 4)  # √3
    1.7321

    Args:
        model: The model, on its device.
        optim: The optimiser, and the norm to which longer gradients are clipped.

    Attributes:
        inner: The optimiser of torch, with a stretch of the vector per learning rate as its
            parameters.
    """

    def __init__(self, model: nn.Module, optim: OptimConfig) -> None:
        given = parameter_groups(model, optim)
        groups = [group["params"] for group in given]
        parameters = [each for group in groups for each in group]
        sizes = [_aligned(each) for each in parameters]
        whole = parameters[0].detach().new_zeros(sum(sizes))
        self._gradient = torch.zeros_like(whole)
        values, self._gradients = (
            [
                part[: each.numel()].view_as(each)
                for each, part in zip(parameters, vector.split_with_sizes(sizes), strict=True)
            ]
            for vector in (whole, self._gradient)
        )
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value.copy_(parameter.detach())
        self._parameters = parameters
        self._weights = sum(each.numel() for each in parameters)
        self._clip_norm = optim.clip_norm
        self._losses = 0
        stretches = [sum(map(_aligned, group)) for group in groups]
        self._vectors = [nn.Parameter(part) for part in whole.split_with_sizes(stretches)]
        slopes = self._gradient.split_with_sizes(stretches)
        for vector, slope in zip(self._vectors, slopes, strict=True):
            vector.grad = slope
        self.inner = make_optimiser(
            [{**group, "params": [x]} for group, x in zip(given, self._vectors, strict=True)], optim
        )

    def accumulate(self, loss: Tensor) -> None:
        """Add the gradient of a loss to those since the last step; `step` takes their mean."""
        found = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        add = torch._foreach_add_ if self._losses else torch._foreach_copy_
        add(self._gradients, found)
        self._losses += 1

    def step(self, loss: Tensor) -> Tensor:
        """Take a step down the gradient of a loss, without waiting for the device.

        The step is down the mean of that gradient and those of the losses given to `accumulate`.

        Returns:
            The norm of the gradient before clipping, in double precision, which does not overflow.
        """
        self.accumulate(loss)
        if self._losses > 1:
            self._gradient.div_(self._losses)
        self._losses = 0
        norm: Tensor = torch.linalg.vector_norm(self._gradient, dtype=torch.float64)
        if self._clip_norm is not None:
            self._gradient.mul_((self._clip_norm / (norm + 1e-6)).clamp(max=1.0).float())
        self.inner.step()
        return norm

    def frozen_weights(self) -> float:
        """Return the share of weights with an infinite second moment, which never move again.

        It is 0 for an optimiser without second moments.
        """
        moments = (self.inner.state[vector].get("exp_avg_sq") for vector in self._vectors)
        infinite = sum(int(each.isinf().sum()) for each in moments if each is not None)
        return float(infinite / self._weights)


def _aligned(parameter: nn.Parameter) -> int:
    """Return the number of elements of the vector that a parameter takes."""
    return -(-parameter.numel() // _ALIGNED) * _ALIGNED


class Schedule:
    """The learning rate over the steps of training: a linear warm-up, then a scheduler of torch.

    Args:
        optimiser: The optimiser, whose learning rate is changed.
        schedule: The configuration.
        steps: Steps of training.

    >>> optimiser = make_optimiser([nn.Parameter(torch.ones(1))], OptimConfig("sgd", lr=1.0))
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
        """The learning rate of the next step; with ``encoder_lr``, that of the other parameters."""
        return float(self._optimiser.param_groups[0]["lr"])

    @property
    def constant(self) -> bool:
        """True if the learning rate never changes."""
        return self._main is None and self._warmup is None

    def step(self) -> None:
        """Update the learning rate after a step of the optimiser."""
        if self._warmup is not None and self._warming:
            self._warming -= 1
            self._warmup.step()
        elif self._main is not None and not _follows_dev(self._main):
            self._main.step()

    def evaluated(self, dev_ua: float) -> None:
        """Update the learning rate after an evaluation: only ``plateau``, after warm-up."""
        if _follows_dev(self._main) and not self._warming:
            self._main.step(dev_ua)


def _main(optimiser: torch.optim.Optimizer, schedule: ScheduleConfig, steps: int) -> Any:
    """Return the scheduler of the ``steps`` after warm-up; None for a constant rate."""
    if schedule.name == "step":
        return lr_scheduler.StepLR(optimiser, schedule.step_size, schedule.factor)
    if schedule.name == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimiser, steps, schedule.min_lr)
    if schedule.name == "linear":
        first = optimiser.param_groups[0]
        end = schedule.min_lr / first.get("initial_lr", first["lr"])  # before warm-up
        return lr_scheduler.LinearLR(optimiser, 1.0, end, total_iters=steps)
    if schedule.name == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimiser, "max", schedule.factor, schedule.patience, min_lr=schedule.min_lr
        )
    return None


def _follows_dev(scheduler: Any) -> bool:
    return isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
