"""Pair the labels of a corpus with its audio, each file with one label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sercli.corpora.files import find_audio
from sercli.corpora.manifest import Refusal


class AudioIndex:
    """The audio files of a corpus under the names that its labels give them.

    Args:
        root: Folder of the corpus.
        name_of: Makes the name from the path as seen from ``root``; by default the name of the
            file without suffix, so that a copy in another format fits the same labels.

    Attributes:
        refused: What cannot be read, and second files of the same name.
    """

    def __init__(
        self, root: Path, name_of: Callable[[Path], str] = lambda place: place.stem
    ) -> None:
        self.refused: list[Refusal] = []
        self._root = root
        self._places: dict[str, Path] = {}
        self._taken: set[str] = set()
        for file in find_audio(root, self.refused):
            place = file.relative_to(root)
            name = name_of(place)
            first = self._places.setdefault(name, place)
            if first != place:
                reason = f"{name} is {first.as_posix()} already"
                self.refused.append(Refusal(place.as_posix(), reason))

    def take(self, name: str) -> Path | None:
        """Return the file of a label; None if it is missing.

        Raises:
            ValueError: Another label has taken it.
        """
        if name in self._taken:
            raise ValueError(f"{name} is labelled already")
        if name not in self._places:
            return None
        self._taken.add(name)
        return self._root / self._places[name]

    def without_label(self) -> list[Refusal]:
        """Refuse every file that no label has taken."""
        left = (place for name, place in self._places.items() if name not in self._taken)
        return [Refusal(place.as_posix(), "has no label") for place in left]
