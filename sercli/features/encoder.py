"""Frames of a pretrained speech encoder: wav2vec 2.0, HuBERT or WavLM, frozen, from a folder.

transformers is imported when the first signal is encoded, because that takes 2 s. It reads the
folder only: no network, no pickle, no code of the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sercli.errors import RequestError, nearest, one_line
from sercli.features.audio import AudioError
from sercli.features.checkpoints import CHECKPOINTS, describe_model_card
from sercli.features.pretrained import (
    as_stored,
    check_dtype,
    check_folder,
    check_installed,
    check_layer,
    choose_layer,
    files_digest,
    load_checkpoint,
    read_config,
    settings_digest,
)
from sercli.files import absolute
from sercli.untrusted import read_json

HOP = 20.0
"""Frame period in ms of all encoders that are read: seven convolutions, 320 samples at 16 kHz."""

_CONV = ([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
"""Kernels and strides of these convolutions."""

_FIELD = 400
"""Samples that one frame reads."""

_FAMILIES = ("hubert", "wav2vec2", "wavlm")
_LAYERS = ("last", "mean", "conv", "all")
_UNUSED = {"masked_spec_embed"}
"""Tensors that only training reads; a checkpoint may lack them."""

_FILES = ("config.json", "preprocessor_config.json")


@dataclass(frozen=True)
class EncoderSet:
    """A layer of a frozen encoder, as frames or as means over time.

    Signals are encoded one at a time: the base models normalise over time, so that padding would
    change every frame (https://github.com/huggingface/transformers/issues/21534).

    Attributes:
        name: The name in the configuration and in tables.
        level: ``lld`` (frames) or ``functionals`` (means over time).
        path: Folder with ``config.json``, ``preprocessor_config.json`` and weights in safetensors.
        layer: ``last``; a number from 0, the input of the first Transformer layer; ``mean`` of
            these; ``conv``, the output of the convolutions; ``all``, one row per layer, as
            functionals.
        dtype: Type of the values in the store: ``float32`` or ``float16``.
        device: Device of the encoder, which is not part of the key.
    """

    library: ClassVar[str] = "transformers"

    name: str
    level: str
    path: str
    layer: str | int
    dtype: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_dtype(self.dtype)
        if self.level not in ("lld", "functionals"):
            raise RequestError(
                f"features.level={self.level}: an encoder has lld (frames) and functionals (means "
                "over time)"
            )
        if self.layer == "all" and self.level == "lld":
            raise RequestError(
                "features.options.layer=all: means over time, one row per layer; add "
                "features.level=functionals"
            )
        check_layer(self.layer, int(self.config["num_hidden_layers"]), _LAYERS)

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.json``.

        Raises:
            RequestError: The folder is not that of a supported encoder.
        """
        return _read_config(Path(self.path))

    @property
    def source(self) -> str:
        """The weights, and what the model card in the folder states, for the protocol card."""
        folder = Path(self.path)
        family, layers = self.config["model_type"], self.config["num_hidden_layers"]
        digest = files_digest(folder, ())
        return f"{family} of {layers} layers, SHA-256 {digest[:12]}…{describe_model_card(folder)}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files, the settings and the version of torch."""
        files = files_digest(Path(self.path), _FILES)
        return settings_digest((files, self.level, self.layer), self.dtype)

    def extractor(self, sampling_rate: int) -> EncoderExtractor:
        """Set up the encoder for signals of one sampling rate (Hz)."""
        return EncoderExtractor(self, sampling_rate)


def encoder(
    name: str,
    level: str,
    path: str | None,
    layer: str | int = "last",
    dtype: str = "float32",
    allow_seen: bool = False,
) -> EncoderSet:
    """Return the set of an encoder's frames.

    Args:
        name: ``features.name``: ``encoder``, or a checkpoint of
            `sercli.features.checkpoints.CHECKPOINTS`, which the folder must hold.
        level: ``features.level``.
        path: ``features.path``, the folder.
        layer: The layer (`EncoderSet`).
        dtype: ``float32``; ``float16`` halves the store.
        allow_seen: Encode a corpus that the checkpoint was trained on with its labels; checked by
            `sercli.features.checkpoints.check_seen`.

    Raises:
        RequestError: transformers is not installed, the folder does not hold the checkpoint, or
            a setting is invalid.
    """
    check_installed(name)
    if path is None:
        raise RequestError(f"features={name} needs a folder: {_where(name)}")
    chosen = EncoderSet(name, level, str(absolute(path)), layer, dtype)
    expected = CHECKPOINTS.get(name)
    if expected is not None:
        found = {key: chosen.config.get(key) for key in expected.shape}
        if found != expected.shape:
            raise RequestError(
                f"features.path={path}: it holds {found}, and {name} is {expected.shape}; "
                f"{_where(name)}, or take features=encoder"
            )
    return chosen


def _where(name: str) -> str:
    known = CHECKPOINTS.get(name)
    source = "a wav2vec 2.0, HuBERT or WavLM" if known is None else known.repository
    return f"set features.path to a downloaded copy of {source} (from huggingface.co)"


def load_tunable(features: EncoderSet) -> tuple[Any, str]:
    """Load the encoder of a feature set, anew each time; on the device meta without values.

    torch's generator is left as it was.

    Returns:
        The module of transformers, and the SHA-256 of the files.

    Raises:
        RequestError: The weights cannot be read, or lack tensors.
    """
    import torch

    digest = files_digest(Path(features.path), _FILES)
    if torch.get_default_device().type == "meta":
        from transformers import AutoConfig, AutoModel

        config = AutoConfig.from_pretrained(features.path, local_files_only=True)
        made: Any = AutoModel
        return made.from_config(config), digest
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of tensors that a checkpoint may lack
        _, module = _load(features.path)
    return module, digest


class EncoderExtractor:
    """Encode signals, one at a time.

    Args:
        features: The feature set.
        sampling_rate: Sampling rate of all signals, in Hz.

    Attributes:
        names: Column names, in order.

    Raises:
        RequestError: The encoder reads another sampling rate.
    """

    def __init__(self, features: EncoderSet, sampling_rate: int) -> None:
        self._features = features
        self._rate = sampling_rate
        config = features.config
        expected = read_json(Path(features.path) / "preprocessor_config.json").get("sampling_rate")
        if sampling_rate != expected:
            raise RequestError(
                f"features.sampling_rate={sampling_rate}: the encoder in {features.path} reads "
                f"{expected} Hz; set features.sampling_rate={expected}"
            )
        conv = features.layer == "conv"
        width = config["conv_dim"][-1] if conv else config["hidden_size"]
        self.names = tuple(f"{features.name}[{each}]" for each in range(width))

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the frames of a signal, or their means over time.

        Args:
            signal: (samples,), within [−1, 1].

        Returns:
            (1 + (samples − 400) // 320, features), of the type of the set; of functionals
            (1, features), of all layers (layers + 1, features).

        Raises:
            AudioError: The signal is shorter than a frame, or too long for the memory.
            RequestError: The checkpoint lacks tensors, or cannot be read; or a value is beyond
                the range of float16.
        """
        if len(signal) < _FIELD:
            raise AudioError(f"shorter than one frame of the encoder ({_FIELD} samples)")
        try:
            layers = self._encode(signal)
        except RuntimeError as error:  # torch cannot allocate
            raise AudioError(f"the encoder failed: {one_line(error)}") from error
        if not np.isfinite(layers).all():
            raise AudioError("the encoder returned NaN or infinite values")
        functionals = self._features.level == "functionals"
        rows: np.ndarray = layers.mean(axis=1) if functionals else layers[0]
        return as_stored(rows, self._features.dtype)

    def _encode(self, signal: np.ndarray) -> np.ndarray:
        """Return the chosen layers, (layers, frames, features)."""
        import torch

        device = self._features.device
        processor, model = _loaded(self._features.path, device)
        samples = np.asarray(signal, np.float32)
        prepared = processor(samples, sampling_rate=self._rate, return_tensors="pt")
        values = prepared.input_values.to(device)
        layer = self._features.layer
        # TF32, the default of convolutions on a GPU, would change the third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            if layer == "conv":
                chosen = model.feature_extractor(values).transpose(1, 2)
            else:
                output = model(values, output_hidden_states=layer != "last")
                chosen = choose_layer(layer, output)
            return np.asarray(chosen.cpu())


def _load(path: str, device: str = "cpu") -> tuple[Any, Any]:
    """Load the preprocessor and the model of a folder.

    Raises:
        RequestError: They cannot be loaded (`sercli.features.pretrained.load_checkpoint`).
    """

    def preprocessor() -> Any:
        from transformers import Wav2Vec2FeatureExtractor

        return Wav2Vec2FeatureExtractor.from_pretrained(path, local_files_only=True)

    return load_checkpoint(path, preprocessor, _UNUSED.__contains__, device)


_loaded = cache(_load)


def _read_config(folder: Path) -> dict[str, Any]:
    where = f"features.path={folder}"
    check_folder(folder, _FILES)
    config = read_config(folder)
    try:
        family, shape = config["model_type"], (config["conv_kernel"], config["conv_stride"])
        int(config["num_hidden_layers"]), int(config["hidden_size"]), int(config["conv_dim"][-1])
    except (ValueError, TypeError, LookupError):
        raise RequestError(
            f"{where}: config.json is not that of a speech encoder; take a wav2vec 2.0, HuBERT or "
            "WavLM"
        ) from None
    if family not in _FAMILIES:
        known = nearest(family, _FAMILIES)
        raise RequestError(f"{where}: model_type {family} is not read.{known}")
    if shape != _CONV:
        raise RequestError(
            f"{where}: its convolutions do not make a frame every {HOP:g} ms; only those that do "
            "are read"
        )
    return config
