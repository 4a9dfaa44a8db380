"""The networks of a trained model, built with their weights and run by torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sercli.config.keys import flatten
from sercli.errors import RequestError, SercliError
from sercli.features.sets import reads_text
from sercli.models import reads_dialogues
from sercli.nn.attention import OverTime
from sercli.nn.layer import recurrent_layers
from sercli.nn.recurrence.backend import use_backend
from sercli.results.weights import Shapes, check_shapes, read_shapes
from sercli.training.attention_weights import recorded_weights
from sercli.training.data import Data
from sercli.training.source import Member, Source
from sercli.training.trainer import predict
from sercli.training.validate import new_model_for
from sercli.training.weights import load_weights, weight_shapes


class TorchNetwork:
    """A network of a model, run by torch.

    Args:
        source: The model.
        member: The network.
        device: ``cpu``, ``cuda``, …

    Raises:
        SercliError: As for `build_network`.
        RequestError: As for `build_network`.
    """

    def __init__(self, source: Source, member: Member, device: str) -> None:
        self._config, self._device = source.config, torch.device(device)
        self._network = build_network(source, member).to(self._device)

    @property
    def has_attention(self) -> bool:
        """True if the network weighs time steps."""
        return any(isinstance(part, OverTime) for part in self._network.modules())

    @property
    def uses_context(self) -> bool:
        """True if the network reads the turns before an utterance."""
        return bool(getattr(self._network, "uses_context", False))

    def predict(self, data: Data, *, attention: bool = False) -> pd.DataFrame:
        """Return the probability of each class, ``p_<class>``, indexed by utterance.

        Args:
            data: The recordings.
            attention: True to add ``attention``, the weight of each time step.
        """
        config, names = self._config, tuple(data.manifest.table["utterance"])
        use_backend(config.recurrence.backend)
        given = (data, self._device, config.precision, config.trainer)
        with _one_thread(self._network):
            if not attention:
                return predict(self._network, names, *given).set_index("utterance")
            found = []
            for name in names:  # the hooks record one example per batch
                with recorded_weights(self._network) as weights:
                    row = predict(self._network, (name,), *given).set_index("utterance")
                found.append(row.assign(attention=pd.Series([weights["current"]], row.index)))
            return pd.concat(found)


@contextmanager
def _one_thread(network: nn.Module) -> Iterator[None]:
    """Run a recurrent network on one thread: others would mostly wait, which takes CPU time."""
    threads = torch.get_num_threads()
    if any(True for _ in recurrent_layers(network)):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def build_network(source: Source, member: Member) -> nn.Module:
    """Build one network of a model, with its weights, in evaluation mode.

    Its shapes are compared with those of the file before memory is allocated.

    Raises:
        SercliError: The weights cannot be read, or are those of another model.
        RequestError: A part or a setting of the configuration is unknown, or the model is only
            pre-trained.
    """
    if source.pretraining is not None:
        raise RequestError(
            f"{source.path} is pre-trained and no classifier yet; train it: "
            f"sercli train init.run={source.path}"
        )
    path = source.weights(member)
    found = read_shapes(path)
    _check_settings(source, found)
    with torch.device("meta"), _NoValues():  # shapes without memory
        check_shapes(found, weight_shapes(_build(source)), path)
    network = _build(source)
    load_weights(network, path)
    return network.eval()


def new_network(source: Source) -> nn.Module:
    """Build a network of a model with random weights, in evaluation mode."""
    return _build(source).eval()


class _NoValues(TorchFunctionMode):
    """Skip operations in place, which initialise weights.

    On the device meta they change nothing, and the first makes torch import for 2 s.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def check_recordings(source: Source) -> None:
    """Check that a model needs nothing but recordings.

    Raises:
        RequestError: It reads further streams, transcripts or the turns of a dialogue.
    """
    needed = [f"the stream '{name}'" for name in source.config.streams]
    needed += ["transcripts"] if reads_text(source.config.features) else []
    needed += ["the turns of its dialogue"] if reads_dialogues(source.config.model) else []
    if needed:
        raise RequestError(
            f"{source.name} reads {' and '.join(needed)}, which a recording does not have; "
            "evaluate it on a corpus by sercli train"
        )


def _build(source: Source) -> nn.Module:
    check_recordings(source)
    return new_model_for(
        source.config,
        corpus=source.config.dataset.name,
        inputs=len(source.columns),
        classes=len(source.classes),
        values=source.values,
    )


def _check_settings(source: Source, found: Shapes) -> None:
    """Refuse sizes that the file is too small for: even to list their shapes could take hours."""
    numbers = sum(prod(shape) for _, shape in found.values())
    config = source.config
    nodes = {"model": config.model, "cell": config.cell, "activation": config.activation}
    for key, value in flatten(nodes, lists=True).items():
        largest = len(found) if key == "cell.layers" else numbers
        if isinstance(value, int) and not isinstance(value, bool) and value > largest:
            raise SercliError(
                f"{source.path}: {key}={value} does not fit its weights, which are {numbers} "
                f"numbers in {len(found)} tensors"
            )
