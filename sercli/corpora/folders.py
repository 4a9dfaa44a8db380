"""Folders that repeat what the names of their files say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def check_folder(file: Path, emotion: str, emotions: Iterable[str]) -> None:
    """Refuse a file that lies in the folder of another emotion than its name gives.

    A folder that is none of the emotions says nothing: some copies of a corpus are flat.

    Args:
        file: The audio file.
        emotion: What the name of the file says.
        emotions: What the folders of the corpus are called; case does not matter.

    Raises:
        ValueError: Folder and name contradict each other, and nobody knows which is right.
    """
    folder = file.parent.name
    others = {each.casefold() for each in emotions} - {emotion.casefold()}
    if folder.casefold() in others:
        raise ValueError(f"lies in the folder {folder}, but its name says {emotion}")
