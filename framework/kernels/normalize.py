"""Batch normalisation on batch-innermost arrays, in two halves around a barrier.

Each shard leaves its own moments; one task combines them in the order of the shards (Chan, Golub &
LeVeque, 1979), so nothing depends on the threads. The way back likewise, with two sums.
"""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    fma,
    lanes_below,
    load,
    load_scalar,
    mul,
    root,
    store,
    store_scalar,
    sub,
    total,
)


@kernel
def moments(out, x, outer, channels, inner, count):
    """Mean and sum of squared deviations of each channel of a shard.

    out is (2, channels), x (outer, channels, inner, SHARD); `count` samples count.
    """
    one, other = lanes_below(count), lanes_below(count - LANES)
    for c in range(channels):
        low, high = broadcast(0.0), broadcast(0.0)
        for o in range(outer):
            first = (o * channels + c) * inner * SHARD
            for at in range(first, first + inner * SHARD, SHARD):
                low = fma(one, load(x, at), low)
                high = fma(other, load(x, at + LANES), high)
        mean = total(add(low, high)) / (outer * inner * count)
        wide = broadcast(mean)
        low, high = broadcast(0.0), broadcast(0.0)
        for o in range(outer):
            first = (o * channels + c) * inner * SHARD
            for at in range(first, first + inner * SHARD, SHARD):
                left, right = sub(load(x, at), wide), sub(load(x, at + LANES), wide)
                low = fma(mul(one, left), left, low)
                high = fma(mul(other, right), right, high)
        store_scalar(out, c, mean)
        store_scalar(out, channels + c, total(add(low, high)))


@kernel
def combine_moments(
    out, stats, shards, channels, pixels, batch, moving_mean, moving_variance,
    momentum: float, epsilon: float,
):  # fmt: skip
    """Moments of the batch from those of the shards; the moving ones follow.

    out is (2, channels): mean and 1 / sqrt(variance + epsilon); stats are (shards, 2, channels).
    """
    for c in range(channels):
        seen, mean, squares = 0.0, 0.0, 0.0
        for s in range(shards):
            n = float(pixels * min(SHARD, batch - s * SHARD))
            at = 2 * s * channels + c
            apart = load_scalar(stats, at) - mean
            squares += load_scalar(stats, at + channels) + apart * apart * seen * n / (seen + n)
            mean += apart * n / (seen + n)
            seen += n
        variance = squares / seen
        store_scalar(out, c, mean)
        store_scalar(out, channels + c, 1.0 / root(variance + epsilon))
        keep = load_scalar(moving_mean, c) * momentum
        store_scalar(moving_mean, c, keep + (1.0 - momentum) * mean)
        keep = load_scalar(moving_variance, c) * momentum
        store_scalar(moving_variance, c, keep + (1.0 - momentum) * variance)


@kernel
def inference_moments(out, mean, variance, channels, epsilon: float):
    """What `normalize` takes, (2, channels), from moving moments."""
    for c in range(channels):
        store_scalar(out, c, load_scalar(mean, c))
        store_scalar(out, channels + c, 1.0 / root(load_scalar(variance, c) + epsilon))


@kernel
def normalize(out, x, moments, gamma, beta, outer, channels, inner, scratch):
    """out = gamma (x - mean) inverse + beta.

    moments are (2, channels), as is the scratch for coefficients; gamma and beta may be 0: none.
    """
    for c in range(channels):
        factor = load_scalar(moments, channels + c)
        if gamma != 0:
            factor *= load_scalar(gamma, c)
        offset = -load_scalar(moments, c) * factor
        if beta != 0:
            offset += load_scalar(beta, c)
        store_scalar(scratch, c, factor)
        store_scalar(scratch, channels + c, offset)
    for o in range(outer):
        for c in range(channels):
            factor = broadcast(load_scalar(scratch, c))
            offset = broadcast(load_scalar(scratch, channels + c))
            first = (o * channels + c) * inner * SHARD
            for at in range(first, first + inner * SHARD, LANES):
                store(out, at, fma(load(x, at), factor, offset))


@kernel
def gradient_sums(out, g, x, moments, outer, channels, inner, beta, gamma):
    """Sums over a shard: of g, and of g times the normalised x (for beta and gamma).

    out is (2, channels); the slots of beta and gamma (or 0: none) are added to.
    """
    for c in range(channels):
        mean, inverse = load_scalar(moments, c), load_scalar(moments, channels + c)
        wide = broadcast(mean)
        sum_g, sum_h, dot_g, dot_h = broadcast(0.0), broadcast(0.0), broadcast(0.0), broadcast(0.0)
        for o in range(outer):
            first = (o * channels + c) * inner * SHARD
            for at in range(first, first + inner * SHARD, SHARD):
                left, right = load(g, at), load(g, at + LANES)
                sum_g, sum_h = add(sum_g, left), add(sum_h, right)
                dot_g = fma(left, sub(load(x, at), wide), dot_g)
                dot_h = fma(right, sub(load(x, at + LANES), wide), dot_h)
        plain, dot = total(add(sum_g, sum_h)), total(add(dot_g, dot_h)) * inverse
        store_scalar(out, c, plain)
        store_scalar(out, channels + c, dot)
        if beta != 0:
            store_scalar(beta, c, load_scalar(beta, c) + plain)
        if gamma != 0:
            store_scalar(gamma, c, load_scalar(gamma, c) + dot)


@kernel
def combine_sums(out, sums, shards, size):
    """out[i] = sum over shards of sums[shard, i]."""
    for i in range(size):
        value = 0.0
        for s in range(shards):
            value += load_scalar(sums, s * size + i)
        store_scalar(out, i, value)


@kernel
def normalize_back(
    out, g, x, moments, gamma, sums, outer, channels, inner, elements, count, scratch
):
    """The gradient of `normalize` for x, through the moments of the batch if there are sums.

    gamma and sums (2, channels) may be 0: none. A channel has so many `elements` in the batch,
    `count` samples count, and the scratch for coefficients is (3, channels).
    """
    one, other = lanes_below(count), lanes_below(count - LANES)
    for c in range(channels):
        mean, inverse = load_scalar(moments, c), load_scalar(moments, channels + c)
        factor, slope, offset = inverse, 0.0, 0.0
        if gamma != 0:
            factor = inverse * load_scalar(gamma, c)
        if sums != 0:  # factor (g - sum / n - (x - mean) inverse dot / n)
            slope = -factor * inverse * load_scalar(sums, channels + c) / elements
            offset = -factor * load_scalar(sums, c) / elements - slope * mean
        store_scalar(scratch, c, factor)
        store_scalar(scratch, channels + c, slope)
        store_scalar(scratch, 2 * channels + c, offset)
    for o in range(outer):
        for c in range(channels):
            factor = broadcast(load_scalar(scratch, c))
            slope = broadcast(load_scalar(scratch, channels + c))
            offset = broadcast(load_scalar(scratch, 2 * channels + c))
            first = (o * channels + c) * inner * SHARD
            for at in range(first, first + inner * SHARD, SHARD):
                v = fma(factor, load(g, at), fma(slope, load(x, at), offset))
                w = fma(factor, load(g, at + LANES), fma(slope, load(x, at + LANES), offset))
                store(out, at, mul(one, v))
                store(out, at + LANES, mul(other, w))
