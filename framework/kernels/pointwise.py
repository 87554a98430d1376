"""Kernels over flat arrays of whole vectors that no formula says (`formula.py`): what fills, copies
and adds up, and numbers for each channel.

A batch-innermost array always holds a whole number of vectors, so there is no tail.
"""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    fma,
    greater,
    load,
    load_scalar,
    mul,
    select,
    store,
    store_scalar,
    total,
)


@kernel
def relu_back(out, g, y, count):
    """out = g where y > 0, else 0."""
    for i in range(0, count, LANES):
        store(out, i, select(greater(load(y, i), broadcast(0.0)), load(g, i), broadcast(0.0)))


@kernel
def add_bias(out, x, bias, pixels, channels):
    """out[p, c] = x[p, c] + bias[c] for all images."""
    for p in range(pixels):
        for c in range(channels):
            wide = broadcast(load_scalar(bias, c))
            at = (p * channels + c) * SHARD
            store(out, at, add(load(x, at), wide))
            store(out, at + LANES, add(load(x, at + LANES), wide))


@kernel
def spread(out, x, count):
    """So many numbers, each in all its lanes."""
    for i in range(count):
        wide = broadcast(load_scalar(x, i))
        for lane in range(i * SHARD, (i + 1) * SHARD, LANES):
            store(out, lane, wide)


@kernel
def scale_channels(out, x, gain, pixels, channels):
    """out[p, c] = x[p, c] gain[c] for all images."""
    for p in range(pixels):
        for c in range(channels):
            wide = broadcast(load_scalar(gain, c))
            at = (p * channels + c) * SHARD
            for lane in range(at, at + SHARD, LANES):
                store(out, lane, mul(load(x, lane), wide))


@kernel
def scale_channels_gradient(out, g, x, pixels, channels):
    """out[c] += sum of g[p, c] x[p, c] over pixels and images."""
    for c in range(channels):
        whole = broadcast(0.0)
        for p in range(pixels):
            at = (p * channels + c) * SHARD
            for lane in range(at, at + SHARD, LANES):
                whole = fma(load(g, lane), load(x, lane), whole)
        store_scalar(out, c, load_scalar(out, c) + total(whole))


@kernel
def add_arrays(out, x, y, count):
    """out = x + y."""
    for i in range(0, count, LANES):
        store(out, i, add(load(x, i), load(y, i)))


@kernel
def masked_scale(out, x, y, count, factor: float):
    """out = factor x y, with y of zeros and ones."""
    for i in range(0, count, LANES):
        store(out, i, mul(mul(broadcast(factor), load(x, i)), load(y, i)))


@kernel
def copy_channels(out, x, pixels, count, out_channels, x_channels):
    """out[p, :count] = x[p, :count], from and to places among more channels."""
    for p in range(pixels):
        to, at = p * out_channels * SHARD, p * x_channels * SHARD
        for i in range(0, count * SHARD, LANES):
            store(out, to + i, load(x, at + i))


@kernel
def scale(out, x, count, factor: float):
    """out = factor x."""
    for i in range(0, count, LANES):
        store(out, i, mul(load(x, i), broadcast(factor)))


@kernel
def fill(out, count, value: float):
    """out = value, any number of elements."""
    whole = count - count % LANES
    for i in range(0, whole, LANES):
        store(out, i, broadcast(value))
    for i in range(whole, count):
        store_scalar(out, i, value)


@kernel
def copy(out, x, count):
    """out = x, a whole number of vectors."""
    for i in range(0, count, LANES):
        store(out, i, load(x, i))
