"""Pretrained models in local folders, read by transformers: no network, no pickle, no code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sercli.errors import RequestError, nearest, one_line
from sercli.features.known import known_digest
from sercli.untrusted import read_json

T = TypeVar("T")

_DTYPES = ("float32", "float16")


def check_installed(name: str) -> None:
    """Refuse a feature set whose library is not installed.

    Raises:
        RequestError: transformers is missing.
    """
    if importlib.util.find_spec("transformers") is None:
        raise RequestError(f"features={name} needs transformers: pip install 'sercli[encoders]'")


def check_folder(folder: Path, files: Sequence[str]) -> None:
    """Refuse a folder without the files of a checkpoint.

    Raises:
        RequestError: There is no such folder, or it lacks a file or weights in safetensors.
    """
    where = f"features.path={folder}"
    if not folder.is_dir():
        raise RequestError(f"{where}: no such folder")
    for name in files:
        if not (folder / name).is_file():
            raise RequestError(
                f"{where}: it holds no {name}; download the whole checkpoint into the folder"
            )
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin"))
        found = "weights as a pickle only, which may run code" if pickled else "no weights"
        raise RequestError(f"{where}: it holds {found}; download the file model.safetensors")


def read_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json``; empty if it is no JSON object."""
    try:
        config = read_json(folder / "config.json")
    except (ValueError, OSError):
        return {}
    return config if isinstance(config, dict) else {}


def files_digest(folder: Path, files: Iterable[str]) -> str:
    """Return the SHA-256 of files of a folder and of its weights."""
    paths = [*(folder / name for name in files), *sorted(folder.glob("*.safetensors"))]
    digests = b"".join(bytes.fromhex(known_digest(path)) for path in paths)
    return hashlib.sha256(digests).hexdigest()


def settings_digest(parts: Sequence[Any], dtype: str) -> str:
    """Return the SHA-256 of the settings of hidden states, and of the version of torch.

    The device is not included, nor is the dtype float32, so that the keys of earlier versions,
    without a dtype, stay valid.
    """
    torch = importlib.metadata.version("torch")  # its kernels decide the last bits
    stored = () if dtype == "float32" else (dtype,)
    return hashlib.sha256(repr((*parts, torch, *stored)).encode()).hexdigest()


def check_dtype(dtype: str) -> None:
    """Refuse an unknown type of stored values.

    Raises:
        RequestError: It is neither float32 nor float16.
    """
    if dtype not in _DTYPES:
        known = nearest(dtype, _DTYPES)
        raise RequestError(f"features.options.dtype={dtype}: must be float32 or float16.{known}")


def check_layer(layer: str | int, layers: int, names: Sequence[str]) -> None:
    """Refuse a layer that the encoder does not have.

    Args:
        layer: The setting.
        layers: Transformer layers of the encoder.
        names: Settings that are not numbers.

    Raises:
        RequestError: The layer is neither one of the names nor a number from 0 to ``layers``.
    """
    known = 0 <= layer <= layers if isinstance(layer, int) else layer in names
    if not known:
        raise RequestError(
            f"features.options.layer={layer}: must be a number from 0 to {layers}, or one of "
            f"{', '.join(names)}"
        )


def as_stored(frames: np.ndarray, dtype: str) -> np.ndarray:
    """Return finite frames as float32 or float16.

    >>> as_stored(np.ones((2, 3)), "float16").nbytes
    12

    Raises:
        RequestError: A value is beyond the range of float16.
    """
    with np.errstate(over="ignore"):
        made = frames.astype(dtype, copy=False)
    if dtype == "float16" and not np.isfinite(made).all():
        raise RequestError(
            f"features.options.dtype=float16: a value of {np.abs(frames).max():.5g} is beyond its "
            "range (65504); set features.options.dtype=float32"
        )
    return made


def load_checkpoint(
    path: str, load: Callable[[], T], unused: Callable[[str], bool], device: str = "cpu"
) -> tuple[T, Any]:
    """Load a model, and limit a worker process to one thread.

    Args:
        path: The folder.
        load: Function that loads the tokenizer or the feature extractor.
        unused: True for the name of a tensor that a checkpoint may lack.
        device: The device of the model.

    Returns:
        The result of ``load``, and the model in evaluation mode.

    Raises:
        RequestError: The weights cannot be read, or lack tensors, which transformers would leave
            random.
    """
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel

    if multiprocessing.parent_process() is not None:  # a worker, one of several
        torch.set_num_threads(1)
    try:
        prepare = load()
        model, found = AutoModel.from_pretrained(
            path,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
        model = model.to(device).eval()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise RequestError(
            f"features.path={path}: the encoder cannot be loaded: {one_line(error)}"
        ) from error
    lacking = sorted(
        name
        for name in {*found["missing_keys"], *map(str, found["mismatched_keys"])}
        if not unused(name)
    )
    if lacking:
        raise RequestError(
            f"features.path={path}: the weights lack {len(lacking)} tensors of the encoder, e.g. "
            f"{lacking[0]}; download the checkpoint again"
        )
    return prepare, model


def choose_layer(layer: str | int, output: Any) -> Any:
    """Return layers of the output of a model.

    Args:
        layer: ``last``; a number from 0; ``mean`` of all, or ``all``.
        output: The output; with hidden states unless the layer is ``last``.

    Returns:
        (layers, steps, features), of ``all`` one per layer, else one.
    """
    import torch

    if layer == "last":
        return output.last_hidden_state
    if isinstance(layer, int):
        return output.hidden_states[layer]
    states = torch.cat(output.hidden_states)
    return states if layer == "all" else states.mean(dim=0, keepdim=True)
