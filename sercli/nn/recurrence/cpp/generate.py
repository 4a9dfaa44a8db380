"""Write the C++ of an activation and of its derivative, from its formula."""

from __future__ import annotations

from torch import nn

from sercli.nn.recurrence.formula import Language, lines_of


def source(activation: nn.Module, coefficients: int) -> str:
    """Write the C++ of an activation.

    Args:
        activation: An `Activation`, or a module of others without parameters.
        coefficients: Number of coefficients of its formula.

    Raises:
        NoKernelError: It does something that has no rule; the message names it.
    """
    lines = lines_of(activation, coefficients, _CPP)
    addresses = ["x + j", *(f"coefficients[{i}] + j" for i in range(coefficients))]
    loads = [
        f"const V {name} = V::loadu({address});"
        for name, address in zip(lines.inputs, addresses, strict=True)
    ]
    forward = [*loads, *lines.forward, f"{lines.value}.store(value + j);"]
    first, *others = lines.gradients
    stores = [f"{first or _number(0)}.store(dx + j);"]
    for i, gradient in enumerate(others):
        if gradient is not None:
            target = f"d_coefficients[{i}] + j"
            stores.append(f"(V::loadu({target}) + {gradient}).store({target});")
    indent = "\n    "
    return _TEMPLATE.format(
        value=indent.join(forward), differentiate=indent.join([*forward, *lines.backward, *stores])
    )


def _number(number: float) -> str:
    if number in (float("inf"), -float("inf")):
        sign = "-" if number < 0 else ""
        return f"V({sign}std::numeric_limits<T>::infinity())"
    return f"V(T({number!r}))"


_CPP = Language(_number, "const V {name} = {value};", "V::loadu(gradient + j)")

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
