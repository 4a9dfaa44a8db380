r"""Read an openSMILE configuration as one text, and check that it only computes features.

A configuration includes others, which openSMILE looks up in several places, the current folder
among them. Here all includes are expanded first: the text that is hashed is the text that runs,
independently of the current folder, and openSMILE opens no path of the user.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from sercli.errors import RequestError

SOURCE = r"\{\cm[source]}"
SINK = r"\{\cm[sink]}"
"""The lines of the text where samples come in and features go out."""

_ENCODING = "latin-1"
"""Preserves every byte; openSMILE itself reads bytes."""

_INCLUDE = re.compile(r"\\\{(?P<path>[^\\].*)\}")
_OPTION = re.compile(
    r"\\\{\\cm\[(?P<name>\w+)(?:\(\w\))?(?:\{(?P<default>[^}]*)\})?(?::[^\]]*)?\]\}"
)
_COMMENT = re.compile(r"\s*(?:;|#|%|//)")
_END = re.compile(r"\bc\w*(?:Source|Sink)\w*")
_OTHER_FILE = re.compile(r"(?P<key>[^=]*(?:[Ff]ile|posDbgOutp)[^=]*?)\s*=")
_TYPE_BY_OPTION = re.compile(r"[^=]*\.type\s*=.*\\cm\[")
_WRITER = re.compile(r"\s*(?:\w+\.)*writer\.dmLevel\s*=\s*(?P<level>[^\s/]+)")


def packaged_configuration(name: str) -> Path:
    """Return the path of a configuration of the opensmile package.

    The package is found without importing it, which takes 0.3 s.
    """
    package = importlib.util.find_spec("opensmile")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "core" / "config" / name


def read_text(path: Path) -> str:
    """Read one file of a configuration.

    Raises:
        RequestError: It cannot be read, or is not text.
    """
    try:
        text = path.read_bytes().decode(_ENCODING)
    except OSError as error:
        raise RequestError(
            f"the openSMILE configuration {path} cannot be read: {error.strerror}"
        ) from None
    if "\0" in text:
        raise RequestError(f"{path} is no openSMILE configuration: it holds bytes that are no text")
    return text


def write_text(path: Path, text: str) -> None:
    """Write a configuration, byte for byte as it was read."""
    path.write_bytes(text.encode(_ENCODING))


def read_configuration(path: Path) -> str:
    """Read a configuration and all that it includes.

    Relative includes are looked up beside ``path``, then beside the file that includes them.
    Options in includes have the values that the opensmile package sets, else their defaults.
    Comments of several lines become empty lines.

    Raises:
        RequestError: A file cannot be read, includes itself or does not leave source and sink
            open; or a component could write a file, or read one that is not hashed.
    """
    lines = list(_lines(path, _Includes(path), ()))
    for needed in (SOURCE, SINK):
        if lines.count(needed) != 1:
            raise RequestError(
                f"{path} must leave its source and sink open, as the opensmile package wants it: "
                f"one line {needed} where the samples come in or the features go out"
            )
    return "\n".join(lines)


def written_levels(text: str) -> set[str]:
    """Return the data memory levels that a configuration writes."""
    lines = (line for line in text.split("\n") if not _COMMENT.match(line))
    return {found["level"] for line in lines if (found := _WRITER.match(line))}


class _Includes:
    """The lookup of included files."""

    def __init__(self, main: Path) -> None:
        self._main = main
        shared = packaged_configuration("shared")
        self._options = {  # what opensmile.Smile sets for every configuration
            "bufferModeRbConf": str(shared / "BufferModeRb.conf.inc"),
            "frameModeFunctionalsConf": str(shared / "FrameModeFunctionals.conf.inc"),
        }

    def find(self, line: str, where: Path) -> Path | None:
        """Return the file that ``line`` of the file ``where`` includes; None if there is none."""
        if option := _OPTION.fullmatch(line):
            # As in openSMILE: the first default holds for the whole configuration.
            name = self._options.setdefault(option["name"], option["default"] or "")
        elif include := _INCLUDE.fullmatch(line):
            name = include["path"]
        elif line.startswith("\\{"):
            raise RequestError(f"{where}: the include '{line}' cannot be understood")
        else:
            return None
        for folder in (self._main.parent, where.parent):
            if (folder / name).is_file():
                return (folder / name).resolve()
        raise RequestError(f"{where} includes '{name}', which does not exist: '{line}'")


def _lines(path: Path, includes: _Includes, above: tuple[Path, ...]) -> Iterator[str]:
    if path in above:
        raise RequestError(f"{above[-1]} includes {path}, which is being read already: a loop")
    comment = False
    for number, raw in enumerate(read_text(path).split("\n"), start=1):
        line = raw.removesuffix("\r").lstrip(" \t")
        comment = comment or line.startswith("/*")
        if comment:
            comment = not (line.startswith("*/") or line.endswith("*/"))
            yield ""
        elif open_end := _open_end(line):
            yield open_end
        elif included := includes.find(line, path):
            yield from _lines(included, includes, (*above, path))
        else:
            _check(line, f"{path}, line {number}")
            yield line


def _open_end(line: str) -> str | None:
    option = _OPTION.fullmatch(line)
    return {"source": SOURCE, "sink": SINK}.get(option["name"]) if option else None


def _check(line: str, where: str) -> None:
    if _COMMENT.match(line):
        return
    if end := _END.search(line):
        raise RequestError(
            f"{where}: {end[0]} may not be in it: sercli brings the samples and takes the "
            f"features; put {SOURCE} or {SINK} in its place"
        )
    if other := _OTHER_FILE.match(line):
        raise RequestError(
            f"{where}: '{other['key'].strip()}' names another file; features must depend on the "
            "audio and the configuration alone, and nothing may be written"
        )
    if _TYPE_BY_OPTION.match(line):
        raise RequestError(f"{where}: the type of a component must be written out: '{line}'")
