"""The steps of the cells, elementwise.

Forwards, from the projected input ``x`` and the recurrent product ``u`` of each gate, in the order
of the weights, and the states ``h`` and ``c`` to the next states and what is kept for the way back.
Backwards, from the gradients of the states after the step, the states before it and what was kept,
to what flows to ``h`` directly and to ``c``, the gradients of the gates before their nonlinearity,
that of the candidate as the recurrent product sees it, and that of the activation's value.
What a cell lacks is filled up with anything that exists.

An activation is a pair of functions and the address of its coefficients: ``at``, ``stride`` apart.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sercli.nn.recurrence.triton.functions import sigmoid, tanh


@triton.jit
def _slope(s):
    return s * (1 - s)  # of a sigmoid with value s


@triton.jit
def gru(x0, x1, x2, x3, u0, u1, u2, u3, h, c, VALUE, coefficients, stride, at, mask):
    r = sigmoid(x0 + u0)
    z = sigmoid(x1 + u1)
    a = x2 + r * u2
    v = VALUE(a, coefficients, stride, at, mask)
    return v + z * (h - v), c, r, z, u2, a, a


@triton.jit
def gru_back(g, dc, h, c, r, z, q, a, k4, SLOPE, coefficients, stride, at, mask):
    dv = g * (1 - z)
    v, da = SLOPE(a, dv, coefficients, stride, at, mask)
    dr = da * q * _slope(r)
    dz = g * (h - v) * _slope(z)
    return g * z, dc, dr, dz, da, da, da * r, dv


@triton.jit
def gru_before(x0, x1, x2, x3, u0, u1, u2, u3, h, c, VALUE, coefficients, stride, at, mask):
    r = sigmoid(x0 + u0)
    z = sigmoid(x1 + u1)
    a = x2 + u2
    v = VALUE(a, coefficients, stride, at, mask)
    return v + z * (h - v), c, r, z, a, a, a


@triton.jit
def gru_before_back(g, dc, h, c, r, z, a, k3, k4, SLOPE, coefficients, stride, at, mask):
    # The gradient of r comes after the product of the candidate's, in the loop.
    dv = g * (1 - z)
    v, da = SLOPE(a, dv, coefficients, stride, at, mask)
    dz = g * (h - v) * _slope(z)
    return g * z, dc, h * _slope(r), dz, da, da, da, dv


@triton.jit
def li_gru(x0, x1, x2, x3, u0, u1, u2, u3, h, c, VALUE, coefficients, stride, at, mask):
    z = sigmoid(x0 + u0)
    a = x1 + u1
    v = VALUE(a, coefficients, stride, at, mask)
    return v + z * (h - v), c, z, a, a, a, a


@triton.jit
def li_gru_back(g, dc, h, c, z, a, k2, k3, k4, SLOPE, coefficients, stride, at, mask):
    dv = g * (1 - z)
    v, da = SLOPE(a, dv, coefficients, stride, at, mask)
    dz = g * (h - v) * _slope(z)
    return g * z, dc, dz, da, da, da, da, dv


@triton.jit
def lstm(x0, x1, x2, x3, u0, u1, u2, u3, h, c, VALUE, coefficients, stride, at, mask):
    i = sigmoid(x0 + u0)
    f = sigmoid(x1 + u1)
    a = x2 + u2
    o = sigmoid(x3 + u3)
    c = f * c + i * VALUE(a, coefficients, stride, at, mask)
    return o * tanh(c), c, i, f, a, o, c


@triton.jit
def lstm_back(g, dc, h, c, i, f, a, o, now, SLOPE, coefficients, stride, at, mask):
    squashed = tanh(now)
    do = g * squashed * _slope(o)
    dc = dc + g * o * (1 - squashed * squashed)
    dv = dc * i
    v, da = SLOPE(a, dv, coefficients, stride, at, mask)
    di = dc * v * _slope(i)
    df = dc * c * _slope(f)
    return tl.zeros_like(g), dc * f, di, df, da, do, da, dv


@triton.jit
def rnn(x0, x1, x2, x3, u0, u1, u2, u3, h, c, VALUE, coefficients, stride, at, mask):
    a = x0 + u0
    v = VALUE(a, coefficients, stride, at, mask)
    return v, c, a, a, a, a, a


@triton.jit
def rnn_back(g, dc, h, c, a, k1, k2, k3, k4, SLOPE, coefficients, stride, at, mask):
    _, da = SLOPE(a, g, coefficients, stride, at, mask)
    return tl.zeros_like(g), dc, da, da, da, da, da, g
