from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sercli.config.completion import complete, key_cut_off
from sercli.config.compose import compose, default_settings, names_of_choices
from sercli.config.outline import outline_choices, outline_settings
from sercli.config.settings import GROUPS

COMMAND = Path(sys.executable).with_name("sercli")
INSTALLED = pytest.mark.skipif(not COMMAND.exists(), reason="sercli is not installed here")
BASH = shutil.which("bash")


def run(*command: str, **variables: str) -> list[str]:
    """What a process prints on standard output, line by line."""
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("dataset=ne", ["dataset=nemo"]),
        ("model=md", ["model=mdnn", "model=mdnn_small"]),
        ("arelu.alpha_mi", ["arelu.alpha_min=0.01"]),
        ("trainer.pat", ["trainer.patience=5"]),
        ("arelu.learn", ["arelu.learn=true"]),
        ("seeds", ["seeds=[0]"]),
        ("nothing", []),
    ],
)
def test_a_group_is_proposed_with_its_choices_and_a_key_with_its_default(
    typed: str, expected: list[str]
) -> None:
    assert complete(typed) == expected


def test_choices_stand_before_the_keys_of_the_chosen_one() -> None:
    found = complete("optim")
    assert found[:4] == ["optim=adam", "optim=adam_iaan", "optim=adam_iaan_small", "optim=adamw"]
    assert all(each.startswith("optim.") for each in found[6:])
    assert "optim.name=adam" in found


def test_every_key_is_proposed_and_its_proposal_changes_nothing() -> None:
    proposals = [text for text in complete("") if text.partition("=")[0] not in GROUPS]
    assert {"dataset.options.seed=0", "model.hidden=32", "device=auto"} < set(proposals)
    assert compose(proposals) == compose([])


def test_the_outline_agrees_with_what_hydra_composes() -> None:
    assert outline_settings().keys() == default_settings().keys()
    assert {group: outline_choices(group) for group in GROUPS} == {
        group: list(names_of_choices(group)) for group in GROUPS
    }


@pytest.mark.parametrize(
    ("typed", "key", "expected"),
    [
        ("ne", "dataset", ["nemo"]),
        ("md", "model", ["mdnn", "mdnn_small"]),
        ("0", "arelu.alpha", ["0.01"]),
        ("x", "model", []),
    ],
)
def test_after_a_key_that_the_shell_has_cut_off_only_values_are_proposed(
    typed: str, key: str, expected: list[str]
) -> None:
    assert complete(typed, key) == expected


@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [
        (["sercli", "train", "dataset", "=", "ne"], 4, "dataset"),
        (["sercli", "train", "dataset", "="], 3, "dataset"),
        (["sercli", "train", "a", "=", "1", "dataset", "=", ""], 7, "dataset"),
        (["sercli", "train", "dataset", "=", "ne", "model", "=", "x"], 4, "dataset"),
        (["sercli", "train", "dataset", "=", "nemo", ""], 5, None),
        (["sercli", "train", "dataset=ne"], 2, None),
        (["sercli", "train", "="], 2, "train"),
        (["sercli"], 0, None),
    ],
)
def test_bash_says_which_key_it_has_cut_off(
    words: list[str], at: int, expected: str | None
) -> None:
    assert key_cut_off({"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(at)}) == expected


def test_other_shells_cut_nothing_off() -> None:
    assert key_cut_off({"_TYPER_COMPLETE_ARGS": "sercli train dataset=ne"}) is None


@INSTALLED
@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_the_installed_command_completes_in_bash(tmp_path: Path) -> None:
    script = tmp_path / "complete.sh"
    script.write_text(
        f"""
        eval "$(_SERCLI_COMPLETE=source_bash {COMMAND})"
        propose() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            "$(complete -p sercli | sed 's/.*-F \\([^ ]*\\).*/\\1/')" {COMMAND}
            echo "${{COMPREPLY[*]}}"
        }}
        propose sercli tra
        propose sercli sweep model=iaan optim =
        propose sercli config show seeds = '[0]' protocol = loso_s
        """,
        encoding="utf-8",
    )
    assert run(str(BASH), "--norc", str(script)) == [
        "train",
        "adam adam_iaan adam_iaan_small adamw rmsprop sgd",
        "loso_session loso_speaker",
    ]


@INSTALLED
def test_the_installed_command_completes_in_zsh() -> None:
    line = "sercli train model=iaan protocol=loso_s"
    found = run(str(COMMAND), _SERCLI_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert found == [
        '_arguments \'*: :(("protocol=loso_session"',
        '"protocol=loso_speaker"))\'',
    ]


@INSTALLED
def test_the_installed_command_completes_in_fish() -> None:
    found = run(
        str(COMMAND),
        _SERCLI_COMPLETE="complete_fish",
        _TYPER_COMPLETE_ARGS="sercli config show arelu.alpha_m",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert found == ["arelu.alpha_min=0.01", "arelu.alpha_max=0.99"]


@INSTALLED
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_installed_command_gives_each_shell_its_script(shell: str) -> None:
    script = "\n".join(run(str(COMMAND), _SERCLI_COMPLETE=f"source_{shell}"))
    assert f"_SERCLI_COMPLETE=complete_{shell}" in script


@INSTALLED
@pytest.mark.parametrize(
    ("typed", "expected"),
    [("optim=m", "optim=mine"), ("optim.clip", "optim.clip_norm=null")],
)
def test_a_folder_of_the_users_own_is_completed_too(
    tmp_path: Path, typed: str, expected: str
) -> None:
    (tmp_path / "optim").mkdir()
    for name in ("mine", "adam"):
        path = tmp_path / "optim" / f"{name}.yaml"
        path.write_text("# Adam without clipping\nclip_norm: null\n", encoding="utf-8")
    line = f"sercli train --config-dir {tmp_path} {typed}"
    found = run(str(COMMAND), _SERCLI_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert found == [f"_arguments '*: :((\"{expected}\"))'"]
