"""Corpora made for a test, read with the configuration that users choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from sercli.config.schema import DatasetConfig
from sercli.corpora.audit import Audit, audit
from sercli.corpora.manifest import Manifest
from sercli.corpora.read import read_corpus
from sercli.resources import packaged

_MANY = 20


def add(root: Path, *places: str, content: bytes = b"RIFF") -> None:
    """Write files; four bytes will do, as no reader looks into the audio.

    A large corpus is one file under many names: a link costs a sixtieth of a file.
    """
    files = [root / place for place in places]
    for folder in {file.parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    copies = files[1:] if len(files) > _MANY else []
    for file in files[: len(files) - len(copies)]:
        file.write_bytes(content)
    for file in copies:
        file.hardlink_to(files[0])


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder ``name``, made once per session by the first process that needs it."""
    base = factory.getbasetemp()
    root, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            make(root)
            done.touch()
    return root


def chosen(choice: str, root: Path) -> DatasetConfig:
    """Return the configuration of ``dataset=choice``."""
    text = (packaged("conf") / "dataset" / f"{choice}.yaml").read_text(encoding="utf-8")
    return DatasetConfig(**yaml.safe_load(text), root=str(root))


def read(choice: str, root: Path) -> Manifest:
    return read_corpus(chosen(choice, root))


def audited(choice: str, root: Path) -> Audit:
    dataset = chosen(choice, root)
    return audit(read_corpus(dataset), dataset)


def rows(manifest: Manifest, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns, one tuple for each utterance, with None for what is missing."""
    table = manifest.table[list(columns)]
    return list(table.astype(object).where(table.notna(), None).itertuples(index=False, name=None))


def refusals(manifest: Manifest) -> dict[str, str]:
    """Return file → reason."""
    return {refusal.file: refusal.reason for refusal in manifest.refused}


def unused(manifest: Manifest, columns: Iterable[str]) -> bool:
    """Return True if all values of these columns are missing."""
    return bool(manifest.table[list(columns)].isna().all(axis=None))


def first(manifest: Manifest) -> dict[str, Any]:
    """Return the first row; columns without a value are left out."""
    return {str(column): value for column, value in manifest.table.iloc[0].dropna().items()}
