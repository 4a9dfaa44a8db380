"""nEMO (Christop 2024): acted emotional speech in Polish, nine speakers, no dialogues."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import in_any_format, label_file
from sercli.corpora.manifest import Manifest, Row
from sercli.corpora.readers import READERS, NoOptions, dataset_manifest, reader_options
from sercli.corpora.tables import read_delimited
from sercli.progress import Progress

_REQUIRED = ("file_id", "emotion", "raw_text", "speaker_id", "gender")


@READERS.register("nemo")
def read_nemo(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the table ``data.tsv``, and find each of its files in ``samples/`` or beside it.

    Raises:
        RequestError: ``data.tsv`` is missing or lacks a column, or no utterance is left.
    """
    reader_options(dataset, NoOptions)
    file = label_file(root, ("data.tsv",), "data.tsv and samples/ZK2_anger_1.flac and so on")
    table = read_delimited(file, delimiter="\t", quoted=False)
    rows, refused = table.rows(_REQUIRED, partial(_row, file.parent / "samples"))
    return dataset_manifest(dataset, rows, refused)


def _row(samples: Path, cells: Mapping[str, str]) -> Row:
    audio = in_any_format(samples / cells["file_id"], samples.parent / cells["file_id"])
    if audio is None:
        raise ValueError(f"samples/{cells['file_id']} is missing")
    return {
        "utterance": audio.stem,
        "audio": str(audio),
        "speaker": cells["speaker_id"],
        "gender": cells["gender"],
        "emotion": cells["emotion"],
        "transcript": cells["raw_text"],
    }
