"""Kernels over an array beside a smaller one that is repeated along some axes.

The array is walked in order by four loops of lengths n; the smaller one has a step s for each of
them, 0 where it is repeated.
"""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    broadcast,
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
def prelu(out, x, alpha, n0, n1, n2, n3, s0, s1, s2, s3):
    """out = x above 0, alpha x below."""
    zero = broadcast(0.0)
    at = 0
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                for m in range(n3):
                    place = i * s0 + j * s1 + k * s2 + m * s3
                    rate = broadcast(load_scalar(alpha, place))
                    for lane in range(at, at + SHARD, LANES):
                        v = load(x, lane)
                        store(out, lane, select(greater(v, zero), v, mul(rate, v)))
                    at += SHARD


@kernel
def prelu_back(out, g, x, alpha, n0, n1, n2, n3, s0, s1, s2, s3):
    """out = g above 0, alpha g below, 0 at 0: the slope of ``relu(x) - alpha relu(-x)``."""
    zero = broadcast(0.0)
    at = 0
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                for m in range(n3):
                    place = i * s0 + j * s1 + k * s2 + m * s3
                    rate = broadcast(load_scalar(alpha, place))
                    for lane in range(at, at + SHARD, LANES):
                        v, at_x = load(g, lane), load(x, lane)
                        below = select(greater(zero, at_x), mul(rate, v), zero)
                        store(out, lane, select(greater(at_x, zero), v, below))
                    at += SHARD


@kernel
def prelu_alpha_gradient(out, g, x, n0, n1, n2, n3, s0, s1, s2, s3):
    """out += sum of g min(x, 0) where alpha is."""
    zero = broadcast(0.0)
    at = 0
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                for m in range(n3):
                    place = i * s0 + j * s1 + k * s2 + m * s3
                    whole = zero
                    for lane in range(at, at + SHARD, LANES):
                        whole = fma(load(g, lane), minimum(load(x, lane), zero), whole)
                    store_scalar(out, place, load_scalar(out, place) + total(whole))
                    at += SHARD
