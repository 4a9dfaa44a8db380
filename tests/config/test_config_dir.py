"""``--config-dir``, through the real command: Hydra is started once per process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml


def sercli(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sercli", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def shown(*words: str, cwd: Path | None = None) -> Any:
    done = sercli("config", "show", *words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def refusal(folder: Path, content: str | bytes) -> str:
    """What is said of a trainer with this content in the user's folder."""
    data = content.encode() if isinstance(content, str) else content
    (folder / "trainer" / "odd.yaml").write_bytes(data)
    done = sercli("config", "show", "--config-dir", str(folder), "trainer=odd")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that adds an activation and shadows a trainer."""
    files = {
        "activation/steep.yaml": "# Leaky ReLU, steep\nname: leaky_relu\nslope: 0.5\n",
        "trainer/smoke.yaml": "# One step\nsteps: 1\neval_every: 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_it_adds_choices_beside_the_packaged_ones(folder: Path) -> None:
    config = shown("--config-dir", str(folder), "activation=steep", "activation.slope=0.6")
    assert config["activation"] == {"name": "leaky_relu", "slope": 0.6}
    done = sercli("config", "groups", "--config-dir", str(folder), "--format", "json")
    listed = json.loads(done.stdout)
    assert "Leaky ReLU, steep" in json.dumps(listed)
    assert "Hyperbolic tangent" in json.dumps(listed)


def test_it_shadows_packaged_choices(folder: Path) -> None:
    assert shown("trainer=smoke")["trainer"]["steps"] == 20
    assert shown("--config-dir", str(folder), "trainer=smoke")["trainer"]["steps"] == 1


def test_it_may_be_relative_and_stand_after_the_overrides(folder: Path) -> None:
    config = shown("activation=steep", "--config-dir", folder.name, cwd=folder.parent)
    assert config["activation"]["name"] == "leaky_relu"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = sercli("config", "show", "--config-dir", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr == f"sercli: --config-dir {tmp_path / 'nowhere'} is not a folder\n"


def test_a_choice_of_the_user_is_held_to_the_schema(folder: Path) -> None:
    assert refusal(folder, "stpes: 3") == (
        "sercli: In 'trainer/odd': ConfigKeyError raised while composing config: "
        "Key 'stpes' not in 'TrainerConfig'\n"
    )


def test_a_choice_of_the_user_that_is_no_yaml_is_refused_with_the_place(folder: Path) -> None:
    message = refusal(folder, "steps: [3")
    assert message.startswith("sercli: a configuration file cannot be read: ")
    assert f'{folder / "trainer" / "odd.yaml"}", line 1' in message


def test_a_choice_of_the_user_that_is_no_text_is_refused_and_the_others_work(folder: Path) -> None:
    message = refusal(folder, b"\xff\xfe")
    assert message.startswith("sercli: a configuration file cannot be read: 'utf-8' codec")
    assert shown("--config-dir", str(folder), "trainer=smoke")["trainer"]["steps"] == 1


def test_a_plan_of_ones_own_is_found_by_its_name(folder: Path) -> None:
    (folder / "sweeps").mkdir()
    (folder / "sweeps" / "own.yaml").write_text("sweep: {trainer.steps: '5,0'}\n", encoding="utf-8")
    mine = ["--config-dir", str(folder)]

    found = sercli("sweep", "--plan", "own", *mine, cwd=folder)
    wrong = sercli("sweep", "--plan", "owm", *mine, cwd=folder)

    assert "trainer.steps=0: must be" in found.stderr  # its second point
    assert "unknown plan 'owm'. Did you mean 'own'?" in wrong.stderr
