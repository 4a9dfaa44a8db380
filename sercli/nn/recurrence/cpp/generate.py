"""From the formula of an activation to C++, with its derivative.

The formula is run once on symbols (`torch.fx`), which records the operations it is made of. Each
operation has a rule: the C++ of its value, and that of what it passes back to its operands. The
derivative is reverse-mode differentiation, written out line by line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import fx, nn

from sercli.nn.activations import Activation
from sercli.nn.recurrence.cpp.build import NoKernelError


@dataclass(frozen=True)
class Rule:
    """The C++ of one operation on vectors of numbers.

    In both, ``{0}``, ``{1}``, … are the operands; in ``backward`` also ``{y}``, the value, and
    ``{g}``, the gradient of the value.

    Attributes:
        value: The value.
        backward: The gradients of the operands, in their order.
        defaults: Operands that may be left out, with their values, by name.
    """

    value: str
    backward: tuple[str, ...] = ()
    defaults: tuple[tuple[str, float], ...] = ()


RULES = {
    "add": Rule("{0} + {1}", ("{g}", "{g}")),
    "sub": Rule("{0} - {1}", ("{g}", "{g}.neg()")),
    "mul": Rule("{0} * {1}", ("{g} * {1}", "{g} * {0}")),
    "truediv": Rule("{0} / {1}", ("{g} / {1}", "{g}.neg() * {y} / {1}")),
    "neg": Rule("{0}.neg()", ("{g}.neg()",)),
    "abs": Rule("{0}.abs()", ("{g} * sign({0})",)),
    "pow": Rule("power({0}, {1})", ("{g} * power_slope({0}, {1})",)),
    "square": Rule("{0} * {0}", ("{g} * V(T(2)) * {0}",)),
    "sqrt": Rule("{0}.sqrt()", ("{g} / ({y} + {y})",)),
    "rsqrt": Rule("{0}.rsqrt()", ("{g} * V(T(-0.5)) * {y} * {y} * {y}",)),
    "reciprocal": Rule("{0}.reciprocal()", ("{g}.neg() * {y} * {y}",)),
    "sign": Rule("sign({0})"),
    "gt": Rule("{0} > {1}"),
    "ge": Rule("{0} >= {1}"),
    "lt": Rule("{0} < {1}"),
    "le": Rule("{0} <= {1}"),
    "where": Rule(
        "choose({0}, {1}, {2})", ("", "choose({0}, {g}, V(T(0)))", "choose({0}, V(T(0)), {g})")
    ),
    "maximum": Rule(
        "at::vec::maximum({0}, {1})", ("larger({0}, {1}, {g})", "larger({1}, {0}, {g})")
    ),
    "minimum": Rule(
        "at::vec::minimum({0}, {1})", ("larger({1}, {0}, {g})", "larger({0}, {1}, {g})")
    ),
    "clamp": Rule(
        "at::vec::clamp({0}, {1}, {2})",
        ("choose(({0} >= {1}) & ({0} <= {2}), {g}, V(T(0)))",),
        (("min", -float("inf")), ("max", float("inf"))),
    ),
    "exp": Rule("{0}.exp()", ("{g} * {y}",)),
    "expm1": Rule("{0}.expm1()", ("{g} * ({y} + V(T(1)))",)),
    "log": Rule("{0}.log()", ("{g} / {0}",)),
    "log1p": Rule("{0}.log1p()", ("{g} / ({0} + V(T(1)))",)),
    "sin": Rule("{0}.sin()", ("{g} * {0}.cos()",)),
    "cos": Rule("{0}.cos()", ("{g}.neg() * {0}.sin()",)),
    "atan": Rule("{0}.atan()", ("{g} / ({0} * {0} + V(T(1)))",)),
    "erf": Rule("{0}.erf()", ("{g} * erf_slope({0})",)),
    "tanh": Rule("{0}.tanh()", ("{g} * (V(T(1)) - {y} * {y})",)),
    "sigmoid": Rule("sigmoid({0})", ("{g} * {y} * (V(T(1)) - {y})",)),
    "relu": Rule("at::vec::maximum({0}, V(T(0)))", ("choose({0} > V(T(0)), {g}, V(T(0)))",)),
    "softplus": Rule("softplus({0})", ("{g} * sigmoid({0})",)),
    "silu": Rule("{0} * sigmoid({0})", ("{g} * silu_slope({0})",)),
    "mish": Rule("{0} * softplus({0}).tanh()", ("{g} * mish_slope({0})",)),
    "gelu": Rule("gelu({0})", ("{g} * gelu_slope({0})",)),
    "softsign": Rule("{0} / ({0}.abs() + V(T(1)))", ("{g} * softsign_slope({0})",)),
    "leaky_relu": Rule(
        "{0} * choose({0} > V(T(0)), V(T(1)), {1})",
        ("{g} * choose({0} > V(T(0)), V(T(1)), {1})",),
        (("negative_slope", 0.01),),
    ),
    "elu": Rule(
        "elu({0}, V(T(1)), {1}, V(T(1)))",
        ("{g} * elu_slope({0}, V(T(1)), {1}, V(T(1)))",),
        (("alpha", 1.0),),
    ),
    "celu": Rule(
        "elu({0}, V(T(1)), {1}, {1})",
        ("{g} * elu_slope({0}, V(T(1)), {1}, {1})",),
        (("alpha", 1.0),),
    ),
    "selu": Rule(
        "elu({0}, V(T(SELU_SCALE)), V(T(SELU_SCALE * SELU_ALPHA)), V(T(1)))",
        ("{g} * elu_slope({0}, V(T(SELU_SCALE)), V(T(SELU_SCALE * SELU_ALPHA)), V(T(1)))",),
    ),
    "hardtanh": Rule(
        "at::vec::clamp({0}, {1}, {2})",
        ("choose(({0} > {1}) & ({0} < {2}), {g}, V(T(0)))",),
        (("min_val", -1.0), ("max_val", 1.0)),
    ),
}
"""By the name of the function or method of torch or of Python's ``operator``."""

_ALIASES = {"div": "truediv", "clip": "clamp", "negative": "neg", "arctan": "atan"}


def source(activation: nn.Module, coefficients: int) -> str:
    """Write the C++ of an activation.

    Args:
        activation: An `Activation`, or a module of others without parameters.
        coefficients: How many coefficients its formula takes.

    Raises:
        NoKernelError: It does something that has no rule; the message names it.
    """
    graph = _trace(activation, coefficients)
    values, names = _values(graph)
    output = next(node for node in graph.nodes if node.op == "output").args[0]
    loads = [f"const V {names[node]} = {_load(i)};" for i, node in enumerate(_inputs(graph))]
    forwards = [*loads, *values, f"{names[output]}.store(value + j);"]
    backwards = _gradients(graph, names, output)
    indent = "\n    "
    return _TEMPLATE.format(
        value=indent.join(forwards), differentiate=indent.join([*forwards, *backwards])
    )


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


def _inputs(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op == "placeholder"]


def _load(i: int) -> str:
    return "V::loadu(x + j)" if i == 0 else f"V::loadu(coefficients[{i - 1}] + j)"


def _values(graph: fx.Graph) -> tuple[list[str], dict[Any, str]]:
    """Return a line for each operation, and the name of each node's value."""
    names: dict[Any, str] = {}
    lines: list[str] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            names[node] = node.name
        elif node.op != "output":
            names[node] = f"v{len(lines)}"
            operands = [_operand(each, names) for each in _operands(node)]
            lines.append(f"const V {names[node]} = {_rule(node).value.format(*operands)};")
    return lines, names


def _gradients(graph: fx.Graph, names: dict[Any, str], output: fx.Node) -> list[str]:
    """Return the lines of the way back."""
    passed: dict[fx.Node, list[str]] = {output: ["V::loadu(gradient + j)"]}
    lines = []
    for node in reversed(list(graph.nodes)):
        if node in passed:
            name = f"g_{names[node]}"
            lines.append(f"const V {name} = {' + '.join(passed[node])};")
            if node.op != "placeholder":
                _pass_back(node, name, names, passed)
    first, *coefficients = _inputs(graph)
    found = f"g_{names[first]}" if first in passed else "V(T(0))"
    lines.append(f"{found}.store(dx + j);")
    for i, node in enumerate(coefficients):
        if node in passed:
            target = f"d_coefficients[{i}] + j"
            lines.append(f"(V::loadu({target}) + g_{names[node]}).store({target});")
    return lines


def _pass_back(
    node: fx.Node, gradient: str, names: dict[Any, str], passed: dict[fx.Node, list[str]]
) -> None:
    """Note what an operation passes back to each of its operands."""
    operands = _operands(node)
    texts = [_operand(each, names) for each in operands]
    for operand, backward in zip(operands, _rule(node).backward, strict=False):
        if isinstance(operand, fx.Node) and backward:
            back = backward.format(*texts, g=gradient, y=names[node])
            passed.setdefault(operand, []).append(back)


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


def _operand(operand: Any, names: dict[Any, str]) -> str:
    if isinstance(operand, fx.Node):
        return names[operand]
    if not isinstance(operand, int | float):
        raise NoKernelError(f"an operand is {operand!r}, not a number")
    if operand in (float("inf"), -float("inf")):
        sign = "-" if operand < 0 else ""
        return f"V({sign}std::numeric_limits<T>::infinity())"
    return f"V(T({operand!r}))"


_TEMPLATE = """\
// Written by sercli/nn/recurrence/cpp/generate.py from the formula of an activation.
#include "functions.h"

namespace {{

template <class T>
void value_of(int64_t n, const T* x, const T* const* coefficients, T* value) {{
  using V = at::vec::Vectorized<T>;
  (void)coefficients;
  for (int64_t j = 0; j < n; j += V::size()) {{
    {value}
  }}
}}

template <class T>
void derivative_of(int64_t n, const T* x, const T* const* coefficients, const T* gradient,
                   T* value, T* dx, T* const* d_coefficients) {{
  using V = at::vec::Vectorized<T>;
  (void)coefficients, (void)d_coefficients;
  for (int64_t j = 0; j < n; j += V::size()) {{
    {differentiate}
  }}
}}

}}  // namespace

extern "C" {{
void value_float(int64_t n, const float* x, const float* const* c, float* y) {{
  value_of(n, x, c, y);
}}
void value_double(int64_t n, const double* x, const double* const* c, double* y) {{
  value_of(n, x, c, y);
}}
void derivative_float(int64_t n, const float* x, const float* const* c, const float* g, float* y,
                      float* dx, float* const* dc) {{
  derivative_of(n, x, c, g, y, dx, dc);
}}
void derivative_double(int64_t n, const double* x, const double* const* c, const double* g,
                       double* y, double* dx, double* const* dc) {{
  derivative_of(n, x, c, g, y, dx, dc);
}}
}}
"""
