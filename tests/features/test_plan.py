from __future__ import annotations

import importlib.metadata
import math
from dataclasses import replace
from pathlib import Path

import pytest

from sercli.features.plan import recipe_digest, utterance_key
from sercli.features.smile_sets import packaged_set
from sercli.features.spectral import log_mel
from sercli.files import file_digest

IAAN45 = packaged_set("iaan45", "lld")


def test_the_key_depends_on_everything_that_changes_the_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"audio")
    audio = file_digest(tmp_path / "a")
    recipe = recipe_digest(IAAN45, 16000)
    keys = [
        utterance_key(audio, math.nan, math.nan, recipe),
        utterance_key(audio, 0.0, math.nan, recipe),
        utterance_key(audio, math.nan, 1.0, recipe),
        utterance_key(audio[::-1], math.nan, math.nan, recipe),
    ]
    other = [
        recipe_digest(IAAN45, 8000),
        recipe_digest(replace(IAAN45, text=IAAN45.text + "\nnThreads=1"), 16000),
        recipe_digest(replace(IAAN45, level="lld_delta"), 16000),
        recipe_digest(log_mel("lld"), 16000),
    ]
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0")
    other.append(recipe_digest(IAAN45, 16000))
    keys += [utterance_key(audio, math.nan, math.nan, each) for each in other]
    assert len(set(keys)) == 9


def test_the_key_does_not_depend_on_what_things_are_called(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"audio")
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b")
    renamed = replace(IAAN45, name="mine", origin="elsewhere")
    assert recipe_digest(renamed, 16000) == recipe_digest(IAAN45, 16000)
