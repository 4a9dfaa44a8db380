"""The voice of docstrings: an imperative or a noun phrase (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "sercli"
CLAUSE = re.compile(r"(What|Whether|How|Where|Who|Which|Why|Of|Told|Those)\b")
ENTRY = re.compile(r"^\s+\*{0,2}\w+: (?P<text>.*)$", re.MULTILINE)


def documented(tree: ast.AST) -> Iterator[str]:
    """Yield the docstrings of modules, classes, functions and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.Module | ast.ClassDef):
            for before, each in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(each, ast.Expr):
                    text = each.value
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield text.value


def clauses(docstring: str) -> list[str]:
    """Return the first line and the entries that begin as a clause."""
    lines = [docstring.strip(), *(match["text"] for match in ENTRY.finditer(docstring))]
    return [line.splitlines()[0] for line in lines if CLAUSE.match(line)]


@pytest.mark.parametrize("text", ["Whether it ran.", "Do.\n\nArgs:\n    key: What to find."])
def test_a_clause_is_found(text: str) -> None:
    assert clauses(text)


def test_docstrings_begin_with_an_imperative_or_a_noun_phrase() -> None:
    found = [
        f"{path.relative_to(SOURCES)}: {line}"
        for path in sorted(SOURCES.rglob("*.py"))
        for docstring in documented(ast.parse(path.read_text(encoding="utf-8")))
        for line in clauses(docstring)
    ]
    assert not found
