"""Keep what was read of a corpus, and what was found, where it can be looked up."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from sercli.config.schema import DatasetConfig
from sercli.corpora.audit import Audit
from sercli.corpora.manifest import Manifest
from sercli.files import write_atomically, write_text


def keep_corpus(manifest: Manifest, audit: Audit, dataset: DatasetConfig, data: Path) -> Path:
    """Write the manifest, the table of what was left out, and the audit.

    They go to ``data/manifests/<corpus>-<digest of its configuration>``, as ``manifest.parquet``,
    ``refused.parquet`` (columns ``file`` and ``reason``) and ``audit.json``, in place of what an
    earlier extraction of the same corpus, with the same configuration, left there.

    Returns:
        The folder.

    Raises:
        OSError: It cannot be written.
    """
    folder = data / "manifests" / _name(dataset)
    refused = pd.DataFrame(
        [asdict(refusal) for refusal in manifest.refused], columns=["file", "reason"], dtype="str"
    )
    for name, table in (("manifest", manifest.table), ("refused", refused)):
        write_atomically(folder / f"{name}.parquet", table.to_parquet)
    page = {"configuration": asdict(dataset), **audit.to_json()}
    write_text(folder / "audit.json", json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    return folder


def _name(dataset: DatasetConfig) -> str:
    settings = asdict(dataset) | {"root": str(Path(dataset.root or "").expanduser().absolute())}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.-]", "_", dataset.name).lstrip(".")
    return f"{name}-{digest[:8]}"
