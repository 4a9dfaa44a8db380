"""Paths of the data files in the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

PALETTE = _PACKAGE / "palette.css"
"""Custom properties of the pages: colours and typefaces."""


def packaged(folder: str) -> Path:
    """Return the path of ``conf`` or ``sweeps``.

    An installed wheel holds them inside the package, a checkout beside it.
    """
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder
