"""Kernels over an array beside a smaller one that is repeated along some axes.

The array is walked in order by four loops; the smaller one has a step for each of them, 0 where it
is repeated.
"""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    float_of,
    fma,
    greater,
    load,
    load_scalar,
    minimum,
    mul,
    select,
    store,
    store_scalar,
    total,
)


@kernel
def prelu(a):  # type: ignore[no-untyped-def]
    """out = x above 0, alpha x below. Row: out, x, alpha, four lengths, four steps of alpha."""
    out, x, alpha = a[0], a[1], a[2]
    zero = broadcast(0.0)
    at = 0
    for i in range(a[3]):
        for j in range(a[4]):
            for k in range(a[5]):
                for m in range(a[6]):
                    place = i * a[7] + j * a[8] + k * a[9] + m * a[10]
                    rate = broadcast(load_scalar(alpha, place))
                    for lane in range(at, at + SHARD, LANES):
                        v = load(x, lane)
                        store(out, lane, select(greater(v, zero), v, mul(rate, v)))
                    at += SHARD


@kernel
def prelu_back(a):  # type: ignore[no-untyped-def]
    """out = g above 0, alpha g below, 0 at 0: the slope of ``relu(x) - alpha relu(-x)``.

    Row: out, g, x, alpha, four lengths, four steps of alpha.
    """
    out, g, x, alpha = a[0], a[1], a[2], a[3]
    zero = broadcast(0.0)
    at = 0
    for i in range(a[4]):
        for j in range(a[5]):
            for k in range(a[6]):
                for m in range(a[7]):
                    place = i * a[8] + j * a[9] + k * a[10] + m * a[11]
                    rate = broadcast(load_scalar(alpha, place))
                    for lane in range(at, at + SHARD, LANES):
                        v, at_x = load(g, lane), load(x, lane)
                        below = select(greater(zero, at_x), mul(rate, v), zero)
                        store(out, lane, select(greater(at_x, zero), v, below))
                    at += SHARD


@kernel
def prelu_alpha_gradient(a):  # type: ignore[no-untyped-def]
    """out += sum of g min(x, 0) where alpha is. Row: out, g, x, four lengths, four steps of out."""
    out, g, x = a[0], a[1], a[2]
    zero = broadcast(0.0)
    at = 0
    for i in range(a[3]):
        for j in range(a[4]):
            for k in range(a[5]):
                for m in range(a[6]):
                    place = i * a[7] + j * a[8] + k * a[9] + m * a[10]
                    whole = zero
                    for lane in range(at, at + SHARD, LANES):
                        whole = fma(load(g, lane), minimum(load(x, lane), zero), whole)
                    store_scalar(out, place, load_scalar(out, place) + total(whole))
                    at += SHARD


@kernel
def multiply_add(a):  # type: ignore[no-untyped-def]
    """out = scale x y + z, with y and z of one shape, repeated beside x.

    Row: out, x, y or 0 (ones), z or 0 (zeros), bits of scale, four lengths, four steps of y and z
    (which count elements of a sample).
    """
    out, x, y, z, scale = a[0], a[1], a[2], a[3], broadcast(float_of(a[4]))
    at = 0
    for i in range(a[5]):
        for j in range(a[6]):
            for k in range(a[7]):
                for m in range(a[8]):
                    place = (i * a[9] + j * a[10] + k * a[11] + m * a[12]) * SHARD
                    for lane in range(0, SHARD, LANES):
                        v = mul(scale, load(x, at + lane))
                        if y != 0:
                            v = mul(v, load(y, place + lane))
                        if z != 0:
                            v = add(v, load(z, place + lane))
                        store(out, at + lane, v)
                    at += SHARD
