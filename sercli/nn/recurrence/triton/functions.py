"""Functions that formulas of activations are made of, elementwise in float32.

Those that triton lacks, or has only as an approximation with a large relative error near zero,
are series there.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = [
    "absolute",
    "atan",
    "choose",
    "clamp",
    "cos",
    "elu",
    "elu_slope",
    "erf",
    "erf_slope",
    "exp",
    "expm1",
    "gelu",
    "gelu_slope",
    "larger",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "mish_slope",
    "neg",
    "power",
    "power_slope",
    "sigmoid",
    "sign",
    "silu_slope",
    "sin",
    "softplus",
    "softsign_slope",
    "sqrt",
    "tanh",
]


@triton.jit
def neg(x):
    return -x


@triton.jit
def absolute(x):
    return tl.abs(x)


@triton.jit
def choose(mask, yes, no):
    return tl.where(mask, yes, no)


@triton.jit
def sign(x):
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, 0.0))


@triton.jit
def maximum(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def minimum(a, b):
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def clamp(x, low, high):
    return minimum(maximum(x, low), high)


@triton.jit
def larger(a, b, g):
    # The gradient goes to the larger number, and halves to both where they are equal, as in torch.
    return tl.where(a > b, g, tl.where(a == b, g * 0.5, 0.0))


@triton.jit
def sqrt(x):
    return tl.sqrt(x)


@triton.jit
def exp(x):
    return tl.exp(x)


@triton.jit
def log(x):
    return tl.log(x)


@triton.jit
def sin(x):
    return tl.sin(x)


@triton.jit
def cos(x):
    return tl.cos(x)


@triton.jit
def erf(x):
    return tl.erf(x)


@triton.jit
def expm1(x):
    series = 1 + x / 5 * (1 + x / 6 * (1 + x / 7))
    series = x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * series)))
    return tl.where(tl.abs(x) < 0.35, series, tl.exp(x) - 1)


@triton.jit
def log1p(x):
    s = x / (2 + x)  # log(1 + x) = 2 artanh(s)
    s2 = s * s
    series = 2 * s * (1 + s2 * (1 / 3 + s2 * (1 / 5 + s2 * (1 / 7 + s2 * (1 / 9)))))
    return tl.where((x > -0.3) & (x < 0.5), series, tl.log(1 + x))


@triton.jit
def tanh(x):
    x2 = x * x
    series = -1 / 3 + x2 * (2 / 15 + x2 * (-17 / 315 + x2 * (62 / 2835)))
    size = 1 - 2 / (1 + tl.exp(2 * tl.abs(x)))
    return tl.where(tl.abs(x) < 0.3, x + x * x2 * series, tl.where(x < 0, -size, size))


@triton.jit
def atan(x):
    size = tl.abs(x)
    small = tl.where(size > 1, 1 / size, size)
    half = small / (1 + tl.sqrt(1 + small * small))  # tan of half the angle
    h2 = half * half
    series = 1 / 9 + h2 * (-1 / 11 + h2 * (1 / 13 - h2 * (1 / 15)))
    series = 1 + h2 * (-1 / 3 + h2 * (1 / 5 + h2 * (-1 / 7 + h2 * series)))
    angle = 2 * half * series
    angle = tl.where(size > 1, 1.5707963267948966 - angle, angle)
    return tl.where(x < 0, -angle, angle)


@triton.jit
def power(x, n):
    size = tl.exp2(n * tl.log2(tl.abs(x)))
    whole = tl.floor(tl.zeros_like(x) + n)
    odd = whole - 2 * tl.floor(whole / 2)
    below = tl.where(whole == n, size * (1 - 2 * odd), float("nan"))
    none = (whole == 0) & (whole == n)
    return tl.where(none, 1.0, tl.where(x < 0, below, size))


@triton.jit
def power_slope(x, n):
    return n * power(x, n - 1)


@triton.jit
def sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
def softplus(x):
    return maximum(x, 0.0) + log1p(tl.exp(-tl.abs(x)))


@triton.jit
def erf_slope(x):
    return 1.1283791670955126 * tl.exp(-x * x)  # 2/√π


@triton.jit
def silu_slope(x):
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


@triton.jit
def mish_slope(x):
    t = tanh(softplus(x))
    return t + x * sigmoid(x) * (1 - t * t)


@triton.jit
def normal_share(x):
    return 0.5 * (1 + tl.erf(x * 0.7071067811865476))  # Φ(x)


@triton.jit
def gelu(x):
    return x * normal_share(x)


@triton.jit
def gelu_slope(x):
    return normal_share(x) + x * 0.3989422804014327 * tl.exp(x * x * -0.5)


@triton.jit
def softsign_slope(x):
    d = 1 + tl.abs(x)
    return 1 / (d * d)


@triton.jit
def elu(x, scale, height, bend):
    # x·scale above zero, below it height·expm1(x / bend): ELU, CELU and SELU.
    return tl.where(x > 0, scale * x, height * expm1(minimum(x, 0.0) / bend))


@triton.jit
def elu_slope(x, scale, height, bend):
    return tl.where(x > 0, scale, height / bend * tl.exp(minimum(x, 0.0) / bend))
