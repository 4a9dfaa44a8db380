"""What a record says of the utterances that it has predictions of."""

from __future__ import annotations

import pandas as pd

from sercli.results.run_record import OF_MANIFEST
from sercli.training.data import Data


def describe_utterances(data: Data) -> pd.DataFrame:
    """Tabulate the target utterances of a corpus, so that its record can be read without it.

    Returns:
        One row per target utterance: the columns of the manifest that a report groups by,
        ``seconds`` (NaN where extraction did not measure it), and whether there is a context turn
        of the speaker (``own``) and of an ``interlocutor``.
    """
    table = data.manifest.targets[list(OF_MANIFEST)].reset_index(drop=True)
    context = data.context.reindex(table["utterance"])
    return table.assign(
        seconds=[data.seconds.get(name, float("nan")) for name in table["utterance"]],
        own=context["own"].notna().to_numpy(),
        interlocutor=context["interlocutor"].notna().to_numpy(),
    )
