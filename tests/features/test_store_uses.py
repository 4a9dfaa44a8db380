"""Several extractions into one store: what is done once, found stale, kept and removed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import SercliError
from sercli.features.claims import Claims
from sercli.features.extract import Extraction, extract
from sercli.features.store import Entry, FeatureStore
from sercli.features.store_uses import prune
from sercli.features.verify import verify

Corpus = Callable[..., Manifest]
IAAN45 = FeaturesConfig()
HERE = {"root": "/here"}

_EXTRACT = """
import sys
from pathlib import Path
import pandas as pd
from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.features.extract import extract

manifest = Manifest("generated", pd.read_parquet(sys.argv[1]), ("neutral",))
done = extract(manifest, FeaturesConfig(), Path(sys.argv[2]))
print(done.extracted, done.reused, len(done.facts))
"""


def _unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every opening for writing fail, as in a folder of somebody else; root may do all."""
    opened = FeatureStore._open

    def read_only(store: FeatureStore) -> None:
        if store._write:
            raise SercliError("the store cannot be opened: Permission denied")
        opened(store)

    monkeypatch.setattr(FeatureStore, "_open", read_only)


def _stored(store: Path) -> int:
    try:
        with FeatureStore(store) as frames:
            return len(frames)
    except SercliError:
        return 0


def test_a_store_that_has_everything_need_not_be_writable(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    (tmp_path / "audio" / "u001.wav").write_text("no audio")
    first = extract(manifest, IAAN45, tmp_path / "store")
    _unwritable(monkeypatch)
    for location in ({}, HERE):  # one that the store knows, and one that it cannot note
        again = extract(manifest, IAAN45, tmp_path / "store", location=location)
        assert (again.keys, again.facts, again.refused) == (first.keys, first.facts, first.refused)
        assert (again.extracted, again.reused) == (0, 2)


def test_a_store_that_lacks_something_must_be_writable(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(corpus(tmp_path / "audio", 3), IAAN45, tmp_path / "store")
    _unwritable(monkeypatch)
    with pytest.raises(SercliError, match="cannot be opened: Permission denied"):
        extract(corpus(tmp_path / "audio", 4), IAAN45, tmp_path / "store")


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    extract(manifest, IAAN45, tmp_path / "store")
    data = tmp_path / "store" / "data.mdb"
    os.utime(data, (0, 0))
    extract(manifest, IAAN45, tmp_path / "store")
    assert data.stat().st_mtime == 0


def test_two_extractions_at_the_same_time_share_the_work(tmp_path: Path, corpus: Corpus) -> None:
    corpus(tmp_path / "audio", 200).table.to_parquet(tmp_path / "table.parquet")
    command = [sys.executable, "-c", _EXTRACT, "table.parquet", "store"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].split() for process in both]
    extracted = [int(words[0]) for words in said]
    assert sum(extracted) == 200
    assert all(
        int(reused) == 200 - own for own, (_, reused, _) in zip(extracted, said, strict=True)
    )
    assert {words[2] for words in said} == {"200"}


def test_what_a_stopped_extraction_is_at_is_waited_for_and_done_when_it_is_killed(
    tmp_path: Path, corpus: Corpus
) -> None:
    manifest = corpus(tmp_path / "audio", 300)
    manifest.table.to_parquet(tmp_path / "table.parquet")
    store = tmp_path / "store"
    other = subprocess.Popen(
        [sys.executable, "-c", _EXTRACT, "table.parquet", "store"], cwd=tmp_path
    )
    while not _stored(store):
        time.sleep(0.001)
    other.send_signal(signal.SIGSTOP)
    killer = subprocess.Popen(
        [sys.executable, "-c", f"import os, time; time.sleep(2); os.kill({other.pid}, 9)"]
    )
    done = extract(manifest, IAAN45, store)
    assert killer.wait() == 0
    assert other.wait() == -signal.SIGKILL
    assert done.extracted + done.reused == len(done.keys) == 300
    assert done.reused >= 8  # what the other had stored


def test_what_another_process_claims_and_refuses_is_refused_here_too(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    (tmp_path / "audio" / "u001.wav").write_text("no audio")
    taken: list[str] = []
    take = Claims.take

    def take_at_the_second_try(claims: Claims, key: str) -> bool:
        taken.append(key)
        return taken.count(key) > 1 and take(claims, key)

    monkeypatch.setattr(Claims, "take", take_at_the_second_try)
    done = extract(manifest, IAAN45, tmp_path / "store")
    assert (done.extracted, list(done.refused)) == (2, ["u001"])


def _verify(manifest: Manifest, store: Path) -> list[tuple[str, str]]:
    found = verify(manifest, IAAN45, store, location=HERE)
    return [(fault.what, fault.reason.partition(":")[0]) for fault in found.faults]


def _extract(manifest: Manifest, store: Path) -> Extraction:
    return extract(manifest, IAAN45, store, location=HERE)


def test_a_store_without_faults_verifies(tmp_path: Path, corpus: Corpus) -> None:
    manifest = corpus(tmp_path / "audio", 4)
    (tmp_path / "audio" / "u001.wav").write_text("no audio")  # refused, and so rightly not there
    _extract(manifest, tmp_path / "store")
    found = verify(manifest, IAAN45, tmp_path / "store", location=HERE)
    assert (found.utterances, found.stored, found.faults) == (4, 3, ())


def test_what_is_missing_or_stale_is_named(tmp_path: Path, corpus: Corpus) -> None:
    _extract(corpus(tmp_path / "audio", 3), tmp_path / "store")
    manifest = corpus(tmp_path / "audio", 4)
    shutil.copy(tmp_path / "audio" / "u003.wav", tmp_path / "audio" / "u001.wav")
    with (tmp_path / "audio" / "u001.wav").open("ab") as file:
        file.write(b"\0\0")
    faults = _verify(manifest, tmp_path / "store")
    assert faults == [("generated: u001", "stale"), ("generated: u003", "missing")]
    _extract(manifest, tmp_path / "store")
    assert _verify(manifest, tmp_path / "store") == []


def test_nan_and_truncated_frames_are_named_pruned_and_made_anew(
    tmp_path: Path, corpus: Corpus
) -> None:
    manifest, store = corpus(tmp_path / "audio", 4), tmp_path / "store"
    keys = _extract(manifest, store).keys
    with FeatureStore(store, write=True) as frames:
        facts = frames.stored(keys["u000"]).facts
        frames.put([Entry(keys["u000"], np.full((5, 45), np.nan), facts)])
        size = frames.size(keys["u000"])
        with frames.alone():
            value = frames._transaction.get(keys["u002"].encode(), db=frames._frames)
            frames._transaction.put(keys["u002"].encode(), value[:100], db=frames._frames)
    faults = dict(_verify(manifest, store))
    assert faults["generated: u000"].startswith("NaN or infinite in 5 of 5 frames")
    assert faults["generated: u002"] == "truncated"
    assert len(faults) == 2
    done = prune(store)
    assert (done.damaged, done.unused, done.kept) == (2, 0, 2)
    assert done.freed == 100 + size
    assert _extract(manifest, store).extracted == 2
    assert _verify(manifest, store) == []


def test_pruning_keeps_what_any_known_manifest_uses(tmp_path: Path, corpus: Corpus) -> None:
    store = tmp_path / "store"
    five, four = corpus(tmp_path / "audio", 5), corpus(tmp_path / "audio", 4)
    first = _extract(five, store)
    extract(four, IAAN45, store, location={"root": "/there"})
    _extract(replace(five, table=five.table[:2]), store)  # the note of /here now names two
    done = prune(store)
    assert (done.unused, done.kept) == (1, 4)
    assert sorted(done.uses.values()) == [2, 4]
    with FeatureStore(store) as frames:
        assert [name for name, key in first.keys.items() if key not in frames] == ["u004"]
    assert prune(store).unused == 0


def test_other_features_of_a_corpus_are_kept_and_an_older_state_of_it_is_not(
    tmp_path: Path, corpus: Corpus
) -> None:
    manifest, store = corpus(tmp_path / "audio", 2), tmp_path / "store"
    at_8_khz = FeaturesConfig(sampling_rate=8000)
    _extract(manifest, store)
    extract(manifest, at_8_khz, store, location=HERE)
    assert prune(store).unused == 0
    shutil.copy(tmp_path / "audio" / "u000.wav", tmp_path / "audio" / "u001.wav")
    _extract(manifest, store)
    done = prune(store)
    assert (done.unused, done.kept) == (1, 3)
    assert done.freed > 0


def test_what_an_extraction_has_only_begun_is_not_pruned(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed extraction leaves its note, and so keeps what it had done."""
    manifest, store = corpus(tmp_path / "audio", 20), tmp_path / "store"
    put = FeatureStore.put
    puts: list[int] = []

    def put_once(frames: FeatureStore, entries: list[Entry]) -> None:
        if puts:
            raise KeyboardInterrupt
        puts.append(len(entries))
        put(frames, entries)

    monkeypatch.setattr(FeatureStore, "put", put_once)
    with pytest.raises(KeyboardInterrupt):
        _extract(manifest, store)
    monkeypatch.undo()
    assert (prune(store).unused, prune(store).kept) == (0, 8)
    assert _extract(manifest, store).extracted == 12


def test_a_store_that_is_not_there_is_neither_verified_nor_made(
    tmp_path: Path, corpus: Corpus
) -> None:
    for look in (
        lambda: _verify(corpus(tmp_path / "audio", 1), tmp_path / "no"),
        lambda: prune(tmp_path / "no"),
    ):
        with pytest.raises(SercliError, match="/no cannot be opened"):
            look()
    assert not (tmp_path / "no").exists()
