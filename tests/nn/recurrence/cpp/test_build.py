"""The compiler and the cache of compiled kernels, on machines that lack one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sercli.nn.recurrence.cpp.build import NoKernelError, cache_folder, library


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'x.cpp:1:2: error: no such type' >&2; exit 1", "error: no such type"),
        ("echo 'c++: fatal error: Killed' >&2; exit 4", "fatal error: Killed"),
        ("echo 'ld: cannot find -lgomp' >&2; exit 1", "cannot find -lgomp"),
        ("echo 'licence has expired'; exit 1", "licence has expired"),
        ("printf '\\377 Fehler' >&2; exit 1", "Fehler"),
        ("exit 3", "exit status 3 without a message"),
        ("kill -9 $$", "killed (SIGKILL; out of memory?)"),
    ],
)
def test_a_compiler_that_fails_is_quoted(
    cache: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    compiler = cache / "compiler"
    compiler.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(NoKernelError, match=r"compiler failed: ") as error:
        library("test", f"// {script}")
    assert reason in str(error.value)
    assert error.value.worth_saying
    assert not list(cache.rglob("*.so"))


def test_the_cache_is_in_the_home_that_there_is(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == cache / "cache" / "sercli" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(cache))
    assert cache_folder() == cache / ".cache" / "sercli" / "kernels"


def test_without_a_home_the_cache_is_private(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", homeless)
    private = cache / f"sercli-{os.getuid()}"
    assert cache_folder() == private
    assert private.stat().st_mode & 0o777 == 0o700
    private.chmod(0o777)  # others could put code there
    with pytest.raises(NoKernelError, match="can be written by others; set XDG_CACHE_HOME"):
        library("test", "// nowhere to keep it")


def test_a_cache_that_cannot_be_made_is_no_reason_to_run_slowly(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))
    assert cache_folder() == cache / f"sercli-{os.getuid()}"
