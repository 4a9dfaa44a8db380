"""What a model may ask about the corpus that it is built for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sercli.errors import RequestError


@dataclass(frozen=True)
class CorpusInfo:
    """A corpus, as far as the shape of a model can depend on it.

    Attributes:
        name: The corpus, for messages.
        model: The model that is built, for messages.
        values: Column of the manifest → its sorted values among the targets; none where the
            corpus does not state it.
        columns: Returns the names of the features of a step, in order. It may start openSMILE,
            so only a model that needs names asks.
    """

    name: str = "unknown"
    model: str = "unknown"
    values: Callable[[str], Sequence[str]] = lambda column: ()
    columns: Callable[[], Sequence[str]] = tuple

    def count(self, column: str) -> int:
        """Return how many values a column of the manifest has.

        Raises:
            RequestError: The corpus does not state it.
        """
        found = len(self.values(column))
        if not found:
            raise RequestError(
                f"model {self.model} learns the column '{column}' beside the classes, and the "
                f"corpus {self.name} does not state it; set model.{column}_weight=0"
            )
        return found
