"""The feature store: its verification and its pruning."""

from __future__ import annotations

from sercli.errors import counted
from sercli.features.store_uses import Pruning
from sercli.features.verify import Fault, Verification
from sercli.reporting.table import (
    Columns,
    Table,
    View,
    count_cell,
    count_text,
    make_table,
    number_column,
    text_column,
)


def verification_view(found: Verification) -> View:
    """Show the faults of the store."""
    columns: Columns[Fault] = [
        text_column("entry", lambda fault: fault.what),
        text_column("fault", lambda fault: fault.reason),
    ]
    title = (
        f"{found.corpus}: {counted(len(found.faults), 'fault')} in the features of "
        f"{count_text(found.utterances)} utterances and in {count_text(found.stored)} entries"
    )
    refused = [
        f"{counted(len(found.refused), 'utterance')} without features, refused by "
        "`sercli extract`, which lists the reasons."
    ]
    table: Table = make_table(
        title, columns if found.faults else [], found.faults, notes=refused if found.refused else []
    )
    data = found.to_json()
    return View((table,), data, data["faults"])


def pruning_view(done: Pruning) -> View:
    """Show what pruning has removed and kept."""
    columns: Columns[tuple[str, int]] = [
        text_column("kept for", lambda row: row[0]),
        number_column("utterances", lambda row: count_cell(row[1])),
    ]
    notes = [
        f"Removed: {counted(done.unused, 'utterance')} that no corpus uses, "
        f"{counted(done.damaged, 'utterance')} with damaged features.",
        f"Freed: {done.freed / 1e6:.1f} MB.",
    ]
    title = f"Kept: the features of {counted(done.kept, 'utterance')}"
    uses = done.uses.items()
    table: Table = make_table(title, columns if uses else [], uses, notes=notes)
    lines = [{"use": use, "utterances": n} for use, n in uses]
    return View((table,), done.to_json(), lines)
