"""Runs the commands of the README and puts below each of them what it prints now.

    .venv/bin/python docs/make_tour.py          (or: make tour)

A fenced block that begins with ``$ sercli`` holds one command, over several lines if they end in a
backslash; all else in the block is replaced. The commands run in the order of the file in one empty
folder, ``.tour/``, as in a terminal of `WIDTH` columns. A comment right before a block says which
lines to keep of a long output; ``…`` stands where others were left out:

    <!-- tour: first 12 -->                         the first 12 lines
    <!-- tour: keep arelu|gru -->                   those in which the regular expression is found
    <!-- tour: from ^Files -->                      all from the first of these on
    <!-- tour: first 2; keep gru; from ^Files -->   what any of the three keeps

Figures that the README shows as ``docs/figures/NAME`` are taken from ``.tour/figures/NAME``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100

_BLOCK = re.compile(
    r"^(?:<!-- tour: (?P<wish>.+) -->\n)?"
    r"```\n\$ (?P<command>sercli(?:.*\\\n)*.*)\n(?P<output>(?:(?!```).*\n)*)```$",
    re.MULTILINE,
)
_WISH = re.compile(r"first (?P<first>\d+)|keep (?P<keep>.+)|from (?P<start>.+)")
_FIGURE = re.compile(r"\]\(docs/figures/([^)]+)\)")


@dataclass(frozen=True)
class Wish:
    """Which lines of an output are kept; without any wish all of them.

    Attributes:
        first: How many of the first ones.
        keep: What is found in others.
        start: What is found in the first of the last ones.
    """

    first: int = 0
    keep: re.Pattern[str] | None = None
    start: re.Pattern[str] | None = None

    def __call__(self, lines: Sequence[str]) -> list[str]:
        """Shorten an output."""
        if self == Wish():
            return list(lines)
        last = next((n for n, line in enumerate(lines) if _found(self.start, line)), len(lines))
        kept = [
            n < self.first or n >= last or _found(self.keep, line) for n, line in enumerate(lines)
        ]
        parts = groupby(zip(kept, lines, strict=True), key=lambda item: item[0])
        return [text for keep, part in parts for text in _shown(keep, [line for _, line in part])]


def read_wish(text: str | None) -> Wish:
    """Read what a comment says; None: there is none.

    Raises:
        ValueError: It is not of the form.
    """
    said: dict[str, str] = {}
    for part in text.split("; ") if text else ():
        read = _WISH.fullmatch(part)
        if read is None:
            raise ValueError(f"'{part}' is none of 'first N', 'keep REGEX' and 'from REGEX'")
        said |= {name: value for name, value in read.groupdict().items() if value}
    patterns = {name: re.compile(said[name]) for name in ("keep", "start") if name in said}
    return Wish(int(said.get("first", 0)), **patterns)


def retell(text: str, run: Callable[[str], str]) -> str:
    """Return a text with what its commands print now.

    Args:
        text: Markdown.
        run: Runs a command and returns what it prints.

    Raises:
        ValueError: A comment is not of the form. Nothing was run.
    """
    for block in _BLOCK.finditer(text):
        read_wish(block["wish"])
    return _BLOCK.sub(lambda block: _retold(block, run), text)


def figures(text: str) -> list[str]:
    """Name the files of the figures that a text shows."""
    return list(dict.fromkeys(_FIGURE.findall(text)))


def run_in(folder: Path) -> Callable[[str], str]:
    """Return what runs a command of sercli in a folder, its notes and its output together."""
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    environment.pop("SERCLI_STORAGE", None)

    def run(command: str) -> str:
        sys.stderr.write(f"$ {command}\n")
        _, *arguments = shlex.split(command.replace("\\\n", " "))
        done = subprocess.run(  # noqa: S603 - what the README tells everyone to type
            [sys.executable, "-m", "sercli", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{done.stdout}\n$ {command}\nended with status {done.returncode}")
        return done.stdout

    return run


def main() -> None:
    """Run the tour of this repository's README."""
    readme, folder = ROOT / "README.md", ROOT / ".tour"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    text = retell(readme.read_text(encoding="utf-8"), run_in(folder))
    for name in figures(text):
        shutil.copyfile(folder / "figures" / name, ROOT / "docs" / "figures" / name)
    readme.write_text(text, encoding="utf-8")


def _retold(block: re.Match[str], run: Callable[[str], str]) -> str:
    printed = "\n".join(line.rstrip() for line in run(block["command"]).splitlines())
    lines = re.sub(r"\n{3,}", "\n\n", printed).strip("\n").splitlines()
    before = block[0][: block.start("output") - block.start()]
    return before + "".join(f"{line}\n" for line in read_wish(block["wish"])(lines)) + "```"


def _shown(kept: bool, lines: list[str]) -> list[str]:
    """Lines that are kept, or one for all that are not; an empty one at either end stays."""
    said = [line for line in lines if line]
    if kept or not said:
        return lines
    mark = said[0][: len(said[0]) - len(said[0].lstrip())] + "…"
    return [*[""] * (not lines[0]), mark, *[""] * (not lines[-1])]


def _found(what: re.Pattern[str] | None, line: str) -> bool:
    return what is not None and what.search(line) is not None


if __name__ == "__main__":
    main()
