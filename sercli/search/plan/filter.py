"""The filter of a plan: an expression over configuration keys, evaluated by simpleeval."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any, cast

from simpleeval import DEFAULT_OPERATORS, EvalWithCompoundTypes, InvalidExpression

from sercli.config.schema import Config
from sercli.config.settings import GROUPS
from sercli.errors import RequestError, nearest

_OPERATORS = {
    part: DEFAULT_OPERATORS[part]
    for part in (
        *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
        *(ast.Not, ast.USub, ast.Add, ast.Sub, ast.Mult, ast.Div),
    )
}
_NODES = (
    *(ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare),
    *(ast.Name, ast.Constant, ast.Tuple, ast.List),
)
_CONSTANTS = {"null": None, "true": True, "false": False}
"""Constants as a configuration writes them; an expression may use Python's, too."""


class Filter:
    """Excludes points by an expression: ``activation != 'arelu' and arelu.alpha != 0.01``.

    A dotted key has its value, a group its choice (``activation in ('tanh', 'relu')``), and a key
    that a point lacks is null. Expressions have comparisons, ``and``, ``or``, ``not``, ``in`` and
    arithmetic; they cannot call or look up anything.

    >>> from sercli.config.frozen import choices_of, freeze, leaves_of, thaw
    >>> base = freeze(["activation=arelu"])
    >>> excludes = Filter("activation == 'arelu' and arelu.alpha > 0.5", leaves_of(base))
    >>> excludes(thaw(base, {"arelu.alpha": 0.9}), choices_of(base))
    True

    Args:
        expression: The expression.
        keys: Leaves of the configurations to filter.

    Raises:
        RequestError: The expression cannot be parsed, or names an unknown key.
    """

    def __init__(self, expression: str, keys: Collection[str]) -> None:
        self.expression = " ".join(expression.split("\n")).strip()
        self._tree = _parse(self.expression)
        self._evaluator = EvalWithCompoundTypes(operators=_OPERATORS, functions={})
        self._evaluator.nodes = {kind: self._evaluator.nodes[kind] for kind in _NODES}
        self._names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        known = {*keys, *GROUPS, *_CONSTANTS}
        for name in sorted(self._names - known):
            hint = nearest(name, known)
            raise RequestError(f"exclude '{self.expression}': unknown key '{name}'.{hint}")

    def __call__(self, config: Config, choices: Mapping[str, str]) -> bool:
        """Return True if the point is excluded.

        Args:
            config: Configuration of the point.
            choices: Group → choice.

        Raises:
            RequestError: The expression cannot be evaluated for this point.
        """
        values = {name: _value(name, config, choices) for name in self._names}
        self._evaluator.names = values
        try:
            return bool(self._evaluator.eval(self.expression, previously_parsed=self._tree))
        except (InvalidExpression, TypeError, ArithmeticError, RecursionError) as error:
            found = ", ".join(f"{x}={values[x]!r}" for x in sorted(self._names - {*_CONSTANTS}))
            point = f" for {found}" if found else ""
            raise RequestError(
                f"exclude '{self.expression}' cannot be evaluated{point}: {error}"
            ) from error


def _parse(expression: str) -> ast.expr:
    try:
        return cast("ast.expr", _DottedNames().visit(ast.parse(expression, mode="eval").body))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RequestError(
            f"exclude '{expression}' is not an expression; expected e.g. "
            "activation != 'arelu' and arelu.alpha != 0.01"
        ) from error


class _DottedNames(ast.NodeTransformer):
    """Turns ``arelu.alpha`` into one name, so that no attribute is ever looked up."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        text = ast.unparse(node)
        if all(name.isidentifier() for name in text.split(".")):
            return ast.Name(id=text, ctx=ast.Load())
        return node


def _value(name: str, config: Config, choices: Mapping[str, str]) -> Any:
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name in choices:
        return choices[name]
    node: Any = config
    for key in name.split("."):
        node = node.get(key) if isinstance(node, dict) else getattr(node, key, None)
    return node
