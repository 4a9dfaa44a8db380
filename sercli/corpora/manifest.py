"""The manifest: a table with one row per utterance, and a second one of what was left out.

Every reader produces the same columns, so that nothing after it knows one corpus from
another. All turns of a dialogue are kept, whatever their label: a model with context needs
the turns that the classification task itself does not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from sercli.errors import RequestError

COLUMNS: dict[str, str] = {
    "utterance": "str",  # unique id
    "audio": "str",  # path of the audio file
    "audio_start": "float64",  # seconds into the file; NaN: from its beginning
    "audio_end": "float64",  # seconds into the file; NaN: to its end
    "start": "float64",  # seconds on the clock of the dialogue; NaN: unknown
    "end": "float64",
    "speaker": "str",
    "gender": "str",  # "female", "male" or missing
    "session": "str",
    "dialogue": "str",
    "turn": "Int64",  # position in the transcript of the dialogue, from 0
    "emotion": "str",  # the corpus' own code
    "label": "str",  # the class of the task, missing where the task leaves the utterance out
    "split": "str",  # official partition, where the corpus has one
    "improvised": "boolean",
    "transcript": "str",
}
"""Column names and their pandas types, in order."""


@dataclass(frozen=True)
class Refusal:
    """A file, line or utterance that was left out, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """The utterances of a corpus.

    Attributes:
        dataset: Name of the corpus.
        table: One row per utterance with the columns of `COLUMNS`, in corpus order.
        classes: The classes of the task, in the order of the model's outputs.
        refused: What was left out.
        synthetic: Whether the speech was generated, so that no number is taken for a real one.
    """

    dataset: str
    table: pd.DataFrame
    classes: tuple[str, ...]
    refused: tuple[Refusal, ...] = field(default=())
    synthetic: bool = False

    @property
    def targets(self) -> pd.DataFrame:
        """The rows that the task uses: those with a label."""
        return self.table[self.table["label"].notna()]

    def without(self, refused: Mapping[str, Refusal]) -> Manifest:
        """Return the manifest without these utterances; their refusals join the others."""
        kept = ~self.table["utterance"].isin(list(refused))
        return replace(
            self,
            table=self.table[kept].reset_index(drop=True),
            refused=self.refused + tuple(refused.values()),
        )


def build_manifest(
    dataset: str,
    rows: Iterable[Mapping[str, Any]],
    classes: Mapping[str, str],
    refused: Iterable[Refusal] = (),
    *,
    synthetic: bool = False,
) -> Manifest:
    """Make a manifest from a reader's rows, and hold it to what every manifest must be.

    Args:
        dataset: Name of the corpus.
        rows: One mapping per utterance; columns that a corpus lacks may be absent.
        classes: The task: the corpus' emotion codes → class names. Others become context only.
        refused: What the reader left out.
        synthetic: Whether the speech was generated.

    Raises:
        RequestError: There is no utterance, an utterance occurs twice, or an utterance lacks
            its id, audio, speaker or emotion.
    """
    refused = tuple(refused)
    table = pd.DataFrame(list(rows))
    if table.empty:
        raise RequestError(f"{dataset}: no utterance found; {_why_none(refused)}")
    table = table.reindex(columns=list(COLUMNS)).astype(
        {name: kind for name, kind in COLUMNS.items() if name != "label"}
    )
    table["label"] = table["emotion"].map(dict(classes)).astype("str")
    _check_complete(dataset, table)
    _check_unique(dataset, table)
    return Manifest(
        dataset=dataset,
        table=table.reset_index(drop=True),
        classes=tuple(sorted(set(classes.values()))),
        refused=refused,
        synthetic=synthetic,
    )


def _why_none(refused: tuple[Refusal, ...]) -> str:
    if not refused:
        return "check dataset.root"
    first = refused[0]
    return f"all were refused ({len(refused)}), the first one {first.file}: {first.reason}"


def _check_complete(dataset: str, table: pd.DataFrame) -> None:
    for column in ("utterance", "audio", "speaker", "emotion"):
        missing = table[column].isna() | (table[column] == "")
        if missing.any():
            row = int(missing.to_numpy().argmax())
            name = table["utterance"].iloc[row]
            raise RequestError(f"{dataset}: utterance '{name}' (row {row + 1}) has no {column}")


def _check_unique(dataset: str, table: pd.DataFrame) -> None:
    twice = table["utterance"].duplicated()
    if twice.any():
        name = table["utterance"][twice].iloc[0]
        raise RequestError(
            f"{dataset}: utterance '{name}' occurs more than once ({int(twice.sum())} in all); "
            "every utterance needs an id of its own"
        )
