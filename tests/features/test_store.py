from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from helpers.together import start_two
from hypothesis import given
from hypothesis import strategies as st

from sercli.corpora.audio_stats import AudioFacts
from sercli.errors import SercliError
from sercli.features.store import FeatureStore, damaged_keys

FACTS = AudioFacts(0.05, 48000, 2, peak=0.7, clipped_share=0.25, content="ab")


def _frames(number: int = 3) -> np.ndarray:
    return np.arange(number * 2, dtype=np.float32).reshape(number, 2)


def _store(folder: Path, *keys: str) -> FeatureStore:
    store = FeatureStore(folder, create=True)
    for key in keys:
        store.put(key, _frames(), FACTS)
    return store


def _file(store: FeatureStore, key: str) -> Path:
    return store.folder / key[:2] / f"{key}.safetensors"


@given(
    bits=st.lists(
        st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3), min_size=1, max_size=9
    )
)
def test_frames_come_back_bit_for_bit(bits: list[list[int]]) -> None:
    frames = np.array(bits, np.uint32).view(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder), create=True)
        store.put("aa", frames, FACTS)
        read = store.get("aa")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read.view(np.uint32), frames.view(np.uint32))


def test_float16_is_stored_as_such_and_read_as_float32(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, create=True)
    frames = np.array([[0.1, -2.0, 65504.0]] * 5)
    store.put("aa", frames.astype(np.float16), FACTS)
    store.put("bb", frames, FACTS)
    found = store.find("aa")
    assert found is not None
    assert (found.frames, store.damage("aa")) == (5, None)
    assert store.get("aa").dtype == store.get_stored("bb").dtype == np.float32
    np.testing.assert_array_equal(store.get_stored("aa"), frames.astype(np.float16))
    np.testing.assert_array_equal(store.get("aa"), store.get_stored("aa"))
    with _file(store, "aa").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    assert "checksum" in str(store.damage("aa"))


def test_facts_and_length_are_found_without_the_frames(tmp_path: Path) -> None:
    _store(tmp_path / "new" / "store", "aa").put("bb", _frames(5), FACTS)
    store = FeatureStore(tmp_path / "new" / "store")
    assert (len(store), store.keys()) == (2, ["aa", "bb"])
    assert "aa" in store
    assert "cc" not in store
    found = store.find("bb")
    assert found is not None
    assert (found.frames, found.facts) == (5, FACTS)


def test_other_programs_can_read_the_files(tmp_path: Path) -> None:
    store = _store(tmp_path, "aa")
    with safetensors.safe_open(_file(store, "aa"), framework="numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("frames"), _frames())


def test_a_key_that_is_absent_raises_a_key_error(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.find("absent") is None
    for read in (store.get, store.damage):
        with pytest.raises(KeyError, match="absent"):
            read("absent")


def test_a_store_can_be_pickled(tmp_path: Path) -> None:
    store = pickle.loads(pickle.dumps(_store(tmp_path, "aa")))
    assert store.get("aa").shape == (3, 2)


def test_a_store_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(SercliError, match=r"/none cannot be opened: No such file .*paths\.store"):
        FeatureStore(tmp_path / "none")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SercliError, match=r"file/store cannot be opened: .*paths\.store"):
        FeatureStore(tmp_path / "file" / "store", create=True)


@pytest.mark.parametrize("create", [True, False])
def test_a_store_of_the_old_format_is_refused_with_the_remedy(tmp_path: Path, create: bool) -> None:
    (tmp_path / "data.mdb").touch()
    with pytest.raises(SercliError, match=r"older format \(LMDB\).*paths\.store.*sercli extract"):
        FeatureStore(tmp_path, create=create)
    assert [path.name for path in tmp_path.iterdir()] == ["data.mdb"]


@pytest.mark.parametrize("text", ["", "[]", '{"format": 3}', "\0"])
def test_a_store_of_another_format_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(SercliError, match=r"its format, \w+, is not 2; set paths\.store"):
        FeatureStore(tmp_path, create=True)


def test_a_disk_that_is_full_is_reported_and_what_was_written_stays(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
import numpy as np
from sercli.errors import SercliError
from sercli.corpora.audio_stats import AudioFacts
from sercli.features.store import FeatureStore

facts = AudioFacts(10.0, 16000, 1, 0.5, 0.0, "")
store = FeatureStore(Path(sys.argv[1]), create=True)
store.put("aa", np.ones((100, 45)), facts)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    store.put("bb", np.ones((1000, 45)), facts)
except SercliError as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert "cannot be written: File too large; everything written before stays" in said
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [
        "store.json",
        "aa.safetensors",
    ]
    assert FeatureStore(tmp_path).get("aa").shape == (100, 45)


def test_a_store_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    store = _store(tmp_path, "aa")
    folders = [tmp_path, tmp_path / "aa"]
    for folder in folders:
        folder.chmod(0o555)
    np.testing.assert_array_equal(FeatureStore(tmp_path).get("aa"), _frames())
    if os.geteuid():  # root may write everything
        with pytest.raises(SercliError, match="cannot be written: Permission denied"):
            store.put("aab", _frames(), FACTS)
    for folder in folders:
        folder.chmod(0o755)


def test_a_rename_that_is_interrupted_leaves_the_old_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Path:
        raise KeyboardInterrupt

    store = _store(tmp_path, "aa")
    monkeypatch.setattr(Path, "replace", interrupted)
    for key in ("aa", "bb"):
        with pytest.raises(KeyboardInterrupt):
            store.put(key, _frames(7), FACTS)
    assert store.keys() == ["aa"]
    assert store.get("aa").shape == (3, 2)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_writer_that_is_killed_before_its_rename_leaves_nothing_to_be_read(
    tmp_path: Path,
) -> None:
    script = """
import os, signal, sys
from pathlib import Path
import numpy as np
from sercli.corpora.audio_stats import AudioFacts
from sercli.features.store import FeatureStore

Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
facts = AudioFacts(10.0, 16000, 1, 0.5, 0.0, "")
FeatureStore(Path(sys.argv[1])).put("aa", np.ones((10, 45)), facts)
"""
    store = _store(tmp_path)
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("*.tmp"))) == 1
    assert (store.keys(), store.find("aa")) == ([], None)
    store.put("aa", _frames(), FACTS)
    assert store.keys() == ["aa"]


_WRITE = """
import sys
from pathlib import Path
import numpy as np
from sercli.corpora.audio_stats import AudioFacts
from sercli.features.store import FeatureStore

facts = AudioFacts(0.05, 48000, 2, 0.7, 0.25, "ab")
store = FeatureStore(Path(sys.argv[1]), create=True)
print("ready", flush=True)
sys.stdin.readline()
for each in range(400):
    key = f"{each % 100:02x}"
    store.put(key, np.full((20 + each % 100, 4), each % 100, np.float32), facts)
    read = store.get(key)
    assert read.shape == (20 + each % 100, 4) and (read == each % 100).all()
"""


def test_two_processes_write_the_same_keys_at_once_and_never_read_a_part(tmp_path: Path) -> None:
    """As two nodes do on a network disk; this process reads meanwhile."""
    both = start_two(_WRITE, str(tmp_path), folder=tmp_path)
    store = FeatureStore(tmp_path)
    while any(process.poll() is None for process in both):
        assert not list(damaged_keys(store))
    assert [process.returncode for process in both] == [0, 0]
    for process in both:
        process.communicate()
    assert len(store) == 100
    assert not list(tmp_path.rglob("*.tmp"))


def test_moved_frames_are_in_the_other_store(tmp_path: Path) -> None:
    store, other = _store(tmp_path, "aa", "bb", "cc"), _store(tmp_path / "other")
    store.move(["bb", "absent"], other)
    assert (store.keys(), other.keys()) == (["aa", "cc"], ["bb"])
    assert other.get("bb").shape == (3, 2)


def _spoil(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def test_damaged_frames_are_told_from_sound_ones_and_never_returned(tmp_path: Path) -> None:
    store = _store(tmp_path, *(2 * letter for letter in "abcdefg"))
    store.put("nan", np.full((3, 2), np.nan), FACTS)
    store.put("empty", np.zeros((0, 2)), FACTS)
    whole = _file(store, "bb").read_bytes()
    _file(store, "bb").write_bytes(whole[:-1])
    _file(store, "cc").write_bytes(whole[:-1] + b"\xff")
    _file(store, "dd").write_bytes(whole[:100])
    _spoil(_file(store, "ee"), b"[3,2]", b"[2,3]")
    _spoil(_file(store, "ff"), b"48000", b"44100")
    _file(store, "gg").write_bytes(b"")
    expected = {
        "bb": f"truncated: {len(whole) - 1} of {len(whole)} bytes",
        "cc": "not what was written (the checksum differs)",
        "dd": "without a readable description",
        "ee": "not what was written (the checksum differs)",
        "ff": "not what was written (the checksum differs)",
        "gg": "without a readable description",
    }
    trainable = {"nan": "NaN or infinite in 3 of 3 frames", "empty": "of shape (0, 2)"}
    assert dict(damaged_keys(store)) == expected | trainable
    for key in expected:
        with pytest.raises(SercliError, match=r"is damaged.*--verify"):
            store.get(key)
    for cut_short in ("bb", "dd", "gg"):  # by a power cut, say: to be extracted again
        assert store.find(cut_short) is None


@given(st.binary(max_size=60), st.integers(0, 300))
def test_no_header_is_bad_enough_for_another_error(junk: bytes, place: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = _store(Path(folder), "aa")
        data = bytearray(_file(store, "aa").read_bytes())
        data[place : place + len(junk)] = junk
        _file(store, "aa").write_bytes(data)
        store.find("aa")
        store.damage("aa")


def test_the_marker_says_the_format(tmp_path: Path) -> None:
    assert json.loads((_store(tmp_path).folder / "store.json").read_text()) == {"format": 2}
