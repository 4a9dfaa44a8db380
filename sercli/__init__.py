"""sercli: an experiment runner for recurrent speech emotion recognition.

>>> import sercli
>>> sorted(sercli.__all__)
['__version__', 'load', 'read_runs', 'sweep', 'train']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sercli.api import load, read_runs, sweep, train

__version__ = "0.1.0"
__all__ = ["__version__", "load", "read_runs", "sweep", "train"]


def __getattr__(name: str) -> Any:
    """Import the Python interface on first use (PEP 562)."""
    if name in __all__:
        return getattr(importlib.import_module("sercli.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
