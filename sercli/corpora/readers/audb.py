"""Corpora of audb, by name and version: downloaded on first use, then read as audformat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.readers import READERS, reader_options
from sercli.corpora.readers.audformat import AudformatOptions, read_audformat
from sercli.errors import RequestError, SercliError, nearest
from sercli.files import held_alone
from sercli.progress import Progress


class AudbOptions(AudformatOptions):
    """Options of a corpus of audb: its name and version, and those of an audformat database.

    Attributes:
        database: Name of the database.
        version: Version of the database. There is no default, as the latest version changes.
    """

    database: str = ""
    version: str = ""


@READERS.register("audb")
def read_audb(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Download the database to ``root/<name>/<version>`` unless it is there, and read it.

    The repositories are those of audb's own configuration. They must be trusted, as audb loads
    their headers in a way that can run code.

    Raises:
        RequestError: Name or version is not set or unknown, another process downloads the same
            version, the package audb is not installed, or `read_audformat` raises it.
        SercliError: The download failed; files that are complete are kept for the next time.
    """
    options = reader_options(dataset, AudbOptions)
    if not (options.database and options.version):
        raise RequestError(
            "no corpus of audb is chosen; use dataset.options.database=NAME "
            "and dataset.options.version=VERSION"
        )
    folder = root / options.database / options.version
    # audb writes the header last.
    if not (folder / "db.yaml").is_file():
        busy = f"{folder}: another process is downloading it; wait until it has finished"
        with held_alone(folder.with_name(f".{options.version}.lock"), busy):
            _fetch(options.database, options.version, folder, progress)
    names = options.model_dump(exclude={"database", "version"})
    return read_audformat(replace(dataset, options=names), folder, progress)


def _fetch(name: str, version: str, folder: Path, progress: Progress) -> None:
    try:
        import audb
    except ImportError:
        raise RequestError(
            "dataset.reader=audb needs the package audb: pip install 'sercli[audb]'"
        ) from None
    progress.note(f"downloading {name} {version} to {folder}")
    try:
        versions = audb.versions(name)
        if version in versions:
            audb.load_to(str(folder), name, version=version, pickle_tables=False, verbose=False)
            return
    except Exception as error:  # network, repository or disk
        raise SercliError(f"{name} {version} cannot be downloaded from audb ({error})") from error
    if not versions:
        raise RequestError(f"audb knows no database '{name}'; see audb.available()")
    raise RequestError(f"audb has no version '{version}' of {name}.{nearest(version, versions)}")
