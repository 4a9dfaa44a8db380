"""What a plan leaves out: an expression over configuration keys, by the simpleeval library."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any, cast

from simpleeval import DEFAULT_OPERATORS, EvalWithCompoundTypes, InvalidExpression

from sercli.config.compose import GROUPS
from sercli.config.schema import Config
from sercli.errors import RequestError, nearest

_OPERATORS = {
    part: DEFAULT_OPERATORS[part]
    for part in (
        *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
        *(ast.Not, ast.USub, ast.Add, ast.Sub, ast.Mult, ast.Div),
    )
}
_PARTS = (
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.BinOp, ast.Compare, *_OPERATORS),
    *(ast.Name, ast.Load, ast.Constant, ast.Tuple, ast.List),
)
_WORDS = {"null": None, "true": True, "false": False}
"""As a configuration writes them; an expression may use Python's names, too."""


class Filter:
    """Whether a point is left out.

    An expression compares keys with values: ``activation != 'arelu' and arelu.alpha != 0.01``.
    A key with dots stands for its value; the name of a group for its choice, as in
    ``activation in ('tanh', 'relu')``. A key that a point does not have is null there. It knows
    comparisons, ``and``, ``or``, ``not``, ``in`` and the four rules of arithmetic, and calls
    nothing.

    Args:
        expression: The expression.
        keys: Leaves of the configurations that it is asked about.

    Raises:
        RequestError: It is no such expression, or names an unknown key.
    """

    def __init__(self, expression: str, keys: Collection[str]) -> None:
        self.expression = " ".join(expression.split("\n")).strip()
        self._tree = _parsed(self.expression, {*keys, *GROUPS})
        self._evaluator = EvalWithCompoundTypes(operators=_OPERATORS, functions={})
        self._names = {part.id for part in ast.walk(self._tree) if isinstance(part, ast.Name)}

    def __call__(self, config: Config, choices: Mapping[str, str]) -> bool:
        """Say whether a point is left out.

        Args:
            config: Its configuration.
            choices: Group → choice.

        Raises:
            RequestError: The expression cannot be computed for this point.
        """
        values = {name: _value(name, config, choices) for name in self._names}
        self._evaluator.names = values
        try:
            return bool(self._evaluator.eval(self.expression, previously_parsed=self._tree))
        except (InvalidExpression, TypeError, ArithmeticError, RecursionError) as error:
            found = "".join(f" {name}={values[name]!r}" for name in sorted(self._names - {*_WORDS}))
            raise RequestError(
                f"exclude '{self.expression}' has no answer where{found}: {error}"
            ) from error


def _parsed(expression: str, known: Collection[str]) -> ast.expr:
    """Parse an expression, a key with dots as one name."""
    refusal = f"exclude '{expression}'"
    try:
        tree = _KeysAsNames().visit(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RequestError(
            f"{refusal} is not an expression, as in activation != 'arelu' and arelu.alpha != 0.01"
        ) from error
    for part in ast.walk(tree):
        if not isinstance(part, _PARTS):
            raise RequestError(
                f"{refusal}: only keys, values, comparisons and arithmetic; "
                f"no {type(part).__name__}"
            )
        if isinstance(part, ast.Name) and part.id not in {*known, *_WORDS}:
            raise RequestError(f"{refusal}: unknown key '{part.id}'.{nearest(part.id, known)}")
    return cast("ast.expr", tree)


class _KeysAsNames(ast.NodeTransformer):
    """Makes one name of ``arelu.alpha``, so that nothing ever looks up an attribute."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Join a chain of names; of anything else an attribute stays, and is refused."""
        text = ast.unparse(node)
        if all(name.isidentifier() for name in text.split(".")):
            return ast.Name(id=text, ctx=ast.Load())
        return node


def _value(name: str, config: Config, choices: Mapping[str, str]) -> Any:
    if name in _WORDS:
        return _WORDS[name]
    if name in choices:
        return choices[name]
    node: Any = config
    for key in name.split("."):
        node = node.get(key) if isinstance(node, dict) else getattr(node, key, None)
    return node
