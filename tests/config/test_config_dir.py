"""``--config-dir``: a folder of the user's own, searched before ``conf/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.shell import InProcessShell
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from sercli.config import choices, compose, sources


@pytest.fixture(name="sercli")
def _sercli(tmp_path: Path) -> Iterator[InProcessShell]:
    """The command, with a Hydra that starts anew for every call."""

    class Anew(InProcessShell):
        def __call__(self, *arguments: str | Path) -> Any:
            stop_hydra()
            return super().__call__(*arguments)

    yield Anew(tmp_path)
    stop_hydra()


def stop_hydra() -> None:
    """Undo `sercli.config.sources.start`, which a process calls once."""
    GlobalHydra.instance().clear()
    sources._given.clear()
    plugins = Plugins.instance().plugin_type_to_subclass_list[SearchPathPlugin]
    plugins[:] = [plugin for plugin in plugins if plugin.__name__ != "UserFolder"]
    choices.compose_choices.cache_clear()
    choices._part.cache_clear()
    compose.names_of_choices.cache_clear()


def shown(sercli: InProcessShell, *words: str | Path) -> Any:
    return yaml.safe_load(sercli.ok("config", "show", *words))


def refusal(sercli: InProcessShell, folder: Path, content: str | bytes) -> str:
    """Return the refusal of a trainer with this content in the user's folder."""
    data = content.encode() if isinstance(content, str) else content
    (folder / "trainer" / "odd.yaml").write_bytes(data)
    return sercli.refused("config", "show", "--config-dir", folder, "trainer=odd")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder that adds an activation and shadows a trainer."""
    files = {
        "activation/steep.yaml": "# Leaky ReLU, steep\nname: leaky_relu\nslope: 0.5\n",
        "trainer/smoke.yaml": "# One step\nsteps: 1\neval_every: 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "mine"


def test_a_resolver_in_a_file_reads_the_settings_of_the_command(
    sercli: InProcessShell, folder: Path
) -> None:
    content = "steps: ${oc.select:trainer.batch_size}\n"
    (folder / "trainer" / "selected.yaml").write_text(content, encoding="utf-8")

    words = ("trainer=selected", "trainer.batch_size=7")
    assert shown(sercli, "--config-dir", folder, *words)["trainer"]["steps"] == 7


def test_a_config_dir_adds_choices_to_the_packaged_ones(
    sercli: InProcessShell, folder: Path
) -> None:
    config = shown(sercli, "--config-dir", folder, "activation=steep", "activation.slope=0.6")
    assert config["activation"] == {"name": "leaky_relu", "slope": 0.6}
    listed = json.dumps(sercli.json("config", "groups", "--config-dir", folder))
    assert "Leaky ReLU, steep" in listed
    assert "Hyperbolic tangent" in listed


def test_a_config_dir_shadows_packaged_choices(sercli: InProcessShell, folder: Path) -> None:
    assert shown(sercli, "trainer=smoke")["trainer"]["steps"] == 20
    assert shown(sercli, "--config-dir", folder, "trainer=smoke")["trainer"]["steps"] == 1


def test_a_config_dir_may_be_relative_and_come_after_the_overrides(
    sercli: InProcessShell, folder: Path
) -> None:
    config = shown(sercli, "activation=steep", "--config-dir", folder.name)
    assert config["activation"]["name"] == "leaky_relu"


def test_a_config_yaml_of_the_folder_adds_and_is_named(
    sercli: InProcessShell, folder: Path
) -> None:
    (folder / "config.yaml").write_text("activation: steep\ndevice: cpu\n", encoding="utf-8")
    text = sercli.ok("config", "show", "--config-dir", folder, "device=auto")
    assert text.startswith(f"# activation from {folder / 'config.yaml'}\n")
    config = yaml.safe_load(text)
    assert config["activation"]["slope"] == 0.5
    assert config["device"] == "auto"
    assert config["trainer"]["steps"] == 1000


def test_the_folder_of_the_environment_is_used_where_none_is_given(
    sercli: InProcessShell, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERCLI_CONFIG_DIR", str(folder))
    assert shown(sercli, "trainer=smoke")["trainer"]["steps"] == 1
    assert shown(sercli, "--config-dir", tmp_path, "trainer=smoke")["trainer"]["steps"] == 20
    monkeypatch.setenv("SERCLI_CONFIG_DIR", "nowhere")
    assert sercli.refused("config", "show") == "sercli: SERCLI_CONFIG_DIR=nowhere is not a folder"


def test_a_missing_config_dir_is_refused(sercli: InProcessShell, tmp_path: Path) -> None:
    line = sercli.refused("config", "show", "--config-dir", tmp_path / "nowhere")
    assert line == f"sercli: --config-dir {tmp_path / 'nowhere'} is not a folder"


def test_a_choice_of_the_user_is_checked_against_the_schema(
    sercli: InProcessShell, folder: Path
) -> None:
    assert refusal(sercli, folder, "stpes: 3") == (
        "sercli: In 'trainer/odd': ConfigKeyError raised while composing config: "
        "Key 'stpes' not in 'TrainerConfig'"
    )


def test_a_choice_of_the_user_that_is_no_yaml_is_refused_with_the_place(
    sercli: InProcessShell, folder: Path
) -> None:
    message = refusal(sercli, folder, "steps: [3")
    assert message.startswith("sercli: a configuration file cannot be read: ")
    assert f'{folder / "trainer" / "odd.yaml"}", line 1' in message


def test_a_choice_of_the_user_that_is_no_text_is_refused_and_the_others_work(
    sercli: InProcessShell, folder: Path
) -> None:
    message = refusal(sercli, folder, b"\xff\xfe")
    assert message.startswith("sercli: a configuration file cannot be read: 'utf-8' codec")
    assert shown(sercli, "--config-dir", folder, "trainer=smoke")["trainer"]["steps"] == 1


def test_a_plan_of_the_user_is_found_by_its_name(sercli: InProcessShell, folder: Path) -> None:
    (folder / "sweeps").mkdir()
    (folder / "sweeps" / "own.yaml").write_text("sweep: {trainer.steps: '5,0'}\n", encoding="utf-8")
    mine = ["--config-dir", str(folder)]

    found = sercli("sweep", "--plan", "own", *mine)
    wrong = sercli("sweep", "--plan", "owm", *mine)

    assert "trainer.steps=0: must be" in found.stderr  # its second trial
    assert "unknown plan 'owm'. Did you mean 'own'?" in wrong.stderr


def test_a_file_of_the_user_that_aliases_make_enormous_is_refused(
    sercli: InProcessShell, folder: Path
) -> None:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(8)]
    assert "most of them by aliases" in refusal(sercli, folder, "\n".join(lines))
