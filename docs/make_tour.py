"""Run the commands of README.md and docs/tour.md and write their output below them.

    .venv/bin/python docs/make_tour.py          (or: make tour)

A fenced block that begins with ``$ sercli`` holds one command, over several lines if they end in
a backslash; the rest of the block is replaced by its output. The commands of a page run in order
in an empty folder below ``.tour/``, in a terminal of `WIDTH` columns. A comment before a block
selects lines of a long output; ``…`` stands for those left out:

    <!-- tour: first 12 -->                         the first 12 lines
    <!-- tour: keep arelu|gru -->                   lines that match the regular expression
    <!-- tour: from ^Files -->                      all lines from the first match on
    <!-- tour: first 2; keep gru; from ^Files -->   lines that any of the three selects

Figures shown as ``docs/figures/NAME`` or ``figures/NAME`` are copied from there, too.
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
PAGES = (ROOT / "README.md", ROOT / "docs" / "tour.md")
WIDTH = 100

_BLOCK = re.compile(
    r"^(?:<!-- tour: (?P<selection>.+) -->\n)?"
    r"```\n\$ (?P<command>sercli(?:.*\\\n)*.*)\n(?P<output>(?:(?!```).*\n)*)```$",
    re.MULTILINE,
)
_SELECTION = re.compile(r"first (?P<first>\d+)|keep (?P<keep>.+)|from (?P<start>.+)")
_FIGURE = re.compile(r"\]\((?:docs/)?figures/([^)]+)\)")


@dataclass(frozen=True)
class Selection:
    """Lines of an output to keep; by default all.

    Attributes:
        first: Number of lines from the top.
        keep: Pattern of further lines.
        start: Pattern of the line from which all are kept.
    """

    first: int = 0
    keep: re.Pattern[str] | None = None
    start: re.Pattern[str] | None = None

    def __call__(self, lines: Sequence[str]) -> list[str]:
        """Return the selected lines, with … for the others."""
        if self == Selection():
            return list(lines)
        last = next((n for n, line in enumerate(lines) if _found(self.start, line)), len(lines))
        kept = [
            n < self.first or n >= last or _found(self.keep, line) for n, line in enumerate(lines)
        ]
        parts = groupby(zip(kept, lines, strict=True), key=lambda item: item[0])
        return [text for keep, part in parts for text in _shown(keep, [line for _, line in part])]


def read_selection(text: str | None) -> Selection:
    """Parse a comment; None: there is none.

    Raises:
        ValueError: It cannot be parsed.
    """
    said: dict[str, str] = {}
    for part in text.split("; ") if text else ():
        read = _SELECTION.fullmatch(part)
        if read is None:
            raise ValueError(f"'{part}' is none of 'first N', 'keep REGEX' and 'from REGEX'")
        said |= {name: value for name, value in read.groupdict().items() if value}
    patterns = {name: re.compile(said[name]) for name in ("keep", "start") if name in said}
    return Selection(int(said.get("first", 0)), **patterns)


def regenerate(text: str, run: Callable[[str], str]) -> str:
    """Return a text with the present output of its commands.

    Args:
        text: Markdown.
        run: Function that runs a command and returns its output.

    Raises:
        ValueError: A comment cannot be parsed; nothing was run.
    """
    for block in _BLOCK.finditer(text):
        read_selection(block["selection"])
    return _BLOCK.sub(lambda block: _with_output(block, run), text)


def figures(text: str) -> list[str]:
    """Return the file names of the figures in a text."""
    return list(dict.fromkeys(_FIGURE.findall(text)))


def run_in(folder: Path) -> Callable[[str], str]:
    """Return a function that runs a command in a folder and returns its notes and output."""
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    environment.pop("SERCLI_STORAGE", None)

    def run(command: str) -> str:
        sys.stderr.write(f"$ {command}\n")
        _, *arguments = shlex.split(command.replace("\\\n", " "))
        done = subprocess.run(  # noqa: S603 - commands of our own documentation
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
    """Regenerate the output in all pages of this repository."""
    for page in PAGES:
        folder = ROOT / ".tour" / page.stem
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        text = regenerate(page.read_text(encoding="utf-8"), run_in(folder))
        for name in figures(text):
            shutil.copyfile(folder / "figures" / name, ROOT / "docs" / "figures" / name)
        page.write_text(text, encoding="utf-8")


def _with_output(block: re.Match[str], run: Callable[[str], str]) -> str:
    printed = "\n".join(line.rstrip() for line in run(block["command"]).splitlines())
    lines = re.sub(r"\n{3,}", "\n\n", printed).strip("\n").splitlines()
    before = block[0][: block.start("output") - block.start()]
    return (
        before + "".join(f"{line}\n" for line in read_selection(block["selection"])(lines)) + "```"
    )


def _shown(kept: bool, lines: list[str]) -> list[str]:
    """Return kept lines, or … for left-out ones; an empty line at either end stays."""
    said = [line for line in lines if line]
    if kept or not said:
        return lines
    mark = said[0][: len(said[0]) - len(said[0].lstrip())] + "…"
    return [*[""] * (not lines[0]), mark, *[""] * (not lines[-1])]


def _found(what: re.Pattern[str] | None, line: str) -> bool:
    return what is not None and what.search(line) is not None


if __name__ == "__main__":
    main()
