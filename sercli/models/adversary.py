"""Adversarial training: a classifier of speaker or corpus behind a gradient reversal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models.interface import Batch, Output, as_output
from sercli.models.segments import mean_per_turn
from sercli.nn.convolution import Convolution, Maps
from sercli.nn.pooling import mean_over_time


def attach_adversary(
    model: nn.Module, classifier: str, column: str, values: int, weight: float, hidden: int
) -> None:
    """Add an adversary to a model: a classifier of a column behind a reversed gradient.

    It reads the input of the layer that computes the logits: the mean over the positions of maps,
    and the mean over the segments of a turn, where there are several. Its loss is plain cross
    entropy, named ``adversary_<column>``, and added to that of an adversary of the same column in
    the model (``daae``); the adversary minimises it, while the rest of the model receives its
    gradient times −λ (Ganin & Lempitsky 2015, arXiv 1409.7495, eqs. 13–15; there λ rises in
    training, here it is constant: our choice). Evaluation does not use it. DAAE (Gao et al., ICASSP
    2021) has such adversaries of speaker and corpus on the code of an autoencoder; one column is
    enough, since a speaker belongs to one corpus.

    >>> model = nn.ModuleDict({"head": nn.Linear(8, 4)})
    >>> attach_adversary(model, "head", "speaker", values=10, weight=0.1, hidden=16)
    >>> model["adversary"]
    Sequential(
      (0): Linear(in_features=8, out_features=16, bias=True)
      (1): ReLU()
      (2): Linear(in_features=16, out_features=10, bias=True)
    )

    Args:
        model: The model, from a batch to logits or an output; changed in place.
        classifier: Name of the layer that computes the logits (`find_classifier`).
        column: Column of the manifest.
        values: Number of its values among the targets.
        weight: λ.
        hidden: Hidden units of the adversary.
    """
    layer: Any = model.get_submodule(classifier)
    adversary = discriminator(_sizes(layer)[0], hidden, values)
    name = f"adversary_{column}"
    seen: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Tensor | Maps]) -> None:
        (read,) = given
        seen[:] = [read.pool(mean_over_time) if isinstance(read, Maps) else read]

    def add_loss(whole: Any, given: tuple[Batch], output: Tensor | Output) -> Tensor | Output:
        (batch,) = given
        if batch.criterion is None:
            seen.clear()
            return output
        found, vectors = as_output(output), seen.pop()
        if hasattr(whole, "segments_per_turn"):
            vectors = mean_per_turn(vectors, whole.segments_per_turn(batch))
        loss = batch.criterion(column, adversary(reverse_gradient(vectors, weight)))
        losses = dict(found.losses)
        losses[name] = losses[name] + loss if name in losses else loss
        return Output(found.logits, losses)

    model.add_module("adversary", adversary)
    layer.register_forward_pre_hook(keep)
    model.register_forward_hook(add_loss)


def discriminator(size: int, hidden: int, values: int) -> nn.Sequential:
    """Return a classifier with one hidden layer.

    Args:
        size: Features of a vector.
        hidden: Hidden units.
        values: Number of outputs.
    """
    return nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, values))


def find_classifier(model: nn.Module, build: Callable[[int], nn.Module], classes: int) -> str:
    """Return the name of the last layer, linear or convolutional, whose outputs are the classes.

    Args:
        model: The model.
        build: A function from a number of classes to the same model.
        classes: Number of classes of the model.

    Raises:
        RequestError: There is none.
    """
    with torch.random.fork_rng(devices=[]):  # keeps the random state of training
        wider = dict(build(classes + 1).named_modules())
    names: list[str] = [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | Convolution) and _sizes(layer)[1] != _sizes(wider[name])[1]
    ]
    if not names:
        raise RequestError(
            "adversary.column: no layer of this model gives the classes; use another model"
        )
    return names[-1]


def _sizes(layer: Any) -> tuple[int, int]:
    """Return the number of inputs and of outputs of a layer."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.convolve.in_channels, layer.convolve.out_channels


def reverse_gradient(values: Tensor, weight: float) -> Tensor:
    """Return the values unchanged, and multiply their gradient by −``weight``.

    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    reversed_: Tensor = _Reverse.apply(values, weight)  # type: ignore[no-untyped-call]
    return reversed_


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None
