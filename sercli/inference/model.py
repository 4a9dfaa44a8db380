"""Classification of recordings by a trained model."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from sercli.corpora.context import find_context
from sercli.corpora.manifest import Refusal
from sercli.errors import RequestError, counted
from sercli.features.load import load_features
from sercli.features.preprocess import Statistics
from sercli.features.sets import frame_seconds
from sercli.inference.normalisation import Heard, choose, describe, find_statistics, hear
from sercli.inference.recordings import STANDARD_INPUT, Recordings, find_recordings, shortened
from sercli.progress import SILENT, Progress
from sercli.training.data import Data
from sercli.training.source import Member, Source, check_classifies

_RUNTIMES = ("torch", "onnx")

_OF_ALL_FRAMES = ("file", "speaker")
"""Statistics for which a recording is read to its end, beyond what the model reads."""

_MARGIN = 2.0
"""Seconds after the last frame that a model reads, on which that frame may depend (our choice:
openSMILE smooths F0 over 0.3 s)."""


@dataclass(frozen=True)
class Predictions:
    """The classes of some recordings.

    Attributes:
        table: One row per utterance or window that could be read, in order: ``utterance``,
            ``file``, ``start`` and ``end`` (seconds into the file), ``predicted``, the probability
            of every class in a column ``p_<class>``, and with attention, ``attention``: the weight
            of each time step, a list whose sum is 1.
        refused: Files and lines that could not be used.
        classes: The classes.
        normalisation: The statistics that frames were normalised by, in words.
        networks: Number of networks whose probabilities were averaged.
        step_seconds: Duration of a time step.
        no_test_figure: The reason why the model has no test figure; empty if it has one.
    """

    table: pd.DataFrame
    refused: tuple[Refusal, ...]
    classes: tuple[str, ...]
    normalisation: str
    networks: int
    step_seconds: float
    no_test_figure: str = ""


class _Network(Protocol):
    """A network, run by torch or by onnxruntime."""

    @property
    def has_attention(self) -> bool: ...
    @property
    def uses_context(self) -> bool: ...

    def predict(self, data: Data, *, attention: bool = False) -> pd.DataFrame: ...


class TrainedModel:
    """One trained network, or several whose probabilities are averaged.

    Args:
        source: The model on disk (`sercli.training.source.open_source`).
        device: ``auto``, ``cpu``, ``cuda``, …; with ``onnx`` the CPU.
        runtime: ``torch``, or ``onnx``: the graphs of the model folder, by onnxruntime.

    Raises:
        SercliError: Weights or graphs cannot be read, or are those of another model.
        RequestError: The device or the runtime is not available.
    """

    def __init__(self, source: Source, device: str = "auto", runtime: str = "torch") -> None:
        if runtime not in _RUNTIMES:
            raise RequestError(f"runtime={runtime}: must be one of {', '.join(_RUNTIMES)}")
        check_classifies(source, "predict")
        self.source = source
        self._device, self._networks = _load(source, device, runtime)
        self._any = next(iter(self._networks.values()))

    def __repr__(self) -> str:
        """Show the run, the number of networks and the classes."""
        return (
            f"TrainedModel({self.source.name}: {len(self._networks)} × "
            f"{self.source.config.model['name']}, {', '.join(self.classes)})"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of their probabilities."""
        return self.source.classes

    @property
    def has_attention(self) -> bool:
        """True if the model weighs time steps."""
        return self._any.has_attention

    @property
    def uses_context(self) -> bool:
        """True if the model reads the turns before an utterance."""
        return self._any.uses_context

    def predict(self, audio: str | Path | Sequence[str | Path], **options: Any) -> pd.DataFrame:
        """Classify recordings; a warning names those that cannot be used.

        Args:
            audio: One or several of the inputs of `classify`.
            options: The options of `classify`.

        Returns:
            The table of `Predictions`.
        """
        found = self.classify([audio] if isinstance(audio, str | Path) else audio, **options)
        if found.refused:
            lines = "; ".join(f"{each.file}: {each.reason}" for each in found.refused[:5])
            number = counted(len(found.refused), "recording")
            warnings.warn(f"{number} refused: {lines}", stacklevel=2)
        return found.table

    def classify(
        self,
        audio: Sequence[str | Path],
        *,
        normalize: str | Path | None = None,
        segment: float | str | None = None,
        dialogue: bool = False,
        attention: bool = False,
        workers: int = 1,
        progress: Progress = SILENT,
    ) -> Predictions:
        """Classify recordings.

        Args:
            audio: Files, folders and tables (`sercli.inference.recordings.find_recordings`).
            normalize: Statistics to normalise by (`sercli.inference.normalisation.CHOICES`) or the
                path of reference recordings; default: ``speaker`` where every recording has one,
                else ``training``.
            segment: Length of the windows to classify, in seconds; ``vad``: segments of speech,
                with the extra ``vad``; None: whole utterances.
            dialogue: Give the model the context turns; needs a table with speakers and dialogues.
            attention: Add the attention weight of every time step.
            workers: Number of processes that extract features.
            progress: Progress bars and notes.

        Raises:
            RequestError: An option does not fit the model or the recordings, or there are none.
        """
        if attention and not self.has_attention:
            model = self.source.config.model["name"]
            raise RequestError(f"--attention: model {model} has no attention over time here")
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            found = find_recordings(audio, self.classes, folder, segment=segment, progress=progress)
            self._check_dialogue(found, dialogue, progress)
            wanted = None if normalize is None else str(normalize)
            choice = choose(self.source, wanted, speakers=found.speakers)
            if choice not in _OF_ALL_FRAMES:
                found = shortened(found, self.read_seconds + _MARGIN)
            heard = hear(found, self.source, folder, workers, self._device, progress)
            self._mention_long(heard, progress)

            def reference(path: str) -> Heard:
                others = find_recordings([path], self.classes, folder, progress=progress)
                return hear(others, self.source, folder, workers, self._device, progress)

            statistics = find_statistics(self.source, choice, heard, reference)
            context = _context(self.source, heard, dialogue)
            table = _described(heard)
            if not table.empty:
                of_networks = []
                for member, network in self._networks.items():
                    data = _data(self.source, heard, statistics(member.number), context)
                    of_networks.append(network.predict(data, attention=attention))
                table = table.join(_mean(of_networks, self.classes))
        features = self.source.config.features
        return Predictions(
            table=table,
            refused=heard.manifest.refused,
            classes=self.classes,
            normalisation=describe(choice, self.source.config.features.normalise),
            networks=len(self._networks),
            step_seconds=frame_seconds(features) * features.pool,
            no_test_figure=self.source.no_test_figure,
        )

    def _check_dialogue(self, found: Recordings, dialogue: bool, progress: Progress) -> None:
        model = self.source.config.model["name"]
        if dialogue and not self.uses_context:
            raise RequestError(f"--dialogue: model {model} reads the utterance alone")
        if dialogue and not (found.speakers and found.dialogues):
            raise RequestError(
                "--dialogue needs a table of recordings with the columns 'speaker' and 'dialogue', "
                "filled in every row"
            )
        if found.dialogues and self.uses_context and not dialogue:
            progress.note(f"model {model} reads context turns: --dialogue gives it the table's")

    @property
    def read_seconds(self) -> float:
        """Maximum seconds of a recording that the model reads; infinity if it has no limit."""
        features = self.source.config.features
        if features.level == "functionals":
            return math.inf
        return frame_seconds(features) * features.max_frames

    def _mention_long(self, heard: Heard, progress: Progress) -> None:
        most = self.read_seconds
        long = [name for name, seconds in heard.extraction.seconds.items() if seconds > most + 1]
        if long:
            recordings = f"{long[0]} is" if len(long) == 1 else f"{len(long)} recordings are"
            progress.note(
                f"{recordings} longer than the {most:g} s that the model reads; the rest is not "
                "used. Classify it with --segment SECONDS"
            )


def _load(source: Source, device: str, runtime: str) -> tuple[str, Mapping[Member, _Network]]:
    """Return the device and the networks; onnxruntime needs no torch, whose import takes 2 s."""
    if runtime == "onnx":
        from sercli.inference.graph import OnnxNetwork

        return "cpu", {member: OnnxNetwork(source.graph(member)) for member in source.members}
    from sercli.inference.network import TorchNetwork
    from sercli.nn.device import choose_device

    chosen = str(choose_device(device))
    return chosen, {member: TorchNetwork(source, member, chosen) for member in source.members}


def _data(
    source: Source,
    heard: Heard,
    statistics: Mapping[str, Statistics] | None,
    context: pd.DataFrame,
) -> Data:
    steps = load_features(
        heard.manifest,
        heard.extraction.keys,
        heard.store.folder,
        source.config.features,
        statistics,
    )
    return Data(heard.manifest, steps, context, fingerprint="")


def _context(source: Source, heard: Heard, dialogue: bool) -> pd.DataFrame:
    context = source.config.dataset.context
    if not dialogue:
        context = replace(context, choose="none")
    return find_context(heard.manifest, context)


def _described(heard: Heard) -> pd.DataFrame:
    """Return the first columns of the predictions, by utterance."""
    table = heard.manifest.table
    seconds = table["utterance"].map(heard.extraction.seconds).astype("float64")
    start = table["audio_start"].fillna(0.0)
    own = table["utterance"] == STANDARD_INPUT
    described = pd.DataFrame(
        {
            "utterance": table["utterance"],
            "file": table["audio"].mask(own, STANDARD_INPUT),
            "start": start,
            "end": start + seconds,
        }
    )
    return described.set_index("utterance", drop=False).rename_axis(None)


def _mean(of_networks: Sequence[pd.DataFrame], classes: Sequence[str]) -> pd.DataFrame:
    """Average the probabilities of several networks, and their attention weights."""
    first, columns = of_networks[0], [f"p_{name}" for name in classes]
    in_order = [found.loc[first.index] for found in of_networks]
    means = np.mean([found[columns].to_numpy() for found in in_order], axis=0)
    predicted = np.array(classes, dtype=object)[means.argmax(axis=1)]
    table = pd.DataFrame(means, columns=columns, index=first.index)
    table.insert(0, "predicted", predicted)
    if "attention" in first:
        table["attention"] = [
            np.mean(weights, axis=0).tolist()
            for weights in zip(*(found["attention"] for found in in_order), strict=True)
        ]
    return table
