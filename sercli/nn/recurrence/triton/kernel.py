"""The loops over time.

A program takes a tile of BM sequences of one recurrence through all of its steps, and computes a
slice of HS of the H hidden units. Where one slice holds all units (SLICES = 1), programs are
independent. Else those of a tile exchange what their products need, through memory: each writes its
part, waits until all have, and reads the whole.

A sequence begins with round 0 in either direction, so that reversed ones meet no padding, and a
tile ends with its longest sequence.
"""

from __future__ import annotations

import triton
import triton.language as tl

_CHANGING = ["forwards", "G", "T", "B", "tiles"]
"""Arguments that differ from batch to batch; no value of theirs is compiled for."""


@triton.jit
def _place(
    lengths,
    order,
    T,
    B,
    H: tl.constexpr,
    tiles,
    BM: tl.constexpr,
    HS: tl.constexpr,
    SLICES: tl.constexpr,
    PADDED: tl.constexpr,
):
    # Recurrence, position in its tile, sequences and their lengths, units, and which exist.
    program = tl.program_id(0)
    tile = program // SLICES
    g = tile // tiles
    member = (tile % tiles) * BM + tl.arange(0, BM)
    inside = member < B
    if PADDED:
        row = tl.load(order + g * B + member, mask=inside, other=0).to(tl.int32)
        length = tl.load(lengths + g * B + row, mask=inside, other=0).to(tl.int32)
        length = tl.minimum(length, T)  # so that a wrong one leaves memory alone
    else:
        row = tl.where(inside, member, 0)
        length = tl.where(inside, T, 0)
    unit = (program % SLICES) * HS + tl.arange(0, HS)
    return tile, g.to(tl.int64), row, length, unit, inside[:, None] & (unit < H)[None, :]


@triton.jit
def _weight(
    weights,
    g,
    block,
    unit,
    H: tl.constexpr,
    GATES: tl.constexpr,
    HP: tl.constexpr,
    HS: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BACK: tl.constexpr,
):
    # The slice of one block of H × H, (HP, HS) or in PARTS of HP, as the right side of products.
    if PARTS <= 1:
        k = tl.arange(0, HP)[:, None]
        n = unit[None, :]
    else:
        part: tl.constexpr = HP // PARTS
        k = tl.arange(0, PARTS)[:, None, None] * part + tl.arange(0, part)[None, :, None]
        n = unit[None, None, :]
    from_unit = k if BACK else n
    to_unit = n if BACK else k
    at = (g * GATES + block) * H * H + from_unit * H + to_unit
    weight = tl.load(weights + at, mask=(k < H) & (n < H), other=0.0)
    if PRECISION == "bf16":
        weight = weight.to(tl.bfloat16)
    return weight


@triton.jit
def _product(whole, weight, PARTS: tl.constexpr, PRECISION: tl.constexpr):
    if PARTS == 0:
        if PRECISION == "bf16":
            whole = whole.to(tl.bfloat16).to(tl.float32)
        result = tl.sum(whole[:, :, None] * weight.to(tl.float32)[None, :, :], 1)
    elif PRECISION == "bf16":
        result = tl.dot(whole.to(tl.bfloat16), weight)
    else:
        result = tl.dot(whole, weight, input_precision=PRECISION)
    if PARTS > 1:
        result = tl.sum(result, 0)
    return result


@triton.jit
def _put(room, block, values, unit, BM: tl.constexpr, HP: tl.constexpr, SLICES: tl.constexpr):
    if SLICES > 1:
        at = (block * BM + tl.arange(0, BM))[:, None] * HP + unit[None, :]
        tl.store(room + at, values)


@triton.jit
def _meet(counter, times, SLICES: tl.constexpr):
    if SLICES > 1:
        tl.debug_barrier()
        tl.atomic_add(counter, 1, sem="release", scope="gpu")
        while tl.atomic_add(counter, 0, sem="acquire", scope="gpu") < times * SLICES:
            pass
        tl.debug_barrier()


@triton.jit
def _get(
    room,
    block,
    values,
    BM: tl.constexpr,
    HP: tl.constexpr,
    PARTS: tl.constexpr,
    SLICES: tl.constexpr,
):
    # All units of a tile, (BM, HP) or in PARTS of HP, as the left side of products.
    if SLICES == 1:
        whole = values
    elif PARTS <= 1:
        at = (block * BM + tl.arange(0, BM))[:, None] * HP + tl.arange(0, HP)[None, :]
        whole = tl.load(room + at, cache_modifier=".cg")
    else:
        part: tl.constexpr = HP // PARTS
        k = tl.arange(0, PARTS)[:, None, None] * part + tl.arange(0, part)[None, None, :]
        at = (block * BM + tl.arange(0, BM))[None, :, None] * HP + k
        whole = tl.load(room + at, cache_modifier=".cg")
    return whole


@triton.jit
def _inputs(i, x, x_step, length, unit, mask, reverse, H: tl.constexpr, GATES: tl.constexpr):
    # Those of round i, of every gate.
    active = mask & (i < length)[:, None]
    t = tl.where(reverse, length - 1 - i, i).to(tl.int64)
    at = x + (t * x_step)[:, None] + unit[None, :]
    x0 = tl.load(at, mask=active, other=0.0)
    x1 = x0
    x2 = x0
    x3 = x0
    if GATES > 1:
        x1 = tl.load(at + H, mask=active, other=0.0)
    if GATES > 2:
        x2 = tl.load(at + 2 * H, mask=active, other=0.0)
    if GATES > 3:
        x3 = tl.load(at + 3 * H, mask=active, other=0.0)
    return x0, x1, x2, x3


@triton.jit
def _bias(at, block, unit, H: tl.constexpr):
    return tl.load(at + block * H + unit, mask=unit < H, other=0.0)[None, :]


@triton.jit(do_not_specialize=_CHANGING)
def forward(
    x,  # projected inputs (G, T, B, GATES·H), of any strides but the last
    x_recurrence,
    x_step,
    x_row,
    weights,  # (G, GATES·H, H)
    bias,  # (G, GATES·H), added to the recurrent products if BIASED
    h_start,  # (G, B, H), if STARTED; else zeros
    c_start,
    coefficients,
    c_recurrence,
    c_index,
    c_row,
    c_unit,
    lengths,  # (G, B), and the order of the sequences, if PADDED
    order,
    states,  # (G, T, B, H)
    h_final,  # (G, B, H)
    c_final,
    kept,  # (G, KEPT, T, B, H)
    rooms,  # (2, tiles, blocks, BM, HP)
    counters,
    forwards,  # recurrences from this one on are reversed
    G,
    T,
    B,
    tiles,
    H: tl.constexpr,
    STEP: tl.constexpr,
    VALUE: tl.constexpr,
    GATES: tl.constexpr,
    KEPT: tl.constexpr,
    CELL_STATE: tl.constexpr,
    RESET_BEFORE: tl.constexpr,
    BIASED: tl.constexpr,
    KEEP: tl.constexpr,
    BLOCKS: tl.constexpr,
    BM: tl.constexpr,
    HP: tl.constexpr,
    HS: tl.constexpr,
    SLICES: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    STARTED: tl.constexpr,
    PADDED: tl.constexpr,
):
    tile, g, row, length, unit, mask = _place(
        lengths, order, T, B, H, tiles, BM, HS, SLICES, PADDED
    )
    reverse = g >= forwards
    own = (g * B + row)[:, None] * H + unit[None, :]
    h = tl.zeros([BM, HS], tl.float32)
    c = h
    if STARTED:
        h = tl.load(h_start + own, mask=mask, other=0.0)
        c = h
        if CELL_STATE:
            c = tl.load(c_start + own, mask=mask, other=0.0)
    w0 = _weight(weights, g, 0, unit, H, GATES, HP, HS, PARTS, PRECISION, False)
    w1 = w0
    w2 = w0
    w3 = w0
    if GATES > 1:
        w1 = _weight(weights, g, 1, unit, H, GATES, HP, HS, PARTS, PRECISION, False)
    if GATES > 2:
        w2 = _weight(weights, g, 2, unit, H, GATES, HP, HS, PARTS, PRECISION, False)
    if GATES > 3:
        w3 = _weight(weights, g, 3, unit, H, GATES, HP, HS, PARTS, PRECISION, False)
    numbers = coefficients + g * c_recurrence
    number_at = row[:, None] * c_row + unit[None, :] * c_unit
    b0 = 0.0
    b1 = 0.0
    b2 = 0.0
    if BIASED:
        bias_at = bias + g * GATES * H
        b0 = _bias(bias_at, 0, unit, H)
        b1 = _bias(bias_at, 1, unit, H)
        b2 = _bias(bias_at, 2, unit, H)
    apart = tl.full([], T, tl.int64) * B * H
    kept_of = kept + g * KEPT * apart
    room_size = G * tiles * BLOCKS * BM * HP
    room = rooms + tile * BLOCKS * BM * HP
    met = 0
    x_of = x + (g * x_recurrence + row * x_row)[:, None]
    x0, x1, x2, x3 = _inputs(0, x_of, x_step, length, unit, mask, reverse, H, GATES)
    for i in range(tl.max(length)):
        active = mask & (i < length)[:, None]
        t = tl.where(reverse, length - 1 - i, i).to(tl.int64)
        # Those of the next round come while this one multiplies.
        next0, next1, next2, next3 = _inputs(
            i + 1, x_of, x_step, length, unit, mask, reverse, H, GATES
        )
        x0 = x0.to(tl.float32)
        x1 = x1.to(tl.float32)
        x2 = x2.to(tl.float32)
        x3 = x3.to(tl.float32)
        here = room + (met % 2) * room_size
        _put(here, 0, h, unit, BM, HP, SLICES)
        met += 1
        _meet(counters + tile, met, SLICES)
        whole = _get(here, 0, h, BM, HP, PARTS, SLICES)
        u0 = _product(whole, w0, PARTS, PRECISION)
        if BIASED:
            u0 += b0
        u1 = u0
        u2 = u0
        u3 = u0
        if GATES > 1:
            u1 = _product(whole, w1, PARTS, PRECISION)
            if BIASED:
                u1 += b1
        if RESET_BEFORE:
            r = 1 / (1 + tl.exp(-(x0 + u0)))
            here = room + (met % 2) * room_size
            _put(here, 0, r * h, unit, BM, HP, SLICES)
            met += 1
            _meet(counters + tile, met, SLICES)
            whole = _get(here, 0, r * h, BM, HP, PARTS, SLICES)
        if GATES > 2:
            u2 = _product(whole, w2, PARTS, PRECISION)
            if BIASED:
                u2 += b2
        if GATES > 3:
            u3 = _product(whole, w3, PARTS, PRECISION)
        new_h, new_c, k0, k1, k2, k3, k4 = STEP(
            x0, x1, x2, x3, u0, u1, u2, u3, h, c, VALUE, numbers, c_index, number_at, active
        )
        h = tl.where(active, new_h, h)
        c = tl.where(active, new_c, c)
        y_at = ((t * B + row) * H)[:, None] + unit[None, :]
        tl.store(states + g * apart + y_at, h, mask=active)
        if KEEP:
            tl.store(kept_of + y_at, k0, mask=active)
            if KEPT > 1:
                tl.store(kept_of + apart + y_at, k1, mask=active)
            if KEPT > 2:
                tl.store(kept_of + 2 * apart + y_at, k2, mask=active)
            if KEPT > 3:
                tl.store(kept_of + 3 * apart + y_at, k3, mask=active)
            if KEPT > 4:
                tl.store(kept_of + 4 * apart + y_at, k4, mask=active)
        x0 = next0
        x1 = next1
        x2 = next2
        x3 = next3
    tl.store(h_final + own, h, mask=mask)
    if CELL_STATE:
        tl.store(c_final + own, c, mask=mask)


@triton.jit
def _fetch(
    i,
    g,
    row,
    length,
    unit,
    mask,
    reverse,
    T,
    B,
    H: tl.constexpr,
    h_start,
    c_start,
    states,
    kept,
    d_states,
    d_recurrence,
    d_step,
    d_row,
    KEPT: tl.constexpr,
    CELL_STATE: tl.constexpr,
    STARTED: tl.constexpr,
):
    # Of round i: the states before it, what was kept, and the gradient of its state. Nothing is
    # computed from them here, so that nobody waits for them before the next round.
    none = tl.zeros_like(length)
    active = mask & ((none + i < length) & (none <= i))[:, None]
    at_first = mask & (none == i)[:, None]
    t = tl.where(reverse, length - 1 - i, i).to(tl.int64)
    apart = tl.full([], T, tl.int64) * B * H
    y_at = ((t * B + row) * H)[:, None] + unit[None, :]
    before = y_at + tl.where(reverse, B * H, -B * H)
    own = (g * B + row)[:, None] * H + unit[None, :]
    later = active & (none != i)[:, None]
    if STARTED:
        h_at = tl.where(at_first, h_start + own, states + g * apart + before)
        h = tl.load(h_at, mask=active, other=0.0)
    else:
        h = tl.load(states + g * apart + before, mask=later, other=0.0)
    kept_at = kept + g * KEPT * apart + y_at
    k0 = tl.load(kept_at, mask=active, other=0.0)
    k1 = k0
    k2 = k0
    k3 = k0
    k4 = k0
    if KEPT > 1:
        k1 = tl.load(kept_at + apart, mask=active, other=0.0)
    if KEPT > 2:
        k2 = tl.load(kept_at + 2 * apart, mask=active, other=0.0)
    if KEPT > 3:
        k3 = tl.load(kept_at + 3 * apart, mask=active, other=0.0)
    if KEPT > 4:
        k4 = tl.load(kept_at + 4 * apart, mask=active, other=0.0)
    c = h
    if CELL_STATE:
        c_before = kept + (g * KEPT + KEPT - 1) * apart + before
        if STARTED:
            c = tl.load(tl.where(at_first, c_start + own, c_before), mask=active, other=0.0)
        else:
            c = tl.load(c_before, mask=later, other=0.0)
    d_at = d_states + (g * d_recurrence + t * d_step + row * d_row)[:, None] + unit[None, :]
    return h, c, k0, k1, k2, k3, k4, tl.load(d_at, mask=active, other=0.0)


@triton.jit(do_not_specialize=_CHANGING)
def backward(
    weights,  # as forwards
    h_start,
    c_start,
    coefficients,
    c_recurrence,
    c_index,
    c_row,
    c_unit,
    lengths,
    order,
    states,
    kept,
    d_states,  # (G, T, B, H), of any strides but the last
    d_recurrence,
    d_step,
    d_row,
    d_h_final,  # (G, B, H), if ENDED; else zeros
    d_c_final,
    d_x,  # (G, T, B, GATES·H), of any strides but the last
    x_recurrence,
    x_step,
    x_row,
    beside,  # if INNER the gradients of the recurrent products (G, T, B, GATES·H),
    # if RESET_BEFORE the state that the last was made of (G, T, B, H)
    d_value,  # (G, T, B, H), of the activation's value, if VALUED
    d_h_start,  # (G, B, H), if STARTED
    d_c_start,
    rooms,
    counters,
    forwards,
    G,
    T,
    B,
    tiles,
    H: tl.constexpr,
    STEP: tl.constexpr,
    SLOPE: tl.constexpr,
    GATES: tl.constexpr,
    KEPT: tl.constexpr,
    CELL_STATE: tl.constexpr,
    RESET_BEFORE: tl.constexpr,
    INNER: tl.constexpr,
    VALUED: tl.constexpr,
    BLOCKS: tl.constexpr,
    BM: tl.constexpr,
    HP: tl.constexpr,
    HS: tl.constexpr,
    SLICES: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
    STARTED: tl.constexpr,
    PADDED: tl.constexpr,
    ENDED: tl.constexpr,
):
    tile, g, row, length, unit, mask = _place(
        lengths, order, T, B, H, tiles, BM, HS, SLICES, PADDED
    )
    reverse = g >= forwards
    own = (g * B + row)[:, None] * H + unit[None, :]
    dh = tl.zeros([BM, HS], tl.float32)
    dc = dh
    if ENDED:
        dh = tl.load(d_h_final + own, mask=mask, other=0.0)
        dc = dh
        if CELL_STATE:
            dc = tl.load(d_c_final + own, mask=mask, other=0.0)
    w0 = _weight(weights, g, 0, unit, H, GATES, HP, HS, PARTS, PRECISION, True)
    w1 = w0
    w2 = w0
    w3 = w0
    if GATES > 1:
        w1 = _weight(weights, g, 1, unit, H, GATES, HP, HS, PARTS, PRECISION, True)
    if GATES > 2:
        w2 = _weight(weights, g, 2, unit, H, GATES, HP, HS, PARTS, PRECISION, True)
    if GATES > 3:
        w3 = _weight(weights, g, 3, unit, H, GATES, HP, HS, PARTS, PRECISION, True)
    numbers = coefficients + g * c_recurrence
    number_at = row[:, None] * c_row + unit[None, :] * c_unit
    apart = tl.full([], T, tl.int64) * B * H
    room_size = G * tiles * BLOCKS * BM * HP
    room = rooms + tile * BLOCKS * BM * HP
    met = 0
    longest = tl.max(length)
    h, c, k0, k1, k2, k3, k4, d_state = _fetch(
        longest - 1, g, row, length, unit, mask, reverse, T, B, H, h_start, c_start, states, kept,
        d_states, d_recurrence, d_step, d_row, KEPT, CELL_STATE, STARTED,
    )  # fmt: skip
    for n in range(longest):
        i = longest - 1 - n
        active = mask & (i < length)[:, None]
        t = tl.where(reverse, length - 1 - i, i).to(tl.int64)
        y_at = ((t * B + row) * H)[:, None] + unit[None, :]
        d = dh + d_state
        to_h, new_dc, d0, d1, d2, d3, inner, dv = STEP(
            d, dc, h, c, k0, k1, k2, k3, k4, SLOPE, numbers, c_index, number_at, active
        )
        if RESET_BEFORE:
            d2 = tl.where(active, d2, 0.0)
            here = room + (met % 2) * room_size
            _put(here, 0, d2, unit, BM, HP, SLICES)
            met += 1
            _meet(counters + tile, met, SLICES)
            d_reset_state = _product(_get(here, 0, d2, BM, HP, PARTS, SLICES), w2, PARTS, PRECISION)
            d0 = d0 * d_reset_state
            to_h += k0 * d_reset_state
        d0 = tl.where(active, d0, 0.0)
        d1 = tl.where(active, d1, 0.0)
        last = tl.where(active, inner if INNER else d2, 0.0)
        d3 = tl.where(active, d3, 0.0)
        if RESET_BEFORE:
            tl.store(beside + g * apart + y_at, k0 * h, mask=active)
        # What the next round needs comes while this one multiplies.
        h, c, k0, k1, k2, k3, k4, d_state = _fetch(
            i - 1, g, row, length, unit, mask, reverse, T, B, H, h_start, c_start, states, kept,
            d_states, d_recurrence, d_step, d_row, KEPT, CELL_STATE, STARTED,
        )  # fmt: skip
        here = room + (met % 2) * room_size
        _put(here, 0, d0, unit, BM, HP, SLICES)
        if GATES > 1:
            _put(here, 1, d1, unit, BM, HP, SLICES)
        if (GATES > 2) and (not RESET_BEFORE):
            _put(here, 2, last, unit, BM, HP, SLICES)
        if GATES > 3:
            _put(here, 3, d3, unit, BM, HP, SLICES)
        met += 1
        _meet(counters + tile, met, SLICES)
        to_h += _product(_get(here, 0, d0, BM, HP, PARTS, SLICES), w0, PARTS, PRECISION)
        if GATES > 1:
            to_h += _product(_get(here, 1, d1, BM, HP, PARTS, SLICES), w1, PARTS, PRECISION)
        if (GATES > 2) and (not RESET_BEFORE):
            to_h += _product(_get(here, 2, last, BM, HP, PARTS, SLICES), w2, PARTS, PRECISION)
        if GATES > 3:
            to_h += _product(_get(here, 3, d3, BM, HP, PARTS, SLICES), w3, PARTS, PRECISION)
        dh = tl.where(active, to_h, dh)
        dc = tl.where(active, new_dc, dc)
        dx_at = d_x + (g * x_recurrence + t * x_step + row * x_row)[:, None] + unit[None, :]
        tl.store(dx_at, d0, mask=active)
        if GATES > 1:
            tl.store(dx_at + H, d1, mask=active)
        if GATES > 2:
            tl.store(dx_at + 2 * H, d2, mask=active)
        if GATES > 3:
            tl.store(dx_at + 3 * H, d3, mask=active)
        if INNER:
            beside_at = beside + g * GATES * apart + (t * B + row)[:, None] * (GATES * H)
            beside_at += unit[None, :]
            tl.store(beside_at, d0, mask=active)
            tl.store(beside_at + H, d1, mask=active)
            tl.store(beside_at + 2 * H, inner, mask=active)
        if VALUED:
            tl.store(d_value + g * apart + y_at, dv, mask=active)
    if STARTED:
        tl.store(d_h_start + own, dh, mask=mask)
        if CELL_STATE:
            tl.store(d_c_start + own, dc, mask=mask)
