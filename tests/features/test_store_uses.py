"""Several extractions into one store: found stale, kept, removed and shared."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.together import start_two

from sercli.config.schema import FeaturesConfig
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.manifest import Manifest
from sercli.errors import SercliError
from sercli.features.extract import Extraction, extract
from sercli.features.known import KnownFiles
from sercli.features.store import FeatureStore
from sercli.features.store_uses import StoreUse, prune, record_use, recorded_uses
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
from sercli.features.sets import feature_set

feature_set(FeaturesConfig()).extractor(16000)
manifest = Manifest("generated", pd.read_parquet(sys.argv[1]), ("neutral",))
print("ready", flush=True)
sys.stdin.readline()
done = extract(manifest, FeaturesConfig(), Path(sys.argv[2]))
print(done.extracted, done.reused, len(done.facts))
"""


def _unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every writing fail, as in a folder of somebody else; root may do all."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sercli.features.store.write_atomically", refuse)
    monkeypatch.setattr("sercli.features.store_uses.write_text", refuse)


def test_a_store_that_has_everything_need_not_be_writable(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    (tmp_path / "audio" / "u001.wav").write_text("no audio")
    first = extract(manifest, IAAN45, tmp_path / "store")
    _unwritable(monkeypatch)
    for location in ({}, HERE):  # one that the store knows, and one that it cannot record
        again = extract(manifest, IAAN45, tmp_path / "store", location=location)
        assert (again.keys, again.facts, again.refused) == (first.keys, first.facts, first.refused)
        assert (again.extracted, again.reused) == (0, 2)


def test_a_store_that_lacks_something_must_be_writable(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(corpus(tmp_path / "audio", 3), IAAN45, tmp_path / "store")
    _unwritable(monkeypatch)
    with pytest.raises(SercliError, match="cannot be written: Permission denied"):
        extract(corpus(tmp_path / "audio", 4), IAAN45, tmp_path / "store")


def test_frames_are_never_stored_without_a_record_of_their_use(
    tmp_path: Path, corpus: Corpus
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "uses").touch()  # where the folder should be
    with pytest.raises(SercliError, match="cannot be written"):
        extract(corpus(tmp_path / "audio", 3), IAAN45, tmp_path / "store")


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path, corpus: Corpus) -> None:
    def times() -> dict[Path, float]:
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}

    manifest = corpus(tmp_path / "audio", 3)
    extract(manifest, IAAN45, tmp_path / "store")
    before = times()
    extract(manifest, IAAN45, tmp_path / "store")
    assert times() == before


def test_two_extractions_at_the_same_time_share_the_work(tmp_path: Path, corpus: Corpus) -> None:
    """Without locks, so on two nodes as well: they rarely meet at one utterance."""
    corpus(tmp_path / "audio", 200).table.to_parquet(tmp_path / "table.parquet")
    both = start_two(_EXTRACT, "table.parquet", "store", folder=tmp_path)
    counts = [
        [int(word) for word in process.communicate(timeout=60)[0].split()] for process in both
    ]
    assert [extracted + reused for extracted, reused, _ in counts] == [200, 200]
    assert [facts for _, _, facts in counts] == [200, 200]
    assert 200 <= sum(extracted for extracted, _, _ in counts) <= 260
    assert len(FeatureStore(tmp_path / "store")) == 200


def test_frames_that_another_extraction_stores_meanwhile_are_not_extracted_again(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one here stores everything at the moment at which this one finds all missing."""
    manifest, store = corpus(tmp_path / "audio", 3), tmp_path / "store"
    (tmp_path / "audio" / "u001.wav").write_text("no audio")
    extract(manifest, IAAN45, tmp_path / "other")
    find = FeatureStore.find
    misses: list[str] = []

    def find_later(self: FeatureStore, key: str, *known: KnownFiles) -> object:
        if len(misses) < 3:
            misses.append(key)
            if len(misses) == 3:
                shutil.copytree(tmp_path / "other", store, dirs_exist_ok=True)
            return None
        return find(self, key)

    monkeypatch.setattr(FeatureStore, "find", find_later)
    done = extract(manifest, IAAN45, store)
    assert (done.extracted, done.reused, list(done.refused)) == (0, 2, ["u001"])
    assert list(done.facts) == ["u000", "u002"]


def _file(store: Path, key: str) -> Path:
    return store / key[:2] / f"{key}.safetensors"


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


def test_what_an_extraction_refused_is_known_and_not_asked_for_again(
    tmp_path: Path, corpus: Corpus
) -> None:
    """Audio that can be read, but is too short for the feature set, and audio of other faults."""
    manifest, store = corpus(tmp_path / "audio", 3), tmp_path / "store"
    short = tmp_path / "audio" / "u001.wav"
    soundfile.write(short, np.sin(np.arange(976)), 16000)
    (tmp_path / "audio" / "u002.wav").unlink()
    features = FeaturesConfig("IS10", level="functionals")
    extract(manifest, features, store, location=HERE)
    found = verify(manifest, features, store, location=HERE)
    assert found.faults == ()
    assert list(found.refused) == ["u001", "u002"]
    soundfile.write(short, np.sin(np.arange(16000)), 16000)  # mended, and so missing
    faults = verify(manifest, features, store, location=HERE).faults
    assert [fault.what for fault in faults] == ["generated: u001"]


def test_missing_transcripts_of_a_text_set_are_named(tmp_path: Path, corpus: Corpus) -> None:
    manifest, store = corpus(tmp_path / "audio", 2), tmp_path / "store"
    manifest = replace(manifest, table=manifest.table.assign(transcript=["no", "yes"]))
    features = FeaturesConfig("characters")
    done = extract(manifest, features, store, location=HERE)
    assert verify(manifest, features, store, location=HERE).faults == ()
    for key in set(FeatureStore(store).keys()) - set(done.keys.values()):
        (store / key[:2] / f"{key}.safetensors").unlink()
    faults = verify(manifest, features, store, location=HERE).faults
    assert [fault.what for fault in faults] == ["generated: u000", "generated: u001"]


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
    done = _extract(manifest, store)
    keys = done.keys
    frames = FeatureStore(store)
    frames.put(keys["u000"], np.full((5, 45), np.nan), done.facts["u000"])
    size = _file(store, keys["u000"]).stat().st_size
    cut_short = _file(store, keys["u002"])
    cut_short.write_bytes(cut_short.read_bytes()[:1000])
    faults = dict(_verify(manifest, store))
    assert faults["generated: u000"].startswith("NaN or infinite in 5 of 5 frames")
    assert faults["generated: u002"] == "truncated"
    assert len(faults) == 2
    pruned = prune(store)
    assert (pruned.damaged, pruned.unused, pruned.kept) == (2, 0, 2)
    assert pruned.freed == 1000 + size
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
    frames = FeatureStore(store)
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
    """A killed extraction leaves its record of use, and so keeps what it had done."""
    manifest, store = corpus(tmp_path / "audio", 20), tmp_path / "store"
    put = FeatureStore.put

    def put_eight(store: FeatureStore, key: str, frames: np.ndarray, facts: AudioFacts) -> None:
        if len(store) == 8:
            raise KeyboardInterrupt
        put(store, key, frames, facts)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "put", put_eight)
        with pytest.raises(KeyboardInterrupt):
            _extract(manifest, store)
    assert (prune(store).unused, prune(store).kept) == (0, 8)
    assert _extract(manifest, store).extracted == 12


def test_an_extraction_that_begins_while_another_node_prunes_loses_nothing(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, store = corpus(tmp_path / "audio", 4), tmp_path / "store"
    keys = _extract(manifest, store).keys
    for record in (store / "uses").iterdir():
        record.unlink()
    move = FeatureStore.move
    began: list[Extraction] = []

    def move_late(frames: FeatureStore, moved: set[str], other: FeatureStore) -> None:
        if not began:  # after the uses were read, before anything is moved aside
            began.append(_extract(manifest, store))
        move(frames, moved, other)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "move", move_late)
        done = prune(store)
    assert (done.unused, done.kept, list(done.uses.values())) == (0, 4, [4])
    assert began[0].reused == 4
    assert _verify(manifest, store) == []
    assert set(keys.values()) == set(FeatureStore(store).keys())


def test_what_killed_processes_have_left_is_removed_after_a_day(
    tmp_path: Path, corpus: Corpus
) -> None:
    store = tmp_path / "store"
    key = next(iter(_extract(corpus(tmp_path / "audio", 1), store).keys.values()))
    temporary = store / key[:2] / ".x.tmp"
    temporary.touch()
    aside = FeatureStore(store / "removed" / "x", create=True).folder
    prune(store)
    assert temporary.exists()
    assert aside.exists()
    for left in (temporary, aside):
        os.utime(left, (0, 0))
    assert prune(store).kept == 1
    assert not temporary.exists()
    assert not aside.exists()


def test_nothing_is_pruned_while_a_record_of_use_cannot_be_read(
    tmp_path: Path, corpus: Corpus
) -> None:
    store = tmp_path / "store"
    _extract(corpus(tmp_path / "audio", 2), store)
    (record,) = (store / "uses").iterdir()
    record.write_text("{")
    with pytest.raises(SercliError, match=r"cannot be read: .*remove it, and run `sercli extract`"):
        prune(store)
    assert len(FeatureStore(store)) == 2


def test_a_recorded_use_names_its_corpus(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, create=True)
    use = StoreUse("mine", HERE, {"name": "iaan45", "config": None}, {"u": "aa"})
    record_use(store, use)
    assert recorded_uses(store) == {use.name: use}
    assert str(use) == "mine at /here (name=iaan45)"
    assert json.loads((tmp_path / "uses" / f"{use.name}.json").read_text())["keys"] == {"u": "aa"}


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
