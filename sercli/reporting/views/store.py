"""What there is to say about the feature store, for the terminal."""

from __future__ import annotations

from sercli.features.store_uses import Pruning
from sercli.features.verify import Verification


def show_verification(found: Verification) -> str:
    """One line for each fault, and one for all."""
    lines = [f"{fault.what}: {fault.reason}" for fault in found.faults]
    lines.append(
        f"{found.corpus}: {found.utterances} utterances looked for, the frames of {found.stored} "
        f"in the store read again: {len(found.faults) or 'no'} faults"
    )
    return "\n".join(lines)


def show_pruning(done: Pruning) -> str:
    """What was freed, and what stays for whom."""
    lines = [
        f"removed: the frames of {done.unused} utterances that no corpus uses, and of "
        f"{done.damaged} that were damaged",
        f"freed: {done.freed / 1e6:.1f} MB",
        f"kept: the frames of {done.kept} utterances",
        *(f"  {use}: {utterances} utterances" for use, utterances in done.uses.items()),
    ]
    return "\n".join(lines)
