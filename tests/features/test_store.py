from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercli.corpora.audio_stats import AudioFacts
from sercli.errors import SercliError
from sercli.features.store import Entry, FeatureStore

FACTS = AudioFacts(0.05, 48000, 2, peak=0.7, clipped_share=0.25, content="ab")


def _entry(key: str, frames: int = 3) -> Entry:
    values = np.arange(frames * 2, dtype=np.float32).reshape(frames, 2)
    return Entry(key, values, FACTS)


def test_frames_and_their_duration_come_back(tmp_path: Path) -> None:
    with FeatureStore(tmp_path / "new" / "store", write=True) as store:
        store.put([_entry("a", 3), _entry("b", 5)])
    with FeatureStore(tmp_path / "new" / "store") as store:
        assert len(store) == 2
        assert "a" in store
        assert "c" not in store
        frames = store.get("b")
        assert frames.dtype == np.float32
        np.testing.assert_array_equal(frames, _entry("b", 5).frames)
        assert store.stored("b").facts == FACTS


def test_a_key_that_is_absent_raises_a_key_error(tmp_path: Path) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        for read in (store.get, store.stored, store.damage):
            with pytest.raises(KeyError, match="absent"):
                read("absent")


def test_a_transaction_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        store.put([_entry("before")])
        with pytest.raises(ValueError, match="could not convert"):
            store.put([_entry("first"), Entry("second", np.array([["no", "number"]]), FACTS)])
        assert len(store) == 1
        assert "first" not in store


def test_another_process_reads_while_one_writes(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sercli.features.store import FeatureStore\n"
        "with FeatureStore(Path(sys.argv[1])) as store: print(len(store), store.get('a').sum())"
    )
    with FeatureStore(tmp_path, write=True) as store:
        store.put([_entry("a")])
        seen = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        store.put([_entry("b")])
    assert seen.stdout.split() == ["1", "15.0"]


def test_a_store_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(SercliError, match=r"/none cannot be opened: No such file .*paths\.store"):
        FeatureStore(tmp_path / "none")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SercliError, match=r"file/store cannot be opened: .*paths\.store"):
        FeatureStore(tmp_path / "file" / "store", write=True)


def test_a_folder_with_something_else_in_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_text("something else\n" * 1000)
    with pytest.raises(SercliError, match="no store, or a damaged one"):
        FeatureStore(tmp_path, write=True)


def test_a_disk_that_is_full_is_reported_and_what_was_written_stays(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
import numpy as np
from sercli.errors import SercliError
from sercli.corpora.audio_stats import AudioFacts
from sercli.features.store import Entry, FeatureStore

FACTS = AudioFacts(0.05, 48000, 2, peak=0.7, clipped_share=0.25, content="ab")

frames = np.ones((1000, 45), np.float32)
with FeatureStore(Path(sys.argv[1]), write=True) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
    try:
        for each in range(100):
            store.put([Entry(str(each), frames, AudioFacts(10.0, 16000, 1, 0.5, 0.0, ""))])
    except SercliError as error:
        print(each, error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    written = int(said.split()[0])
    assert 0 < written < 100
    assert "all that was written before stays" in said
    with FeatureStore(tmp_path, write=True) as store:
        assert len(store) == written
        store.put([_entry("now there is room")])
        assert len(store) == written + 1


def test_a_store_that_cannot_be_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        store.put([_entry("a")])
    for file in tmp_path.iterdir():
        file.chmod(0o444)
    tmp_path.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with FeatureStore(tmp_path) as store:
        np.testing.assert_array_equal(store.get("a"), _entry("a").frames)
    tmp_path.chmod(0o755)


def test_one_process_uses_a_store_from_two_places_in_turns(tmp_path: Path) -> None:
    writer = FeatureStore(tmp_path, write=True)
    writer.put([_entry("a")])
    reader = FeatureStore(tmp_path)
    assert len(reader) == 1
    writer.put([_entry("b")])
    assert "b" in reader
    assert "a" in writer


def test_reading_much_lets_go_of_the_map_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.features.store._MAPPED", 1)
    with FeatureStore(tmp_path, write=True) as store:
        store.put(_entry(str(each), each + 1) for each in range(5))
        assert [len(store.get(str(each))) for each in range(5)] == [1, 2, 3, 4, 5]


def test_what_is_removed_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        store.put(_entry(each) for each in "abc")
        assert store.size("b") > 24
        store.remove(["b", "absent"])
        assert store.keys() == ["a", "c"]
        assert store.size("b") == 0


def test_a_block_that_fails_writes_nothing_of_what_it_wrote(tmp_path: Path) -> None:
    def fail() -> None:
        with store.alone():
            store.put([_entry("a")])
            store.note("name", b"text")
            assert store.notes() == {"name": b"text"}
            raise ValueError("no")

    with FeatureStore(tmp_path, write=True) as store:
        with pytest.raises(ValueError, match="no"):
            fail()
        assert (len(store), store.notes()) == (0, {})
        store.note("name", b"text")
        store.note("name", b"another")
        assert store.notes() == {"name": b"another"}


def _spoil(folder: Path, table: bytes, key: str, value: bytes) -> None:
    """Write to the store behind its back."""
    with lmdb.open(str(folder), max_dbs=3) as opened, opened.begin(write=True) as transaction:
        transaction.put(key.encode(), value, db=opened.open_db(table, transaction))


def test_damaged_frames_are_told_from_sound_ones_and_never_given_out(tmp_path: Path) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        store.put([*map(_entry, "abcd"), Entry("nan", np.full((3, 2), np.nan), FACTS)])
        store.put([Entry("empty", np.zeros((0, 2)), FACTS)])
    with lmdb.open(str(tmp_path), max_dbs=3) as opened, opened.begin() as transaction:
        value = transaction.get(b"b", db=opened.open_db(b"frames", transaction)) or b""
    _spoil(tmp_path, b"frames", "b", value[:-1])
    _spoil(tmp_path, b"frames", "c", value[:-1] + b"\xff")
    _spoil(tmp_path, b"facts", "d", b"{}")
    with FeatureStore(tmp_path) as store:
        assert store.damage("a") is None
        assert store.damage("b") == f"truncated: {len(value) - 1} of {len(value)} bytes"
        assert "checksum" in (store.damage("c") or "")
        assert "description" in (store.damage("d") or "")
        assert store.damage("nan") == "NaN or infinite in 3 of 3 frames"
        assert "shape (0, 2)" in (store.damage("empty") or "")
        for key in "bcd":
            with pytest.raises(SercliError, match=r"is damaged.*--verify"):
                store.get(key)
        with pytest.raises(SercliError, match="description"):
            store.stored("d")


def test_a_copy_that_was_broken_off_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        store.put(_entry(str(each), 1000) for each in range(20))
    data = (tmp_path / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(data[: len(data) // 2])
    with pytest.raises(SercliError, match=r"truncated: data\.mdb has \d+ of \d+ bytes; .*damaged"):
        FeatureStore(tmp_path)


@settings(max_examples=20)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "remove"]), st.sets(st.integers(0, 60), max_size=25)),
        max_size=12,
    )
)
def test_a_store_that_grows_and_shrinks_is_never_taken_for_a_truncated_one(
    steps: list[tuple[str, set[int]]],
) -> None:
    expected: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for action, chosen in steps:
            keys = {f"{each * 7919:064x}" for each in chosen}
            with FeatureStore(Path(folder), write=True) as store:
                if action == "put":
                    store.put(_entry(key, 1 + 97 * int(key, 16) % 1500) for key in keys)
                else:
                    store.remove(keys)
            expected = expected | keys if action == "put" else expected - keys
            with FeatureStore(Path(folder)) as store:
                assert set(store.keys()) == expected
                assert not any(map(store.damage, expected))


def test_a_full_disk_at_the_very_beginning_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SercliError, match=r"cannot be opened: .*No space left.*paths\.store"):
        FeatureStore(tmp_path / "store", write=True)
