from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sercli.errors import SercliError
from sercli.features.store import Entry, FeatureStore


def _entry(key: str, frames: int = 3) -> Entry:
    values = np.arange(frames * 2, dtype=np.float32).reshape(frames, 2)
    return Entry(key, values, seconds=frames / 100)


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
        assert store.seconds("b") == 0.05


def test_a_key_that_is_absent_raises_a_key_error(tmp_path: Path) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        for read in (store.get, store.seconds):
            with pytest.raises(KeyError, match="absent"):
                read("absent")


def test_a_transaction_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with FeatureStore(tmp_path, write=True) as store:
        store.put([_entry("before")])
        with pytest.raises(ValueError, match="could not convert"):
            store.put([_entry("first"), Entry("second", np.array([["no", "number"]]), 1.0)])
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
from sercli.features.store import Entry, FeatureStore

frames = np.ones((1000, 45), np.float32)
with FeatureStore(Path(sys.argv[1]), write=True) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
    try:
        for each in range(100):
            store.put([Entry(str(each), frames, 10.0)])
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
