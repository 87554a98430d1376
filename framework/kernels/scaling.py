"""Every element brought to another scale, by coefficients for each place along some axes."""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    load,
    load_scalar,
    mul,
    root,
    store,
    store_scalar,
    sub,
)


@kernel
def affine(out, x, minus, times, plus, n0, n1, n2, n3, s0, s1, s2, s3):
    """``out[i] = (x[i] - minus[k]) times[k] + plus[k]``, k running over some of four axes.

    The axes have lengths n, and k has steps s.
    """
    at = 0
    for i0 in range(n0):
        for i1 in range(n1):
            for i2 in range(n2):
                k = i0 * s0 + i1 * s1 + i2 * s2
                for _ in range(n3):
                    low, high = broadcast(load_scalar(minus, k)), broadcast(load_scalar(plus, k))
                    factor = broadcast(load_scalar(times, k))
                    for j in range(0, SHARD, LANES):
                        v = mul(sub(load(x, at + j), low), factor)
                        store(out, at + j, add(v, high))
                    at += SHARD
                    k += s3


@kernel
def coefficients(out, mean, variance, count, invert, least: float):
    """What normalises by moments, or (invert) undoes that, as `affine` takes it.

    out is minus, times and plus, each `count` long; `least` is the smallest deviation.
    """
    for i in range(count):
        deviation = max(root(load_scalar(variance, i)), least)
        m = load_scalar(mean, i)
        if invert != 0:
            store_scalar(out, i, 0.0)
            store_scalar(out, count + i, deviation)
            store_scalar(out, 2 * count + i, m)
        else:
            store_scalar(out, i, m)
            store_scalar(out, count + i, 1.0 / deviation)
            store_scalar(out, 2 * count + i, 0.0)


@kernel
def affine_back(out, g, times, n0, n1, n2, n3, s0, s1, s2, s3):
    """``out[i] = g[i] times[k]``."""
    at = 0
    for i0 in range(n0):
        for i1 in range(n1):
            for i2 in range(n2):
                k = i0 * s0 + i1 * s1 + i2 * s2
                for _ in range(n3):
                    factor = broadcast(load_scalar(times, k))
                    for j in range(0, SHARD, LANES):
                        store(out, at + j, mul(load(g, at + j), factor))
                    at += SHARD
                    k += s3
