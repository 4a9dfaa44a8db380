"""Completion of a command line: proposals for arguments and options, without Typer if possible.

Typer takes half a second to import, Hydra a whole one. Overrides, names and values of options,
which people complete most, are answered here (`answer`), everything else by Typer.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sercli.config.completion import complete, complete_settings, key_cut_off
from sercli.config.sources import own_runs_folder, plan_files

Propose = Callable[[str], list[str]]


def overrides(incomplete: str) -> list[str]:
    """Return the overrides that start with ``incomplete``; only values where bash cut at ``=``."""
    return complete(incomplete, key_cut_off(os.environ))


def experiments(incomplete: str) -> list[str]:
    """Return the experiments in the runs folder that start with ``incomplete``."""
    return [name for name in _folders(runs_folder()) if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Return the experiments, and once one is typed its runs, as EXPERIMENT/KEY."""
    name, given, _ = incomplete.partition("/")
    if not given:
        return experiments(incomplete)
    folder = runs_folder() / name
    keys = [key for key in _folders(folder) if (folder / key / "run.json").is_file()]
    return [run for key in keys if (run := f"{name}/{key}").startswith(incomplete)]


def plans(incomplete: str) -> list[str]:
    """Return the plans that start with ``incomplete``."""
    return sorted(name for name in plan_files() if name.startswith(incomplete))


def one_of(*values: str) -> Propose:
    """Return a function that proposes from a fixed list of values."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def runs_folder() -> Path:
    """Return the runs folder: that of ``--runs``, of the user's own defaults, or ``runs``."""
    line = _completed_words(os.environ)
    for position, word in enumerate(line[:-1]):
        if word == "--runs":
            return Path(line[position + 1]).expanduser()
        if word.startswith("--runs="):
            return Path(word.removeprefix("--runs=")).expanduser()
    return own_runs_folder()


def safely(propose: Propose) -> Propose:
    """Return a function that proposes as ``propose``, and nothing if it raises."""

    def proposals(incomplete: str) -> list[str]:
        with suppress(Exception):  # a broken folder or file must not print into a command line
            return propose(incomplete)
        return []

    return proposals


OVERRIDES, SETTINGS = safely(overrides), safely(complete_settings)
EXPERIMENTS, RUNS, PLANS = safely(experiments), safely(runs), safely(plans)
SAMPLERS = one_of("grid", "random", "qmc", "tpe", "gp", "cmaes")
PRUNERS = one_of("wilcoxon", "median", "halving", "none")
OBJECTIVES = one_of("dev_ua", "parameters", "seconds")

POSITIONAL: dict[str, Propose] = {
    **dict.fromkeys(("extract", "train", "sweep", "config show", "bench extract"), OVERRIDES),
    **dict.fromkeys(("status", "stop", "runs delete", "runs rename"), EXPERIMENTS),
    **dict.fromkeys(("report", "fuse", "verify", "attend", "config diff"), RUNS),
    "config explain": SETTINGS,
}
"""Verb → proposals for its arguments, where all are of one kind."""

OF_OPTION: dict[str, Propose] = {
    "sweep --plan": PLANS,
    "sweep --sampler": SAMPLERS,
    "sweep --prune": PRUNERS,
    "sweep --objective": OBJECTIVES,
    "report --against": RUNS,
}
"""Verb and option → proposals for the value of the option."""

_FLAGS = ("-q", "--quiet", "--debug", "--force", "--strict", "--allow-refused", "--comparison")


def answer(environment: Mapping[str, str]) -> str | None:
    """Return the answer to a shell that completes a word; None where Typer must answer.

    Args:
        environment: The variables that the scripts of ``--install-completion`` set.
    """
    shell = environment.get("_SERCLI_COMPLETE", "").removeprefix("complete_")
    if shell not in _FORMATS:
        return None
    try:
        words = _completed_words(environment)
    except ValueError:  # an open quote
        return None
    propose = _kind(words)
    typed = "" if words[-1] == "=" else words[-1]  # bash cuts --plan=x and key=x at =
    if shell == "bash":
        typed = re.sub(r"\\(.)", r"\1", typed)
    return None if propose is None else _FORMATS[shell](propose(typed), environment)


def _kind(words: Sequence[str]) -> Propose | None:
    """Return the proposals for the last of the words."""
    *before, incomplete = words[1:] or [""]
    number = 2 if before[:1] in (["config"], ["bench"], ["runs"]) else 1
    if len(before) < number or incomplete.startswith("-"):
        return None
    verb, last = " ".join(before[:number]), before[-2 if before[-1] == "=" else -1]
    if last.startswith("-") and last not in _FLAGS:
        return OF_OPTION.get(f"{verb} {last}")
    return None if "--config-dir" in before else POSITIONAL.get(verb)


def _completed_words(environment: Mapping[str, str]) -> list[str]:
    """Return the words up to the one being completed, which may be empty."""
    if "COMP_WORDS" in environment:
        words = environment["COMP_WORDS"].split("\n")
        return [*words, ""][: int(environment.get("COMP_CWORD", "0")) + 1]
    line = environment.get("_TYPER_COMPLETE_ARGS", "")
    return shlex.split(line) + ([""] if not line or line.endswith(" ") else [])


def _bash(found: Sequence[str], environment: Mapping[str, str]) -> str:
    return "\n".join(re.sub(r"([\s()'\"&;|<>$`\\*?#])", r"\\\1", each) for each in found)


def _zsh(found: Sequence[str], environment: Mapping[str, str]) -> str:
    if not found:
        return "_files"
    escapes = str.maketrans({'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"})
    lines = "\n".join(f'"{each.translate(escapes)}"' for each in found)
    return f"_arguments '*: :(({lines}))'"


def _fish(found: Sequence[str], environment: Mapping[str, str]) -> str:
    if environment.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        raise SystemExit(0 if found else 1)
    return "\n".join(found)


_FORMATS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _folders(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield path.name
