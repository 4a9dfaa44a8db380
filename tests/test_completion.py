"""Completion of a command line: names, values, and shells."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from sercli import completion
from sercli.cli import app
from sercli.completion import _FLAGS, OF_OPTION, POSITIONAL, answer
from sercli.search.plan.plan import GRID, OBJECTIVES
from sercli.search.samplers import SAMPLERS
from sercli.search.samplers.pruners import PRUNERS


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two experiments, one run, and other files and folders."""
    for path in ("runs/alpha/abc", "runs/alpha/.abd.partial", "runs/beta", "runs/.cache", "mine/x"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "runs/alpha/abc/run.json").touch()
    (tmp_path / "runs/file").touch()
    monkeypatch.chdir(tmp_path)


def proposed(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str] | None:
    """Return the proposals for a line, as bash receives them."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv("_SERCLI_COMPLETE", "complete_bash")
    text = answer(os.environ)
    return None if text is None else text.split("\n") if text else []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sercli report ", ["alpha", "beta"]),
        ("sercli report alpha be", ["beta"]),
        ("sercli verify -q al", ["alpha"]),
        ("sercli attend alpha/", ["alpha/abc"]),
        ("sercli config diff alpha/abc alpha/a", ["alpha/abc"]),
        ("sercli report --against al", ["alpha"]),
        ("sercli status ", ["alpha", "beta"]),
        ("sercli report --runs mine ", ["x"]),
        ("sercli report nowhere/", []),
        ("sercli report --runs nowhere ", []),
        ("sercli sweep --plan alpha", ["alpha_beta_grid", "alpha_beta_tpe"]),
        ("sercli sweep --sampler t", ["tpe"]),
        ("sercli sweep --sampler = t", ["tpe"]),
        ("sercli sweep --sampler =", ["grid", "random", "qmc", "tpe", "gp", "cmaes"]),
        (
            "sercli train optim =",
            ["adam", "adam_iaan", "adam_iaan_small", "adamw", "rmsprop", "sgd"],
        ),
        ("sercli sweep activation=tanh --prune m", ["median"]),
        ("sercli sweep --objective dev", ["dev_ua"]),
        ("sercli train device=", ["device=auto", "device=cpu", "device=cuda"]),
        ("sercli train device = ", ["auto", "cpu", "cuda"]),
        ("sercli train trainer.class_weights = b", ["balanced"]),
        ("sercli train arelu.learn=", ["arelu.learn=true", "arelu.learn=false"]),
        ("sercli sweep --quiet schedule=c", ["schedule=cosine"]),
        ("sercli bench extract dataset=nem", ["dataset=nemo"]),
        ("sercli config explain optim.l", ["optim.lr"]),
    ],
)
def test_names_and_values_are_proposed(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proposed(line, monkeypatch) == expected


@pytest.mark.parametrize(
    "line", ["sercli ", "sercli tr", "sercli config ", "sercli train --wor",
             "sercli train --workers ", "sercli extract --prune ", "sercli worker a dev"]
)  # fmt: skip
def test_verbs_options_and_what_is_not_known_are_left_to_typer(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proposed(line, monkeypatch) is None


def test_bash_is_given_names_that_it_reads_as_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runs/two words (v2)").mkdir()
    monkeypatch.setenv("COMP_WORDS", "sercli\nreport\ntwo\\ w")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("_SERCLI_COMPLETE", "complete_bash")
    assert answer(os.environ) == r"two\ words\ \(v2\)"


def test_runs_are_in_the_folder_of_ones_own_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("sercli.yaml").write_text("paths.runs: mine\n", encoding="utf-8")
    assert proposed("sercli report ", monkeypatch) == ["x"]


@pytest.mark.parametrize("text", ["a: [", "- x", "device: {a: 1}", "optim: nothing"])
def test_a_broken_file_or_folder_never_raises(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sercli.yaml").write_text(text, encoding="utf-8")
    for line in ("sercli report ", "sercli train optim=", "sercli config explain "):
        assert proposed(line, monkeypatch) is not None
    open_quote = {"_SERCLI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "sercli train 'op"}
    assert answer(open_quote) is None


def test_the_tables_agree_with_the_commands() -> None:
    root = typer.main.get_command(app)
    commands = dict(root.commands)  # type: ignore[attr-defined]
    for group in ("config", "bench", "runs"):
        inner = commands.pop(group).commands
        commands |= {f"{group} {name}": command for name, command in inner.items()}
    assert set(POSITIONAL) <= set(commands)
    for verb, command in commands.items():
        options = {name: option for option in command.params for name in option.opts}
        assert all(getattr(options[name], "is_flag", True) for name in _FLAGS if name in options)
        expected = {each.split()[-1] for each in OF_OPTION if each.rpartition(" ")[0] == verb}
        assert expected <= options.keys()
    assert set(completion.SAMPLERS("")) == {GRID, *SAMPLERS}
    assert set(completion.PRUNERS("")) == {"none", *PRUNERS}
    assert set(completion.OBJECTIVES("")) == set(OBJECTIVES)


def test_zsh_and_fish_are_answered_in_their_manner(monkeypatch: pytest.MonkeyPatch) -> None:
    line = {"_TYPER_COMPLETE_ARGS": "sercli report al"}
    assert answer({"_SERCLI_COMPLETE": "complete_zsh", **line}) == "_arguments '*: :((\"alpha\"))'"
    assert answer({"_SERCLI_COMPLETE": "complete_fish", **line}) == "alpha"
    nothing = {"_TYPER_COMPLETE_ARGS": "sercli report x", "_SERCLI_COMPLETE": "complete_zsh"}
    assert answer(nothing) == "_files"
    is_args = {"_SERCLI_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    with pytest.raises(SystemExit) as end:
        answer({**is_args, **line})
    assert end.value.code == 0
    assert answer({"_SERCLI_COMPLETE": "source_bash"}) is None


def test_neither_hydra_nor_typer_nor_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from sercli.completion import answer; import os; print(answer(os.environ)); "
        "print({'hydra', 'typer', 'torch', 'pandas', 'pydantic'} & set(sys.modules))"
    )
    line = {"_SERCLI_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "sercli train optim=s"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **line}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "optim=sgd\nset()\n"
