from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sercli.errors import RequestError
from sercli.registry import Registry

PACKAGE = "parts_of_a_test"
MODULES = {
    "first.py": 'PARTS.register("one", "uno")("the first part")',
    "second.py": 'PARTS.register("two")("the second part")',
    "helper.py": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of two parts, and a module that registers none."""
    package = tmp_path / PACKAGE
    package.mkdir()
    init = f"from sercli.registry import Registry\nPARTS = Registry('part', '{PACKAGE}')\n"
    (package / "__init__.py").write_text(init, encoding="utf-8")
    for name, text in MODULES.items():
        (package / name).write_text(f"from {PACKAGE} import PARTS\n{text}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def parts(folder: Path) -> Registry[str]:
    return __import__(PACKAGE).PARTS  # type: ignore[no-any-return]


def test_a_part_is_found_by_each_of_its_names(parts: Registry[str]) -> None:
    assert parts["one"] == parts["uno"] == "the first part"
    assert parts["two"] == "the second part"


def test_names_are_those_of_all_modules_sorted(parts: Registry[str]) -> None:
    assert parts.names() == ["one", "two", "uno"]


def test_a_new_part_is_one_new_file(folder: Path, parts: Registry[str]) -> None:
    text = f"from {PACKAGE} import PARTS\nPARTS.register('three')('a third part')\n"
    (folder / "third.py").write_text(text, encoding="utf-8")
    assert parts["three"] == "a third part"


def test_a_part_named_like_its_module_is_imported_alone(folder: Path, parts: Registry[str]) -> None:
    text = f"from {PACKAGE} import PARTS\nPARTS.register('three')('a third part')\n"
    (folder / "three.py").write_text(text, encoding="utf-8")
    assert parts["three"] == "a third part"
    assert f"{PACKAGE}.first" not in sys.modules


def test_no_module_is_imported_before_a_part_is_wanted(parts: Registry[str]) -> None:
    assert f"{PACKAGE}.first" not in sys.modules
    parts.names()
    assert f"{PACKAGE}.first" in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tow", "unknown part 'tow'. Did you mean 'two'?"),
        ("xyz", "unknown part 'xyz'. Known: one, two, uno."),
    ],
)
def test_an_unknown_part_is_refused_with_the_nearest_one(
    parts: Registry[str], name: str, message: str
) -> None:
    with pytest.raises(RequestError) as error:
        parts[name]
    assert str(error.value) == message


def test_registering_leaves_the_part_as_it_is(parts: Registry[Callable[[], int]]) -> None:
    @parts.register("seven")
    def seven() -> int:
        return 7

    assert seven() == 7
    assert parts["seven"] is seven
