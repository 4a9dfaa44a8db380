"""Descriptions of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sercli.config.compose import default_settings
from sercli.config.settings import GROUPS
from sercli.errors import RequestError
from sercli.reporting.formats import to_text
from sercli.reporting.views.explain import explain_view


def settings(*names: str) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in explain_view(names).data["settings"]}


def test_a_key_is_explained_with_default_type_values_and_meaning() -> None:
    assert settings("trainer.class_weights", "seeds")["trainer.class_weights"] == {
        "key": "trainer.class_weights",
        "default": "none",
        "type": "text",
        "allowed": "none, balanced",
        "meaning": "none, or balanced: inverse frequency in the fold's training set.",
    }
    assert settings("optim.clip_norm")["optim.clip_norm"]["type"] == "number or null"
    assert settings("lr").keys() == {"optim.lr"}  # a synonym


def test_every_setting_of_the_default_configuration_has_a_meaning() -> None:
    found = settings()
    assert found.keys() == default_settings().keys() - {*GROUPS}
    assert [key for key, each in found.items() if not each["meaning"]] == []
    assert not any("`" in each["meaning"] for each in found.values())


def test_the_settings_of_an_augmentation_are_explained_by_its_class() -> None:
    found = settings("augment=[speed,noise]")
    assert list(found)[:2] == ["augment.speed.factors", "augment.noise.snr"]
    assert found["augment.noise.copies"]["meaning"] == "Copies of each utterance."


def test_the_augmentation_of_the_user_is_among_all_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sercli.yaml").write_text("augment: speed")
    assert settings()["augment.speed.factors"]["meaning"].startswith("Speed of each copy")


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_explained_with_its_choices(group: str) -> None:
    data = explain_view([group]).data
    assert all(each["key"].startswith(f"{group}.") for each in data["settings"])
    assert sum(each["default"] for each in data["choices"]) == 1
    assert all(each["description"] for each in data["choices"])


def test_the_settings_of_another_choice_come_from_its_class_or_its_comments() -> None:
    assert "lags" in settings("cell=a_lstm")["cell.lags"]["meaning"]
    assert settings("activation=prelu")["activation.slope"]["default"] == "0.25"
    manifest = settings("dataset=manifest", "dataset.classes={a: b}")
    assert "start and end cut the audio" in manifest["dataset.options.segments"]["meaning"]
    assert settings("launcher=submitit")["launcher.minutes"]["default"] == "720"


def test_every_format_has_it_and_an_unknown_name_is_refused() -> None:
    for form in ("table", "markdown", "latex", "csv", "json"):
        assert "learning rate" in to_text(explain_view(["optim"]), form).lower()
    with pytest.raises(RequestError, match=r"unknown key 'optim\.lx'\. Did you mean 'optim\.lr'"):
        explain_view(["optim.lx"])
    with pytest.raises(RequestError, match="unknown cell 'x'"):
        explain_view(["cell=x"])
