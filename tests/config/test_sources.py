"""The user's own defaults: precedence of files and folder, and errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sercli.config.compose import compose, effective_defaults, list_choices
from sercli.config.frozen import freeze, thaw
from sercli.config.grammar import read_sweep
from sercli.config.run_key import run_key
from sercli.errors import RequestError


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the user-wide file of defaults, not yet written; the working folder is empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config" / "sercli" / "config.yaml"
    file.parent.mkdir(parents=True)
    return file


def here(text: str) -> None:
    Path("sercli.yaml").write_text(text, encoding="utf-8")


def refusal(*overrides: str) -> str:
    with pytest.raises(RequestError) as error:
        compose(overrides)
    return str(error.value)


def test_settings_are_nested_or_dotted_and_the_nearer_file_wins(home: Path) -> None:
    home.write_text("paths: {store: ~/s, runs: /r}\ndevice: cpu\nseeds: [1, 2]\n", encoding="utf-8")
    here("paths.runs: mine\ntrainer:\n  steps: 50\n  patience: null\n")
    config = compose(["seeds=[3]"])
    assert config.paths.store == os.path.expanduser("~/s")  # noqa: PTH111
    assert (config.paths.runs, config.device, config.seeds) == ("mine", "cpu", [3])
    assert (config.trainer.steps, config.trainer.patience) == (50, None)
    assert {own.key: own.file.name for own in effective_defaults(["seeds=[3]"])} == {
        "paths.store": "config.yaml",
        "device": "config.yaml",
        "paths.runs": "sercli.yaml",
        "trainer.steps": "sercli.yaml",
        "trainer.patience": "sercli.yaml",
    }


def test_a_group_has_another_default_and_keeps_its_own_keys(home: Path) -> None:
    home.write_text("activation: prelu\nactivation.slope: 0.3\nmodel: bigru_att_small\n")
    config = compose([])
    assert config.activation["name"] == "prelu"
    assert config.activation["slope"] == 0.3
    assert [each.name for each in list_choices("activation") if each.default] == ["prelu"]
    assert read_sweep(["activation.slope=0.1,0.2"])


def test_a_choice_on_the_command_line_replaces_the_settings_of_its_group(home: Path) -> None:
    home.write_text("trainer.steps: 50\nlauncher.account: lab\noptim: {lr: 0.5}\n")
    config = compose(["trainer=iaan", "launcher=submitit"])
    assert (config.trainer.steps, config.launcher.account) == (2000, "lab")
    assert config.optim.lr == 0.5


def test_each_corpus_has_its_folder(home: Path) -> None:
    home.write_text("roots: {nemo: /n, emodb: /e, emodb_full: /f}\ndataset.root: /other\n")
    roots = {name: compose([f"dataset={name}"]).dataset.root for name in ("nemo", "emodb", "tess")}
    assert roots == {"nemo": "/n", "emodb": "/e", "tess": "/other"}
    assert compose(["dataset=emodb_full"]).dataset.root == "/f"
    assert compose(["dataset=nemo", "dataset.root=/x"]).dataset.root == "/x"


def test_a_sweep_and_a_key_do_not_depend_on_where_a_value_comes_from(home: Path) -> None:
    typed = ["activation=tanh", "optim.lr=1e-2", "dataset.root=/x"]
    text = freeze(typed)
    home.write_text("activation: tanh\noptim.lr: 1e-2\ndataset: {root: /x}\n", encoding="utf-8")
    assert run_key(compose([]), "data") == run_key(thaw(text, {}), "data")
    planned = freeze([])
    home.unlink()
    assert thaw(planned, {}).optim.lr == 0.01


def test_a_file_in_the_manner_of_hydra_chooses_too(home: Path) -> None:
    home.write_text("defaults:\n  - override optim: sgd\n  - trainer: smoke\n  - _self_\n")
    config = compose([])
    assert (config.optim.name, config.trainer.steps) == ("sgd", 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "must be a mapping of keys to values, as in device: cpu"),
        ("a: [", "cannot be read: while parsing"),
        ("lr: 0.1", "unknown key 'lr'; write optim.lr=0.1"),
        ("optim: {lx: 1}", "unknown key 'optim.lx'. Did you mean 'optim.lr'?"),
        ("optim: adma", "unknown optim 'adma'. Did you mean 'adam'?"),
        ("trainer.steps: many", "trainer.steps: Value 'many' of type 'str' could not be"),
        ("trainer.steps: 0", "trainer.steps=0: must be 1 or more"),
        ("seeds: 5", "seeds=5: must be a list; write 'seeds=[5]'"),
        ("optim.lr: 0,001", "use a decimal point; write optim.lr=0.001"),
    ],
)
def test_a_bad_file_is_named_in_one_line(home: Path, text: str, message: str) -> None:
    here(text)
    assert refusal().startswith("sercli.yaml")
    assert message in refusal()
    assert "\n" not in refusal()
    here("")
    compose([])
