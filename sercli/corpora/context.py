"""Which earlier turns of a dialogue a target sees: IAAN's choice of context.

The last earlier turn of the same speaker and the last one of another speaker, among a few
preceding turns of any label (Yeh, Lin & Lee 2019; in their code, 8 preceding turns).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from sercli.config.schema import ContextConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError, nearest

ORDERS = {"transcript": "turn", "start_time": "start"}
"""Order of the turns in a dialogue → the column that gives it.

They differ: on IEMOCAP, transcripts are out of temporal order in 56 of the 151 dialogues.
"""


def find_context(manifest: Manifest, context: ContextConfig) -> pd.DataFrame:
    """Find the context turns of every target.

    Args:
        manifest: All turns. The class of the task does not matter for a context turn.
        context: How far to look back, and in which order.

    Returns:
        One row per target, indexed by its id, in the manifest's order. Column ``own``: id of
        the last turn of the same speaker. Column ``interlocutor``: id of the last turn of
        any other speaker. Missing where there is none within the window, or no dialogue.

    Raises:
        RequestError: The order is unknown, the window negative, or a turn of a dialogue has no
            place in the order.
    """
    if context.window < 0:
        raise RequestError(f"dataset.context.window must be 0 or more, not {context.window}")
    turns = _in_order(manifest, context.order)
    speakers, dialogues = turns["speaker"].tolist(), turns["dialogue"].tolist()
    own: dict[str, str | None] = {}
    interlocutor: dict[str, str | None] = {}
    utterances = turns["utterance"].tolist()
    for at, utterance in enumerate(utterances):
        earlier = range(at - 1, max(at - context.window, 0) - 1, -1)
        same_dialogue = [i for i in earlier if dialogues[i] == dialogues[at]]
        same = (i for i in same_dialogue if speakers[i] == speakers[at])
        other = (i for i in same_dialogue if speakers[i] != speakers[at])
        own[utterance] = _first(same, utterances)
        interlocutor[utterance] = _first(other, utterances)

    targets = pd.Index(manifest.targets["utterance"], name="utterance")
    found = {"own": targets.map(own), "interlocutor": targets.map(interlocutor)}
    return pd.DataFrame(found, index=targets, dtype="str")


def _in_order(manifest: Manifest, order: str) -> pd.DataFrame:
    """Return the turns of all dialogues, each dialogue in one piece and in order."""
    if order not in ORDERS:
        raise RequestError(f"unknown dataset.context.order '{order}'.{nearest(order, ORDERS)}")
    column = ORDERS[order]
    turns = manifest.table[manifest.table["dialogue"].notna()]
    lost = turns.loc[turns[column].isna(), "utterance"]
    if not lost.empty:
        raise RequestError(
            f"{manifest.dataset}: dataset.context.order={order} needs the column '{column}', "
            f"and utterance '{lost.iloc[0]}' has none there ({len(lost)} in all)"
        )
    return turns.sort_values(["dialogue", column], kind="stable")


def _first(places: Iterable[int], utterances: Sequence[str]) -> str | None:
    return next((utterances[place] for place in places), None)
