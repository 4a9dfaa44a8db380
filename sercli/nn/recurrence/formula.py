"""From the formula of an activation to the lines that compute it and its derivative.

The formula is run once on symbols (`torch.fx`), which records the operations it is made of. Each
operation has a rule: the expression of its value, and that of what it passes back to its operands.
The derivative is reverse-mode differentiation, written out line by line. Expressions use infix
operators and the functions that every language of a backend defines: ``functions.h`` in C++,
``functions.py`` in Triton.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import fx, nn

from sercli.nn.activations import Activation
from sercli.nn.recurrence.cpp.build import NoKernelError


@dataclass(frozen=True)
class Rule:
    """The expressions of one operation.

    In both, ``{0}``, ``{1}``, … are the operands and ``#2`` is the number 2; in ``backward`` also
    ``{y}``, the value, and ``{g}``, the gradient of the value.

    Attributes:
        value: The value.
        backward: The gradients of the operands, in their order.
        defaults: Operands that may be left out, with their values, by name.
    """

    value: str
    backward: tuple[str, ...] = ()
    defaults: tuple[tuple[str, float], ...] = ()


_SELU = "#1.0507009873554805, #1.7580993408473766, #1"
"""Scale λ, λ·α and bend: self-normalising networks (Klambauer et al. 2017), as torch.nn.SELU."""

RULES = {
    "add": Rule("{0} + {1}", ("{g}", "{g}")),
    "sub": Rule("{0} - {1}", ("{g}", "neg({g})")),
    "mul": Rule("{0} * {1}", ("{g} * {1}", "{g} * {0}")),
    "truediv": Rule("{0} / {1}", ("{g} / {1}", "neg({g}) * {y} / {1}")),
    "neg": Rule("neg({0})", ("neg({g})",)),
    "abs": Rule("absolute({0})", ("{g} * sign({0})",)),
    "pow": Rule("power({0}, {1})", ("{g} * power_slope({0}, {1})",)),
    "square": Rule("{0} * {0}", ("{g} * #2 * {0}",)),
    "sqrt": Rule("sqrt({0})", ("{g} / ({y} + {y})",)),
    "rsqrt": Rule("#1 / sqrt({0})", ("{g} * #-0.5 * {y} * {y} * {y}",)),
    "reciprocal": Rule("#1 / {0}", ("neg({g}) * {y} * {y}",)),
    "sign": Rule("sign({0})"),
    "gt": Rule("{0} > {1}"),
    "ge": Rule("{0} >= {1}"),
    "lt": Rule("{0} < {1}"),
    "le": Rule("{0} <= {1}"),
    "where": Rule("choose({0}, {1}, {2})", ("", "choose({0}, {g}, #0)", "choose({0}, #0, {g})")),
    "maximum": Rule("maximum({0}, {1})", ("larger({0}, {1}, {g})", "larger({1}, {0}, {g})")),
    "minimum": Rule("minimum({0}, {1})", ("larger({1}, {0}, {g})", "larger({0}, {1}, {g})")),
    "clamp": Rule(
        "clamp({0}, {1}, {2})",
        ("choose(({0} >= {1}) & ({0} <= {2}), {g}, #0)",),
        (("min", -float("inf")), ("max", float("inf"))),
    ),
    "exp": Rule("exp({0})", ("{g} * {y}",)),
    "expm1": Rule("expm1({0})", ("{g} * ({y} + #1)",)),
    "log": Rule("log({0})", ("{g} / {0}",)),
    "log1p": Rule("log1p({0})", ("{g} / ({0} + #1)",)),
    "sin": Rule("sin({0})", ("{g} * cos({0})",)),
    "cos": Rule("cos({0})", ("neg({g}) * sin({0})",)),
    "atan": Rule("atan({0})", ("{g} / ({0} * {0} + #1)",)),
    "erf": Rule("erf({0})", ("{g} * erf_slope({0})",)),
    "tanh": Rule("tanh({0})", ("{g} * (#1 - {y} * {y})",)),
    "sigmoid": Rule("sigmoid({0})", ("{g} * {y} * (#1 - {y})",)),
    "relu": Rule("maximum({0}, #0)", ("choose({0} > #0, {g}, #0)",)),
    "softplus": Rule("softplus({0})", ("{g} * sigmoid({0})",)),
    "silu": Rule("{0} * sigmoid({0})", ("{g} * silu_slope({0})",)),
    "mish": Rule("{0} * tanh(softplus({0}))", ("{g} * mish_slope({0})",)),
    "gelu": Rule("gelu({0})", ("{g} * gelu_slope({0})",)),
    "softsign": Rule("{0} / (absolute({0}) + #1)", ("{g} * softsign_slope({0})",)),
    "leaky_relu": Rule(
        "{0} * choose({0} > #0, #1, {1})",
        ("{g} * choose({0} > #0, #1, {1})",),
        (("negative_slope", 0.01),),
    ),
    "elu": Rule("elu({0}, #1, {1}, #1)", ("{g} * elu_slope({0}, #1, {1}, #1)",), (("alpha", 1.0),)),
    "celu": Rule(
        "elu({0}, #1, {1}, {1})", ("{g} * elu_slope({0}, #1, {1}, {1})",), (("alpha", 1.0),)
    ),
    "selu": Rule(f"elu({{0}}, {_SELU})", (f"{{g}} * elu_slope({{0}}, {_SELU})",)),
    "hardtanh": Rule(
        "clamp({0}, {1}, {2})",
        ("choose(({0} > {1}) & ({0} < {2}), {g}, #0)",),
        (("min_val", -1.0), ("max_val", 1.0)),
    ),
}
"""By the name of the function or method of torch or of Python's ``operator``."""

_ALIASES = {"div": "truediv", "clip": "clamp", "negative": "neg", "arctan": "atan"}


@dataclass(frozen=True)
class Language:
    """The notation of a backend for numbers and lines.

    Attributes:
        number: The text of a number.
        line: A definition, of ``{name}`` and ``{value}``.
        gradient: The gradient of the value, where it begins.
    """

    number: Callable[[float], str]
    line: str
    gradient: str

    def expression(self, rule: str, operands: Sequence[str], **given: str) -> str:
        """Fill in an expression of a rule."""
        text = re.sub(r"#(-?[\d.]+)", lambda found: self.number(float(found[1])), rule)
        return text.format(*operands, **given)


@dataclass(frozen=True)
class Lines:
    """An activation, line by line.

    Attributes:
        inputs: Names of the input and of the coefficients, which stand for themselves.
        forward: The lines that compute the value.
        value: Its name.
        backward: The lines that compute the gradients, after those of the value.
        gradients: For each input the name of its gradient; None: it has none.
    """

    inputs: tuple[str, ...]
    forward: tuple[str, ...]
    value: str
    backward: tuple[str, ...]
    gradients: tuple[str | None, ...]


def lines_of(activation: nn.Module, coefficients: int, language: Language) -> Lines:
    """Write an activation and its derivative in a language.

    Args:
        activation: An `Activation`, or a module of others without parameters.
        coefficients: Number of coefficients that its formula takes.
        language: The language.

    Raises:
        NoKernelError: It does something that has no rule; the message names it.
    """
    return _Writer(_trace(activation, coefficients), language).write()


def _trace(activation: nn.Module, coefficients: int) -> fx.Graph:
    formula: Callable[..., Any] = (
        activation.formula if isinstance(activation, Activation) else activation.forward
    )
    graph = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)
    names = ["input", *(f"c{i}" for i in range(coefficients))]
    try:
        result = formula(*(fx.Proxy(graph.placeholder(name), tracer) for name in names))
        graph.output(result.node)
    except Exception as error:  # whatever a formula that cannot be traced raises
        raise NoKernelError(
            f"the formula of {type(activation).__name__} cannot be traced ({error})",
            worth_saying=True,
        ) from error
    graph.eliminate_dead_code()
    return graph


class _Writer:
    """Writes the lines of one graph."""

    def __init__(self, graph: fx.Graph, language: Language) -> None:
        self._graph = graph
        self._language = language
        self._names: dict[Any, str] = {}

    def write(self) -> Lines:
        forward = self._values()
        inputs = [node for node in self._graph.nodes if node.op == "placeholder"]
        output = next(node for node in self._graph.nodes if node.op == "output").args[0]
        backward, gradients = self._gradients(output)
        return Lines(
            tuple(self._names[node] for node in inputs),
            tuple(forward),
            self._names[output],
            tuple(backward),
            tuple(gradients.get(node) for node in inputs),
        )

    def _values(self) -> list[str]:
        """Return a line for each operation, and give each node's value a name."""
        lines: list[str] = []
        for node in self._graph.nodes:
            if node.op == "placeholder":
                self._names[node] = node.name
            elif node.op != "output":
                name = f"v{len(lines)}"
                lines.append(self._line(name, self._filled(node, _rule(node).value)))
                self._names[node] = name
        return lines

    def _gradients(self, output: fx.Node) -> tuple[list[str], dict[fx.Node, str]]:
        """Return the lines of the way back, and the name of the gradient of each input."""
        passed: dict[fx.Node, list[str]] = {output: [self._language.gradient]}
        lines, gradients = [], {}
        for node in reversed(list(self._graph.nodes)):
            if node not in passed:
                continue
            name = f"g_{self._names[node]}"
            lines.append(self._line(name, " + ".join(passed[node])))
            if node.op == "placeholder":
                gradients[node] = name
            else:
                self._pass_back(node, name, passed)
        return lines, gradients

    def _pass_back(self, node: fx.Node, gradient: str, passed: dict[fx.Node, list[str]]) -> None:
        """Note what an operation passes back to each of its operands."""
        for operand, backward in zip(_operands(node), _rule(node).backward, strict=False):
            if isinstance(operand, fx.Node) and backward:
                back = self._filled(node, backward, g=gradient, y=self._names[node])
                passed.setdefault(operand, []).append(back)

    def _filled(self, node: fx.Node, rule: str, **given: str) -> str:
        operands = [self._operand(each) for each in _operands(node)]
        return self._language.expression(rule, operands, **given)

    def _operand(self, operand: Any) -> str:
        if isinstance(operand, fx.Node):
            return self._names[operand]
        if not isinstance(operand, int | float):
            raise NoKernelError(f"an operand is {operand!r}, not a number")
        return self._language.number(operand)

    def _line(self, name: str, value: str) -> str:
        return self._language.line.format(name=name, value=value)


def _rule(node: fx.Node) -> Rule:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
    name = name.strip("_")
    name = _ALIASES.get(name, name)
    if name == "pow" and node.args[1] == 2:
        name = "square"
    if node.op not in ("call_function", "call_method") or name not in RULES:
        raise NoKernelError(
            f"'{name}', which an activation uses, has no rule in {Path(__file__).name}",
            worth_saying=True,
        )
    return RULES[name]


_WITHOUT_EFFECT = {"inplace": False, "approximate": "none"}
"""Settings that torch's functions record at these defaults."""


def _operands(node: fx.Node) -> list[Any]:
    """Return the operands of an operation, left-out ones at their defaults."""
    operands, settings = list(node.args), dict(node.kwargs)
    for position, (name, default) in enumerate(_rule(node).defaults, start=1):
        given = operands[position] if position < len(operands) else settings.pop(name, None)
        operands[position : position + 1] = [default if given is None else given]
    unknown = settings.items() - _WITHOUT_EFFECT.items()
    if unknown:
        raise NoKernelError(f"{node.name} has settings without a rule: {dict(unknown)}")
    return operands
