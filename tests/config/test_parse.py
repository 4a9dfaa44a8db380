"""Literal values: paths, text and the keys of mappings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sercli.config.compose import compose, parse
from sercli.config.frozen import freeze, thaw
from sercli.errors import RequestError

# Not of a path: a comma lists values, quotes quote, ${…} refers, null is none.
LITERAL = st.text(st.characters(exclude_characters=",$", exclude_categories=["C"])).filter(
    lambda text: (
        text == text.strip()
        and not text.startswith(("'", '"', "~"))
        and text.casefold() != "null"
        and not re.match(r"(choice|range|interval|glob|shuffle|sort|tag)\(", text)
        and text != "???"
    )
)


def value(override: str) -> Any:
    (parsed,) = parse([override])
    return parsed.value()


@given(LITERAL)
@example("/srv/Möbius (v2)/take#2/run=3/语料")
@example(r"C:\my data\[v1]\{x}")
@example("1e3")
@example("007")
@example("True")
@example("[a]")
def test_a_path_is_taken_as_it_is_written(path: str) -> None:
    for key in ("dataset.root", "paths.store", "features.config"):
        assert value(f"{key}={path}") == path


def test_a_path_reaches_the_configuration_of_a_run_and_of_a_trial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    overrides = ["dataset.root=~/Möbius (v2)#=x", "paths.runs='~/a,b'", "features.config=~/ü.conf"]
    for config in (compose(overrides), thaw(freeze(overrides), {})):
        assert config.dataset.root == f"{tmp_path}/Möbius (v2)#=x"
        assert config.paths.runs == f"{tmp_path}/a,b"
        assert config.features.config == f"{tmp_path}/ü.conf"


def test_null_quotes_references_and_lists_keep_their_meaning() -> None:
    assert value("dataset.root=null") is None
    assert value('dataset.root="null"') == "null"
    assert compose(["dataset.root=${paths.data}/Möbius (2)"]).dataset.root == "data/Möbius (2)"
    (sweep,) = parse(["dataset.root=/a,/b"])
    assert list(sweep.sweep_string_iterator()) == ["/a", "/b"]


def test_text_that_is_no_path_is_taken_as_it_is_written_too() -> None:
    config = compose(["experiment=größe (1)", "launcher.account=1e3"])
    assert (config.experiment, config.launcher.account) == ("größe (1)", "1e3")


def test_an_option_of_a_reader_may_be_any_text_and_a_number_may_not() -> None:
    options = compose(
        ["dataset=audformat", "dataset.classes={a: b}", "dataset.options.tables=größe (x)"]
    )
    assert options.dataset.options["tables"] == "größe (x)"
    assert compose(["launcher.sbatch.größe=7"]).launcher.sbatch == {"größe": 7}
    with pytest.raises(RequestError, match="is not an override"):
        compose(["trainer.steps=größe"])


@pytest.mark.parametrize(
    ("key", "words", "expected"),
    [
        ("dataset.expected", "{生气: 3, 0: 4}", {"生气": 3, "0": 4}),
        ("dataset.expected", '{"生气": 3}', {"生气": 3}),
        ("dataset.expected", "{0: 3, null: 4, true: 5}", {"0": 3, "null": 4, "true": 5}),
        ("dataset.expected_in", "{split: {1: {neu: 3}}}", {"split": {"1": {"neu": 3}}}),
        ("dataset.expected_in", "{split: {训: {1.0: 3}}}", {"split": {"训": {"1.0": 3}}}),
        ("launcher.sbatch", "{größe: [1, x], 2: 1.5}", {"größe": [1, "x"], "2": 1.5}),
        ("protocol.sides", "{train: [訓], dev: [2], test: [x]}",
         {"train": ["訓"], "dev": ["2"], "test": ["x"]}),
    ],
)  # fmt: skip
def test_keys_of_mappings_are_text_and_values_keep_their_types(
    key: str, words: str, expected: dict[str, Any]
) -> None:
    node: Any = compose([f"{key}={words}"])
    for name in key.split("."):
        node = getattr(node, name)
    assert node == expected


def test_an_emotion_of_any_script_can_be_added_and_removed_alone() -> None:
    added = ["dataset.classes.生气=anger", "dataset.classes.très triste=悲しみ"]
    classes = compose([*added, "~dataset.classes.exc", "~dataset.classes.sad"]).dataset.classes
    assert (classes["生气"], classes["très triste"]) == ("anger", "悲しみ")
    with pytest.raises(RequestError, match="高兴' does not exist"):
        compose(["~dataset.classes.高兴"])
