"""Files of weights: safetensors, with the permissions of any other file.

The format holds numbers only and runs no code. Its library checks that the header fits the file;
here it is compared with the model before memory is allocated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sercli.errors import SercliError, one_line
from sercli.files import why_denied, write_text

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
"""Name of a tensor → its dtype, as safetensors writes it ("F32"), and shape."""

DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "bool": "BOOL"}
"""Name of a dtype in NumPy and torch → in safetensors."""


def write_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write a state dict as safetensors.

    `safetensors.numpy.save_file` makes a file that only its owner may read, whatever the umask, and
    raises an error of its own type when the disk is full.

    Raises:
        OSError: The file cannot be written.
        SafetensorError: An array is not numeric.
    """
    path.write_bytes(save(dict(weights)))


def read_weights(path: Path, expected: Shapes) -> dict[str, np.ndarray]:
    """Read a file of tensors.

    Args:
        path: The file.
        expected: Names, dtypes and shapes of its tensors, all of them.

    Raises:
        SercliError: The file is missing or damaged, or holds other tensors.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "weights.safetensors")
    ...     write_weights(path, {"bias": np.zeros(2, np.float32)})
    ...     read_weights(path, {"bias": ("F32", (2,))})
    {'bias': array([0., 0.], dtype=float32)}
    """
    with _opened(path) as file:
        check_shapes(_header(file), expected, path)
        return {name: file.get_tensor(name) for name in expected}


def read_shapes(path: Path) -> Shapes:
    """Read names, dtypes and shapes of a file of tensors, and none of the tensors.

    Raises:
        SercliError: The file is missing or damaged.
    """
    with _opened(path) as file:
        return _header(file)


def check_shapes(found: Shapes, expected: Shapes, path: Path) -> None:
    """Compare the tensors of a file with those of a model.

    Raises:
        SercliError: They differ; the message names the first difference.
    """
    if wrong := first_misfit(found, expected):
        raise SercliError(f"{path} does not fit its model: {wrong}; {_REMEDY}")


def first_misfit(found: Shapes, expected: Shapes) -> str | None:
    """Return a clause about the first tensor that does not fit; None if all do.

    >>> first_misfit({"bias": ("F32", (3,))}, {"bias": ("F32", (4,))})
    "its tensor 'bias' is F32 (3,), the model needs F32 (4,)"

    Args:
        found: Tensors of a file.
        expected: Tensors of the model.
    """
    for name in sorted({*found, *expected}):
        if name not in found:
            return f"it has no tensor '{name}'"
        if name not in expected:
            return f"it has a tensor '{name:.60}', which the model lacks"
        if found[name] != expected[name]:
            one, other = _text(found[name]), _text(expected[name])
            return f"its tensor '{name}' is {one}, the model needs {other}"
    return None


_REMEDY = "restore it or train again"

NOT_KEPT = "not_kept.txt"
"""File in a record's folder of weights that says why there are none."""


def drop_weights(folder: Path, keep: str) -> None:
    """Remove the weights of a record; a file that says why takes their place first.

    Args:
        folder: Its folder of weights.
        keep: The value of ``trainer.keep_weights``.

    Raises:
        OSError: The folder cannot be written.
    """
    if not (folder / NOT_KEPT).exists():
        text = f"The weights were not kept: trainer.keep_weights={keep}.\n"
        write_text(folder / NOT_KEPT, text)
    for path in folder.glob("*.safetensors"):
        path.unlink(missing_ok=True)


def why_not_kept(folder: Path) -> str | None:
    """Return the reason why a record has no weights, with a remedy; None if it keeps them."""
    try:
        reason = (folder / NOT_KEPT).read_text(encoding="utf-8").strip().rstrip(".")
    except OSError:
        return None
    remedy = "with trainer.keep_weights=all and --force, `sercli train` trains them again"
    return f"{reason[0].lower()}{reason[1:]}; {remedy}"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:  # its methods have no types
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (OSError, SafetensorError) as error:
        reason = why_not_kept(path.parent) or why_denied(path) or f"{one_line(error)}; {_REMEDY}"
        raise SercliError(f"{path} cannot be read: {reason}") from error


def _header(file: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    return {name: (each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}


def _text(tensor: tuple[str, tuple[int, ...]]) -> str:
    dtype, shape = tensor
    return f"{dtype} {shape}"
