"""Remove from the store what no corpus uses, and what is damaged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sercli.features.store import FeatureStore
from sercli.features.uses import known_uses, used_keys
from sercli.features.verify import damaged_keys
from sercli.progress import SILENT, Progress


@dataclass(frozen=True)
class Pruning:
    """What was removed, and what stays.

    Attributes:
        unused: Utterances' frames that no known manifest used.
        damaged: Those that could not be read; they are made anew by the next extraction.
        freed: Bytes of both.
        kept: Utterances' frames that stay.
        uses: The manifests that they stay for, and how many utterances each has.
    """

    unused: int
    damaged: int
    freed: int
    kept: int
    uses: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as what ``json`` can write, under the names of the attributes."""
        return asdict(self)


def prune(store: Path, progress: Progress = SILENT) -> Pruning:
    """Remove what no manifest uses, of all that were ever extracted into the store.

    The file keeps its size: what is freed takes up what is extracted next.

    Args:
        store: Folder of the feature store.
        progress: Where to show how far it is.

    Raises:
        SercliError: There is no store, or it cannot be written.
    """
    FeatureStore(store).close()  # a store that is not there is not made
    with FeatureStore(store, write=True) as frames:
        damaged = {key for key, _ in damaged_keys(frames, progress)}
        with frames.alone():  # nothing is noted and nothing put between the look and the removal
            uses = known_uses(frames)
            unused = set(frames.keys()) - used_keys(uses) - damaged
            freed = sum(frames.size(key) for key in unused | damaged)
            frames.remove(unused | damaged)
            return Pruning(
                unused=len(unused),
                damaged=len(damaged),
                freed=freed,
                kept=len(frames),
                uses={str(use): len(use.keys) for use in uses.values()},
            )
