"""The owner of a study: its user and its runs folder.

A database may serve many users. Each study belongs to one runs folder with all its records.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sercli.errors import RequestError
from sercli.files import user_name
from sercli.results.sweep_summary import find_sweep


@dataclass(frozen=True)
class Owner:
    """The owner of a study.

    Attributes:
        study: Id of the study, unique over all databases; also in ``sweep.json``.
        user: Name of the user who planned it first.
        runs: Absolute path of the runs folder.
        time: Time of the first planning, UTC.
    """

    study: str
    user: str
    runs: str
    time: str

    def keeps(self, name: str, runs: Path) -> bool:
        """Return True if ``runs`` is the runs folder of experiment ``name``.

        The folder may have been moved, or have another path on this machine: its ``sweep.json``
        has the id. Without one, path and user must be the same.
        """
        summary = find_sweep(runs / name)
        if summary is not None and summary.study == self.study:
            return True
        return str(runs.resolve()) == self.runs and user_name() == self.user


def new_owner(runs: Path) -> Owner:
    """Return this user as the owner of a new study."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return Owner(uuid4().hex, user_name(), str(runs.resolve()), time)


def refuse_other_folder(name: str, owner: Owner, runs: Path, *, planning: bool) -> None:
    """Refuse a runs folder that is not the study's.

    Args:
        name: Name of the experiment.
        owner: Its owner.
        runs: The runs folder of this command.
        planning: True if trials are to be added.

    Raises:
        RequestError: The study keeps its records in another folder.
    """
    if owner.keeps(name, runs):
        return
    whose = f"experiment '{name}' in this database is {owner.user}'s, with records in {owner.runs}"
    if planning:
        raise RequestError(
            f"{whose}; give this sweep another experiment=, or join by paths.runs={owner.runs}"
        )
    raise RequestError(
        f"{whose}, not in {runs}; leave --runs out, or give that folder's path on this machine"
    )
