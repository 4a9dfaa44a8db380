"""Corpora made for a test, read with the configuration that users choose."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from sercli.config.schema import DatasetConfig
from sercli.corpora.audit import Audit, audit
from sercli.corpora.manifest import Manifest
from sercli.corpora.read import read_corpus
from sercli.resources import packaged


def add(root: Path, *places: str, content: bytes = b"RIFF") -> None:
    """Write files; no reader looks into the audio, so that four bytes of it will do."""
    for place in places:
        file = root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


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
    """Tell whether all values of these columns are missing."""
    return bool(manifest.table[list(columns)].isna().all(axis=None))


def first(manifest: Manifest) -> dict[str, Any]:
    """Return what the first row says; columns without a value are left out."""
    return {str(column): value for column, value in manifest.table.iloc[0].dropna().items()}
