"""Find the audio of a corpus, and pair it with labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from sercli.corpora.manifest import Refusal
from sercli.errors import RequestError

_AUDIO = frozenset({".aif", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"})

_NAMED = 5
"""Entries of a wrong root that a message names (our choice)."""


def find_audio(root: Path, refused: list[Refusal]) -> list[Path]:
    """Return every audio file below ``root``, at any depth, sorted by path.

    Hidden files and folders are skipped: ``._*`` are AppleDouble files, left behind by a copy
    from a Mac, and hold no audio.

    Args:
        root: Folder of the corpus.
        refused: Filled with the folders that cannot be read and the names that are not UTF-8.
    """
    found = []
    for folder, names in _folders(root, refused):
        for name in names:
            file = Path(folder, name)
            if name.startswith(".") or file.suffix.lower() not in _AUDIO:
                continue
            if is_utf8(file):
                found.append(file)
            else:
                refused.append(Refusal(_shown(file, root), "its name is not UTF-8; rename it"))
    return sorted(found)


def is_utf8(path: Path) -> bool:
    """Return True if the path is valid UTF-8; on disk, a name may hold any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


class AudioIndex:
    """Audio files of a corpus by the names that its labels use.

    Args:
        root: Folder of the corpus.
        name_of: Function from the path, relative to ``root``, to the name. Default: the file
            name without suffix, so that a copy in another format fits the same labels.

    Attributes:
        refused: Files that cannot be read, and second files of the same name.
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
                reason = f"{name} is already read from {first.as_posix()}"
                self.refused.append(Refusal(place.as_posix(), reason))

    def take(self, name: str) -> Path | None:
        """Return the file of a label, once; None if it is missing.

        Raises:
            ValueError: An earlier label has this file.
        """
        if name in self._taken:
            raise ValueError(f"{name} is already labelled")
        if name not in self._places:
            return None
        self._taken.add(name)
        return self._root / self._places[name]

    def without_label(self) -> list[Refusal]:
        """Return a refusal for every file without a label."""
        left = (place for name, place in self._places.items() if name not in self._taken)
        return [Refusal(place.as_posix(), "has no label") for place in left]


def in_any_format(*places: Path) -> Path | None:
    """Return the first of the files that exists, also in another format; None if none does."""
    for place in places:
        if place.is_file():
            return place
        for suffix in sorted(_AUDIO):
            for copy in (place.with_suffix(suffix), place.with_suffix(suffix.upper())):
                if copy.is_file():
                    return copy
    return None


def locate(folder: Path, text: str, *, confined: bool = False) -> Path:
    r"""Return the file that a table names, relative to ``folder`` or absolute.

    A path may begin with ``~``, and may have the backslashes of Windows.

    Args:
        folder: Folder of the table.
        text: The path, as the table has it.
        confined: True if the file must lie in ``folder``, links resolved.

    Raises:
        ValueError: There is no such file, or it lies outside.
        OSError: The path is none of a file system.
    """
    file = _located(folder, text)
    if confined and not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{text} lies outside of {folder}, and dataset.options.confined=true")
    return file


def _located(folder: Path, text: str) -> Path:
    file = folder / text
    if text.startswith("~") and not file.is_file():
        with suppress(RuntimeError):  # a home is unknown
            file = Path(text).expanduser()
    if file.is_file():
        return file
    if "\\" in text:
        windows = PureWindowsPath(text)
        file = folder / windows.as_posix()
        if not windows.drive and file.is_file():
            return file
        raise ValueError(
            f"{text} is missing, a path of Windows; write it relative to the table's folder"
        )
    raise ValueError(f"{text} is missing")


def find_place(root: Path, name: str) -> Path | None:
    """Return a file or folder of a corpus; None if it is missing.

    It may lie in ``root``, up to two folders deeper, as in archives and re-uploads, or beside
    ``root``, where that is the folder of the audio; ``root`` may be the place itself.
    """
    if root.name == name:
        return root
    for pattern in (name, f"*/{name}", f"*/*/{name}", f"../{name}"):
        found = min((place for place in root.glob(pattern)), default=None)
        if found is not None:
            return root.parent / name if pattern.startswith("..") else found
    return None


def wrong_root(root: Path, found: str, expected: str) -> RequestError:
    """Return the error that a folder does not hold the corpus.

    Args:
        root: The folder.
        found: Statement about it ("has no data.tsv").
        expected: Files of the corpus ("data.tsv and samples/*.flac").
    """
    return RequestError(
        f"{root}: {found}; expected {expected}. {_contents(root)} "
        "Set the folder of the corpus with dataset.root=PATH"
    )


def label_file(root: Path, names: Sequence[str], layout: str) -> Path:
    """Return the label file of a corpus, whose name differs between releases.

    Args:
        root: Folder of the corpus; see `find_place`.
        names: Possible names, the usual one first.
        layout: Expected files ("it beside session1 to session6"), for the message.

    Raises:
        RequestError: None of these files exists.
    """
    for name in names:
        file = find_place(root, name)
        if file is not None and file.is_file():
            return file
    raise wrong_root(root, f"has no {names[0]}", layout)


def _contents(root: Path) -> str:
    """Name some entries of a folder, for messages."""
    try:
        entries = sorted(root.iterdir())
    except NotADirectoryError:
        return "It is a file."
    except OSError as error:
        return f"It cannot be read ({error.strerror})."
    shown = [_shown(entry, root) + "/" * entry.is_dir() for entry in entries[:_NAMED]]
    more = f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else ""
    return f"It holds {', '.join(shown)}{more}." if shown else "It is empty."


def _folders(root: Path, refused: list[Refusal]) -> Iterator[tuple[str, list[str]]]:
    """Yield each visible folder and its file names once, even if several links lead to it."""

    def refuse(error: OSError) -> None:
        reason = f"cannot be read ({error.strerror})"
        refused.append(Refusal(_shown(Path(error.filename), root), reason))

    entered: set[str] = set()
    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield folder, names


def _shown(path: Path, root: Path) -> str:
    shown = path.relative_to(root).as_posix()
    return shown.encode(errors="backslashreplace").decode()
