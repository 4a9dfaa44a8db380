"""Configurations as they were when a sweep was planned."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sercli.config.compose import compose, compose_unresolved
from sercli.config.frozen import (
    choices_of,
    freeze,
    leaves_of,
    number_kind,
    overrides_of,
    thaw,
)
from sercli.errors import RequestError

ARELU = freeze(["activation=arelu", "cell=gru_tf", "seeds=[3]"])

LEAVES = {
    "arelu.alpha": st.floats(0.01, 0.99),
    "arelu.learn": st.booleans(),
    "activation.beta": st.floats(-9, 9) | st.integers(-9, 9),
    "activation.alpha": st.just("${arelu.beta}"),
    "arelu.beta": st.integers(-3, 3) | st.just("${optim.weight_decay}"),
    "optim.weight_decay": st.floats(0, 1),
    "optim.clip_norm": st.none() | st.floats(0.1, 9),
    "dataset.options.seed": st.integers(0, 9),
    "paths.data": st.sampled_from(["here", "a b", "null", "1", "ä'\"#: x"]),
    "dataset.root": st.none() | st.just("${paths.data}/x"),
    "model.hidden": st.integers(1, 9),
    "trainer.patience": st.none() | st.integers(1, 9),
    "seeds": st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
}
chosen = st.sets(st.sampled_from(sorted(LEAVES))).flatmap(
    lambda keys: st.fixed_dictionaries({key: LEAVES[key] for key in sorted(keys)})
)


def word(key: str, value: object) -> str:
    """Write a setting as an override."""
    if value is None or isinstance(value, bool):
        return f"{key}={str(value).lower().replace('none', 'null')}"
    if isinstance(value, str) and "$" not in value:
        quoted = value.replace("'", "\\'")
        return f"{key}='{quoted}'"
    return f"{key}={value}".replace(" ", "")


def refusal(text: str, **given: Any) -> str:
    with pytest.raises(RequestError) as error:
        thaw(text, given.get("settings", {}))
    assert "\n" not in str(error.value)
    return str(error.value)


@given(chosen)
@settings(max_examples=12, deadline=None)
def test_thawing_a_setting_equals_composing_it(values: dict[str, Any]) -> None:
    words = [word(key, value) for key, value in values.items()]

    overrides = ["activation=arelu", "cell=gru_tf", "seeds=[3]", *words]
    node, _ = compose_unresolved(overrides)
    expected = OmegaConf.to_object(node)
    for config in (thaw(ARELU, values), compose(overrides)):
        assert config == expected
        assert repr(config) == repr(expected)  # 1 == 1.0 == True


def test_a_frozen_text_outlives_the_files_that_it_was_composed_of(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    own = tmp_path / "trainer" / "own.yaml"
    own.write_text("steps: 3\n")
    code = (
        "import pathlib, sys; from sercli.config.sources import start;"
        "from sercli.config.frozen import freeze; start(pathlib.Path(sys.argv[1]));"
        "sys.stdout.write(freeze(['trainer=own', 'trainer.eval_every=2']))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    own.write_text("steps: 4\n")

    config = thaw(text, {"trainer.batch_size": 5})
    assert (config.trainer.steps, config.trainer.eval_every, config.trainer.batch_size) == (3, 2, 5)
    assert choices_of(text)["trainer"] == "own"


def test_a_frozen_text_needs_no_default_of_the_code() -> None:
    def keys(node: Any, prefix: str = "") -> set[str]:
        if isinstance(node, dict) and node:
            return {key for name in node for key in keys(node[name], f"{prefix}.{name}")}
        return {prefix[1:]}

    assert set(leaves_of(ARELU)) == keys(asdict(thaw(ARELU, {})))


def test_a_frozen_text_holds_overrides_and_choices() -> None:
    assert overrides_of(ARELU) == ("activation=arelu", "cell=gru_tf", "seeds=[3]")
    assert choices_of(ARELU)["cell"] == "gru_tf"
    assert choices_of(ARELU)["model"] == "iaan_small"


def test_a_frozen_text_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = freeze(["activation=arelu", "experiment=once"])
    thaw(text, {})
    monkeypatch.setattr(yaml, "safe_load", lambda text: pytest.fail("read again"))

    assert thaw(text, {"arelu.alpha": 0.25}).activation["alpha"] == 0.25


def test_changes_of_a_thawed_configuration_do_not_reach_the_next() -> None:
    thaw(ARELU, {"arelu.alpha": 0.25}).activation["alpha"] = 7
    thaw(ARELU, {}).seeds.append(7)

    assert thaw(ARELU, {}).activation["alpha"] == 0.01
    assert thaw(ARELU, {}).seeds == [3]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("arelu.alhpa", 1, "unknown key 'arelu.alhpa'. Did you mean 'arelu.alpha'?"),
        ("trainer.steps.more", 1, "unknown key 'trainer.steps.more'."),
        ("trainer.steps", "many", "trainer.steps: Value 'many' of type 'str' could not be"),
        ("trainer.steps", 1.5, "trainer.steps: Value '1.5' of type 'float' could not be"),
        ("trainer.steps", None, "field 'trainer.steps' is not Optional"),
        ("trainer.steps", 0, "trainer.steps=0: must be 1 or more"),
        ("trainer.steps", "${trainer.stpes}", "Interpolation key 'trainer.stpes' not found"),
        ("trainer", 3, "trainer"),
        ("experiment", "???", "experiment"),
        ("experiment", "${oc.env:HOME}", "experiment=${oc.env:HOME}: a sweep stores values"),
        ("seeds", ["${oc.env:HOME}"], "[0]=${oc.env:HOME}: a sweep stores values"),
    ],
)
def test_an_invalid_setting_is_refused_by_name(key: str, value: Any, message: str) -> None:
    assert message in refusal(ARELU, settings={key: value})


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:HOME}",
        "a${oc.decode:'1'}",
        "${${experiment}}",
        "${oc.env:A,${oc.env:B}}",
        "${",
        "${a",
    ],
)
def test_a_resolver_in_a_frozen_text_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.environ, "get", lambda *key: pytest.fail("asked the environment"))
    page = yaml.safe_load(ARELU)
    page["configuration"]["experiment"] = value

    assert f"experiment={value}: a sweep stores values" in refusal(yaml.safe_dump(page))


def test_a_resolver_is_refused_before_anything_is_frozen() -> None:
    with pytest.raises(
        RequestError, match=r"paths\.data=\$\{oc\.env:HOME\}: a sweep stores values"
    ):
        freeze(["paths.data=${oc.env:HOME}"])


def test_a_missing_value_must_be_set_to_thaw() -> None:
    page = yaml.safe_load(ARELU)
    page["configuration"]["dataset"]["root"] = "???"
    text = yaml.safe_dump(page)

    assert thaw(text, {"dataset.root": "there"}).dataset.root == "there"
    assert "dataset.root" in refusal(text)


def test_a_relative_reference_is_followed() -> None:
    page = yaml.safe_load(ARELU)
    page["configuration"]["model"]["head"] = "${.hidden}"

    assert thaw(yaml.safe_dump(page), {"model.hidden": 77}).model["head"] == 77


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ("[1, 2", "is damaged"),
        ("choices: {}\nconfiguration: {}\n", "is damaged"),
        ("!!python/object/apply:os.getcwd []", "is damaged"),
        ("{overrides: [], choices: {}, configuration: {odd: 1}}", "Key 'odd' not in 'Config'"),
        ("{overrides: [], choices: {}, configuration: {seeds: x}}", "seeds"),
    ],
)
def test_a_damaged_frozen_text_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("trainer.steps", int),
        ("trainer.patience", int),
        ("arelu.beta", float),
        ("optim.clip_norm", float),
        ("model.hidden", int),
        ("activation.alpha", float),
        ("arelu.learn", None),
        ("model.bidirectional", None),
        ("experiment", None),
        ("seeds", None),
    ],
)
def test_number_kind_is_that_of_the_schema_or_the_value(key: str, kind: type | None) -> None:
    assert number_kind(ARELU, key) is kind
