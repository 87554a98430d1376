"""Every element brought to another scale, by coefficients for each place along some axes."""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    float_of,
    load,
    load_scalar,
    mul,
    root,
    store,
    store_scalar,
    sub,
)


@kernel
def affine(a):  # type: ignore[no-untyped-def]
    """``out[i] = (x[i] - minus[k]) times[k] + plus[k]``, k running over some of four axes.

    Row: out, x, minus, times, plus, then four lengths, and for each axis the step of k.
    """
    out, x, minus, times, plus = a[0], a[1], a[2], a[3], a[4]
    n0, n1, n2, n3 = a[5], a[6], a[7], a[8]
    s0, s1, s2, s3 = a[9], a[10], a[11], a[12]
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
def coefficients(a):  # type: ignore[no-untyped-def]
    """What normalises by moments, or (invert) undoes that, as `affine` takes it.

    Row: out (minus, times, plus, each count long), mean, variance, count, invert, bits of the
    smallest deviation.
    """
    out, mean, variance, count, invert, least = a[0], a[1], a[2], a[3], a[4], float_of(a[5])
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
def affine_back(a):  # type: ignore[no-untyped-def]
    """``out[i] = g[i] times[k]``. Row: out, g, times, four lengths and steps as for `affine`."""
    out, g, times = a[0], a[1], a[2]
    n0, n1, n2, n3 = a[3], a[4], a[5], a[6]
    s0, s1, s2, s3 = a[7], a[8], a[9], a[10]
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
