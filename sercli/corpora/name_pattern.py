"""Read corpora whose labels are in the names of the audio files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import find_audio
from sercli.corpora.manifest import Manifest, Refusal, Row, build_manifest
from sercli.corpora.readers import NoOptions, reader_options
from sercli.errors import RequestError


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


def _not_the_corpus(root: Path, layout: str, refused: list[Refusal]) -> str:
    found = "no audio file is there"
    if refused:
        first = refused[0]
        found = f"none of {len(refused)} files fits, the first one {first.file}: {first.reason}"
    return f"{root}: {found}; expected {layout}. Say where the corpus lies with dataset.root=PATH"
