"""Find the audio of a corpus whose labels are the names of its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Refusal, build_manifest
from sercli.corpora.options import NoOptions, reader_options
from sercli.errors import RequestError

Row = dict[str, Any]

_AUDIO = frozenset({".aif", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"})


def find_audio(root: Path, refused: list[Refusal]) -> list[Path]:
    """Find every audio file below ``root``, at any depth, in the order of the paths.

    Hidden files and folders are passed over: the ``._*`` ones are AppleDouble files, left behind
    by a copy from a Mac, and no audio.

    Args:
        root: Folder of the corpus.
        refused: Receives the folders that cannot be read, and the names that are not UTF-8.
    """
    found = []
    for folder, names in _folders(root, refused):
        for name in names:
            file = Path(folder, name)
            if name.startswith(".") or file.suffix.lower() not in _AUDIO:
                continue
            if _is_text(file):
                found.append(file)
            else:
                refused.append(Refusal(_shown(file, root), "its name is not UTF-8; rename it"))
    return sorted(found)


def read_names(
    root: Path, to_row: Callable[[Path], Row], layout: str
) -> tuple[list[Row], list[Refusal]]:
    """Make a row of a manifest from the name of every audio file below ``root``.

    Of two files of the same utterance, as in corpora unpacked twice, the first one counts.

    Args:
        root: Folder of the corpus.
        to_row: Makes the row, without its audio, from the path as seen from ``root``; raises a
            ValueError that says what is wrong with the name, or lets an OSError pass.
        layout: What the corpus looks like ("wav/03a01Fa.wav, …"), for the message.

    Returns:
        The rows in the order of the paths, and what is refused.

    Raises:
        RequestError: No file can be used: ``root`` does not hold this corpus.
    """
    refused: list[Refusal] = []
    rows: dict[str, Row] = {}
    for file in find_audio(root, refused):
        place = file.relative_to(root)
        try:
            row = to_row(place)
            first = rows.setdefault(row["utterance"], row | {"audio": str(file)})
            if first["audio"] != str(file):
                seen = Path(first["audio"]).relative_to(root).as_posix()
                raise ValueError(f"{row['utterance']} is {seen} already")
        except ValueError as error:
            refused.append(Refusal(place.as_posix(), str(error)))
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            refused.append(Refusal(place.as_posix(), reason))
    if not rows:
        raise RequestError(_not_the_corpus(root, layout, refused))
    return list(rows.values()), refused


def manifest_of_names(
    dataset: DatasetConfig, root: Path, to_row: Callable[[Path], Row], layout: str
) -> Manifest:
    """Read a corpus that states everything in the names of its files, and has no options.

    Args:
        dataset: Its configuration.
        root: Folder of its audio.
        to_row: As in `read_names`.
        layout: As in `read_names`.

    Raises:
        RequestError: An option is set, or no file can be used.
    """
    reader_options(dataset, NoOptions)
    rows, refused = read_names(root, to_row, layout)
    return build_manifest(dataset.name, rows, dataset.classes, refused, synthetic=dataset.synthetic)


def label_file(root: Path, names: Sequence[str], beside: str) -> Path:
    """Return the label file of a corpus, whose name differs between releases.

    Args:
        root: Folder of the corpus.
        names: Its names, the usual one first.
        beside: What else should be there ("it beside session1 to session6"), for the message.

    Raises:
        RequestError: There is none.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise RequestError(
        f"{root}: has no {names[0]}; expected {beside}. "
        "Say where the corpus lies with dataset.root=PATH"
    )


def _folders(root: Path, refused: list[Refusal]) -> Iterator[tuple[str, list[str]]]:
    """Yield the visible folders and the names in them, once, whatever links lead to them."""

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


def _is_text(path: Path) -> bool:
    """Tell whether a path can be written down: a name may hold any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path, root: Path) -> str:
    shown = path.relative_to(root).as_posix()
    return shown.encode(errors="backslashreplace").decode()


def _not_the_corpus(root: Path, layout: str, refused: list[Refusal]) -> str:
    found = "no audio file is there"
    if refused:
        first = refused[0]
        found = f"none of {len(refused)} files fits, the first one {first.file}: {first.reason}"
    return f"{root}: {found}; expected {layout}. Say where the corpus lies with dataset.root=PATH"
