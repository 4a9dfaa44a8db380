from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sercli.files import folder_written_whole, write_atomically, write_text


class Stopped(BaseException):
    """Stands for Ctrl-C."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def kill_at_work(code: str, folder: Path) -> None:
    """Run ``code`` in a process of its own, and kill it where it says that it waits."""
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL


HALF_A_FILE = """
import sys, time
from pathlib import Path
from sercli.files import write_atomically

def write(path):
    path.write_text("hal")
    print("waiting", flush=True)
    time.sleep(60)

write_atomically(Path(sys.argv[1]) / "target", write)
"""

HALF_A_FOLDER = """
import sys, time
from pathlib import Path
from sercli.files import folder_written_whole

with folder_written_whole(Path(sys.argv[1]) / "target") as folder:
    (folder / "first").write_text("1")
    print("waiting", flush=True)
    time.sleep(60)
"""


def test_a_file_is_written_in_utf_8_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "α – β\n")
    assert path.read_bytes() == "α – β\n".encode()
    assert names(path.parent) == ["file.txt"]


def test_a_new_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old and long")
    write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("problem", [OSError("disk full"), Stopped()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, problem: BaseException
) -> None:
    def write_half(path: Path) -> None:
        path.write_text("hal", encoding="utf-8")
        raise problem

    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(type(problem)):
        write_atomically(path, write_half)
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["file"]


def test_a_half_written_file_is_never_visible(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen = []

    def write(temporary: Path) -> None:
        temporary.write_text("hal", encoding="utf-8")
        seen.append(path.exists())
        temporary.write_text("half", encoding="utf-8")

    write_atomically(path, write)
    assert seen == [False]
    assert path.read_text(encoding="utf-8") == "half"


def test_of_two_writers_at_once_one_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    both_at_work = threading.Barrier(2)

    def write(text: str) -> None:
        def slowly(temporary: Path) -> None:
            temporary.write_text(text, encoding="utf-8")
            both_at_work.wait(timeout=30)

        write_atomically(path, slowly)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, ["a" * 1000, "b" * 1000]))
    assert path.read_text(encoding="utf-8") in ("a" * 1000, "b" * 1000)
    assert names(tmp_path) == ["file"]


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "target", "old")
    kill_at_work(HALF_A_FILE, tmp_path)
    assert (tmp_path / "target").read_text(encoding="utf-8") == "old"


def test_a_killed_process_leaves_no_new_file(tmp_path: Path) -> None:
    kill_at_work(HALF_A_FILE, tmp_path)
    assert not (tmp_path / "target").exists()


def test_a_folder_appears_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "folder"
    with folder_written_whole(path) as folder:
        (folder / "first").write_text("1", encoding="utf-8")
        assert not path.exists()
        (folder / "second").write_text("2", encoding="utf-8")
    assert names(path) == ["first", "second"]
    assert names(path.parent) == ["folder"]


@pytest.mark.parametrize("problem", [ValueError("no"), Stopped()])
def test_a_folder_whose_block_fails_never_appears(tmp_path: Path, problem: BaseException) -> None:
    def write_one_file_and_fail() -> None:
        with folder_written_whole(tmp_path / "folder") as folder:
            (folder / "first").write_text("1", encoding="utf-8")
            raise problem

    with pytest.raises(type(problem)):
        write_one_file_and_fail()
    assert names(tmp_path) == []


def test_a_folder_that_holds_files_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="not empty"), folder_written_whole(path) as folder:
        (folder / "new").write_text("new", encoding="utf-8")
    assert names(path) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_a_killed_process_leaves_no_folder_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "target"
    kill_at_work(HALF_A_FOLDER, tmp_path)
    assert not path.exists()
    with folder_written_whole(path) as folder:
        (folder / "whole").write_text("1", encoding="utf-8")
    assert names(path) == ["whole"]
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("name", ["target", "?", "[a-z]*"])
def test_cleaning_up_spares_what_others_are_writing(tmp_path: Path, name: str) -> None:
    theirs, ours = tmp_path / "target.other", tmp_path / name
    with folder_written_whole(theirs) as others, folder_written_whole(ours):
        assert others.is_dir()
