"""Activations that look along an axis: softmax and its kin, and the gated linear unit.

Arrays are (outer, length, inner, SHARD): the axis is the one of `length`, and every lane a sample.
"""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    div,
    equal,
    fma,
    greater,
    load,
    maximum,
    mul,
    select,
    store,
    sub,
    total,
)
from .vector_math import exp, log, sigmoid


@kernel
def softmax(out, x, outer, length, inner):
    """exp(x) / sum(exp(x))."""
    step = inner * SHARD
    for o in range(outer):
        for i in range(0, step, LANES):
            first = o * length * step + i
            top = load(x, first)
            for c in range(1, length):
                top = maximum(top, load(x, first + c * step))
            whole = broadcast(0.0)
            for c in range(length):
                y = exp(sub(load(x, first + c * step), top))
                store(out, first + c * step, y)
                whole = add(whole, y)
            share = div(broadcast(1.0), whole)
            for c in range(length):
                at = first + c * step
                store(out, at, mul(load(out, at), share))


@kernel
def softmax_back(out, g, y, outer, length, inner):
    """out = y (g - sum(g y))."""
    step = inner * SHARD
    for o in range(outer):
        for i in range(0, step, LANES):
            first = o * length * step + i
            dot = broadcast(0.0)
            for c in range(length):
                at = first + c * step
                dot = fma(load(g, at), load(y, at), dot)
            for c in range(length):
                at = first + c * step
                store(out, at, mul(load(y, at), sub(load(g, at), dot)))


@kernel
def log_softmax(out, x, outer, length, inner):
    """x - log(sum(exp(x)))."""
    step = inner * SHARD
    for o in range(outer):
        for i in range(0, step, LANES):
            first = o * length * step + i
            top = load(x, first)
            for c in range(1, length):
                top = maximum(top, load(x, first + c * step))
            whole = broadcast(0.0)
            for c in range(length):
                whole = add(whole, exp(sub(load(x, first + c * step), top)))
            offset = log(whole)
            for c in range(length):
                at = first + c * step
                store(out, at, sub(sub(load(x, at), top), offset))


@kernel
def log_softmax_back(out, g, y, outer, length, inner):
    """out = g - exp(y) sum(g)."""
    step = inner * SHARD
    for o in range(outer):
        for i in range(0, step, LANES):
            first = o * length * step + i
            whole = broadcast(0.0)
            for c in range(length):
                whole = add(whole, load(g, first + c * step))
            for c in range(length):
                at = first + c * step
                store(out, at, sub(load(g, at), mul(exp(load(y, at)), whole)))


@kernel
def sparsemax(out, x, outer, length, inner):
    """The nearest point of the simplex.

    What lies above a bound is shifted to sum to 1, which moves the bound up, until nothing more
    falls below it (Michelot, 1986).
    """
    step = inner * SHARD
    zero, one = broadcast(0.0), broadcast(1.0)
    for o in range(outer):
        for i in range(0, step, LANES):
            first = o * length * step + i
            top = load(x, first)
            for c in range(1, length):
                top = maximum(top, load(x, first + c * step))
            bound, before, changed = broadcast(-3.0e38), zero, 1.0
            while changed > 0:
                whole, count = zero, zero
                for c in range(length):
                    v = sub(load(x, first + c * step), top)
                    inside = select(greater(v, bound), one, zero)
                    count = add(count, inside)
                    beneath = select(equal(v, v), zero, v)  # NaN makes the bound NaN, and so all
                    whole = add(whole, select(greater(v, bound), v, beneath))
                changed = total(select(greater(before, count), one, zero))
                changed += total(select(greater(count, before), one, zero))
                bound = select(
                    greater(count, zero), div(sub(whole, one), maximum(count, one)), bound
                )
                before = count
            for c in range(length):
                at = first + c * step
                store(out, at, maximum(sub(sub(load(x, at), top), bound), zero))


@kernel
def sparsemax_back(out, g, y, outer, length, inner):
    """out = g minus its mean over the support, there; 0 elsewhere."""
    step = inner * SHARD
    zero, one = broadcast(0.0), broadcast(1.0)
    for o in range(outer):
        for i in range(0, step, LANES):
            first = o * length * step + i
            whole, count = zero, zero
            for c in range(length):
                inside = greater(load(y, first + c * step), zero)
                whole = add(whole, select(inside, load(g, first + c * step), zero))
                count = add(count, select(inside, one, zero))
            mean = div(whole, maximum(count, one))
            for c in range(length):
                at = first + c * step
                v = load(y, at)
                outside = select(equal(v, v), zero, v)
                store(out, at, select(greater(v, zero), sub(load(g, at), mean), outside))


@kernel
def glu(out, x, outer, length, inner):
    """First half times the sigmoid of the second: out has half the length."""
    half = length // 2 * inner * SHARD
    for o in range(outer):
        for i in range(0, half, LANES):
            at = 2 * o * half + i
            store(out, o * half + i, mul(load(x, at), sigmoid(load(x, at + half))))


@kernel
def glu_back(out, g, x, outer, length, inner):
    """The gradient of `glu` for x."""
    half = length // 2 * inner * SHARD
    for o in range(outer):
        for i in range(0, half, LANES):
            at = 2 * o * half + i
            gate = sigmoid(load(x, at + half))
            through = mul(load(g, o * half + i), gate)
            store(out, at, through)
            rest = sub(broadcast(1.0), gate)
            store(out, at + half, mul(mul(through, load(x, at)), rest))
