"""Files of tensors: written readably, and checked before anything is allocated.

The format is safetensors, which holds numbers only and runs no code. Its library checks that the
header is no larger than the file says and that the tensors fill the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sercli.errors import SercliError, one_line

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
"""Name of a tensor → its dtype, as safetensors writes it ("F32"), and shape."""

DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "bool": "BOOL"}
"""Name of a dtype in NumPy and torch → in safetensors."""


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a file of tensors with the permissions of any other file.

    safetensors' own ``save_file`` makes it readable to its owner alone.
    """
    path.write_bytes(save(dict(tensors)))


def read_tensors(path: Path, expected: Shapes) -> dict[str, np.ndarray]:
    """Read a file of tensors.

    Args:
        path: The file.
        expected: Names, dtypes and shapes of its tensors, all of them.

    Raises:
        SercliError: The file is missing or damaged, or holds other tensors.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "weights.safetensors")
    ...     write_tensors(path, {"bias": np.zeros(2, np.float32)})
    ...     read_tensors(path, {"bias": ("F32", (2,))})
    {'bias': array([0., 0.], dtype=float32)}
    """
    remedy = "restore it or train again"
    try:
        with safe_open(path, framework="numpy") as file:
            if wrong := _difference(_header(file), expected):
                raise SercliError(f"{path} does not fit its model: {wrong}; {remedy}")
            return {name: file.get_tensor(name) for name in expected}
    except (OSError, SafetensorError) as error:
        raise SercliError(f"{path} cannot be read: {one_line(error)}; {remedy}") from error


def read_header(path: Path) -> Shapes:
    """Read names, dtypes and shapes of a file of tensors.

    Raises:
        SercliError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return _header(file)
    except (OSError, SafetensorError) as error:
        raise SercliError(f"{path} cannot be read: {one_line(error)}; restore it") from error


def _header(file: safe_open) -> dict[str, tuple[str, tuple[int, ...]]]:
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    return {name: (each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}


def _difference(found: Shapes, expected: Shapes) -> str | None:
    """Return one line about the first tensor that differs; None if none does."""
    for name in sorted({*found, *expected}):
        if name not in found:
            return f"it has no tensor '{name}'"
        if name not in expected:
            return f"it has a tensor '{name:.60}', which the model does not"
        if found[name] != expected[name]:
            return f"'{name}' is {_text(found[name])} instead of {_text(expected[name])}"
    return None


def _text(tensor: tuple[str, tuple[int, ...]]) -> str:
    dtype, shape = tensor
    return f"{dtype} {shape}"
