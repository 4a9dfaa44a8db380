"""Compile a C++ library on first use and cache it.

A library's name ends in a hash of its sources, of the compiler's flags and of torch's version, so
that a cache on a shared disk serves different processors and versions. Only one process compiles;
a killed one leaves neither a lock nor half a library behind.

Headers and libraries are torch's (`torch.utils.cpp_extension`), the loader is not: that needs
ninja, and when it is killed while it compiles, its lock file blocks all later processes.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock

from sercli.files import write_atomically

KERNEL = Path(__file__).parent / "kernel"

_CAPABILITIES = {
    "AVX512": ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mf16c"),
    "AVX2": ("-mavx2", "-mfma", "-mf16c"),
}
"""The flags with which torch itself is compiled for these instructions."""


class NoKernelError(Exception):
    """There is no fused kernel for a cell, an activation or a machine.

    Args:
        message: The reason, part of a sentence.
        worth_saying: True if the user can do something about it.
    """

    def __init__(self, message: str, *, worth_saying: bool = False) -> None:
        super().__init__(message)
        self.worth_saying = worth_saying

    def again(self) -> NoKernelError:
        """Return the same error without its traceback."""
        return NoKernelError(str(self), worth_saying=self.worth_saying)


def library(name: str, source: str) -> ctypes.CDLL:
    """Load a library, compiled on first use. A failure is remembered.

    Args:
        name: The beginning of its file name in the cache.
        source: C++; it may include the headers in ``kernel/``.

    Raises:
        NoKernelError: There is no compiler, it fails, or the cache cannot be written.
    """
    loaded = _load(name, source)
    if isinstance(loaded, NoKernelError):
        raise loaded.again()
    return loaded


@cache
def _load(name: str, source: str) -> ctypes.CDLL | NoKernelError:
    try:
        return _load_or_compile(cache_folder() / f"{name}-{_digest(source)}.so", source)
    except NoKernelError as error:
        return error
    except OSError as error:
        return no_cache(error)


def _load_or_compile(path: Path, source: str) -> ctypes.CDLL:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                write_atomically(path, lambda temporary: _compile(source, temporary))
    return ctypes.CDLL(str(path))


def cache_folder() -> Path:
    """Return the folder of compiled libraries: ``sercli/kernels`` in the user's cache.

    Without a home that can be written, as in containers, it is a folder for temporary files that
    no other user can write, since its libraries are executed.

    Raises:
        OSError: There is no folder that can be written.
    """
    with suppress(OSError, RuntimeError):  # RuntimeError: neither HOME nor a name of the user
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "sercli" / "kernels"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return _private_folder()


def _private_folder() -> Path:
    folder = Path(tempfile.gettempdir(), f"sercli-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} can be written by others")
    return folder


def no_cache(error: OSError) -> NoKernelError:
    """Return the error that compiled code cannot be kept."""
    return NoKernelError(
        f"the cache of compiled kernels: {error}; set XDG_CACHE_HOME to a folder that can be "
        "written",
        worth_saying=True,
    )


@cache
def capability() -> str:
    """Return the name of the vector instructions of the kernels ("AVX512")."""
    return str(torch.backends.cpu.get_cpu_capability())


@cache
def _flags() -> tuple[str, ...]:
    name = capability()
    chosen = name if name in _CAPABILITIES else "DEFAULT"
    vector = [*_CAPABILITIES.get(chosen, ()), f"-DCPU_CAPABILITY={chosen}"]
    if chosen != "DEFAULT":
        vector.append(f"-DCPU_CAPABILITY_{chosen}")
    if chosen == "AVX512" and torch.cpu._is_avx512_bf16_supported():
        vector.append("-mavx512bf16")
    openmp = ["-fopenmp"] if platform.system() == "Linux" else []
    return ("-O3", "-std=c++20", "-fPIC", "-shared", *openmp, *vector)


def _digest(source: str) -> str:
    headers = [path.read_bytes() for path in sorted(KERNEL.glob("*.h"))]
    text = "\n".join([source, torch.__version__, platform.machine(), *_flags()])
    return hashlib.sha256(b"\n".join([text.encode(), *headers])).hexdigest()[:16]


def _compile(source: str, target: Path) -> None:
    from torch.utils.cpp_extension import include_paths, library_paths

    compiler = shlex.split(os.environ.get("CXX", "")) or ["c++"]
    if shutil.which(compiler[0]) is None:
        raise NoKernelError(
            f"no C++ compiler '{compiler[0]}': install one, or set CXX", worth_saying=True
        )
    command = [
        *compiler,
        *_flags(),
        f"-I{KERNEL}",
        *(f"-isystem{path}" for path in include_paths()),
        *("-x", "c++", "-", "-o", str(target)),
        *(f"-L{path}" for path in library_paths()),
        *("-ltorch_cpu", "-lc10"),
    ]
    done = subprocess.run(  # noqa: S603
        command,
        input=source.encode(),
        capture_output=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},  # `_reason` looks for "error"
    )
    if done.returncode:
        reason = _reason(
            done.returncode, (done.stderr + b"\n" + done.stdout).decode(errors="replace")
        )
        raise NoKernelError(f"{compiler[0]} failed: {reason}", worth_saying=True)


def _reason(status: int, output: str) -> str:
    """Return the reason why a compiler failed: its first error message, else its exit status."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")
    if status < 0:
        name = signal.Signals(-status).name if -status in list(signal.Signals) else str(-status)
        killed = f"killed ({name}; out of memory?)"
        return f"{killed}: {said}" if said else killed
    return said or f"exit status {status} without a message"
