"""Files of weights: safetensors, with the permissions of any other file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save


def write_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write a state dict as safetensors.

    `safetensors.numpy.save_file` makes a file that only its owner may read, whatever the umask, and
    raises an error of its own type when the disk is full.

    Raises:
        OSError: The file cannot be written.
        SafetensorError: An array is not numeric.
    """
    path.write_bytes(save(dict(weights)))
