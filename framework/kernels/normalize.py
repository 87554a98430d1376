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
    float_of,
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
def moments(a):  # type: ignore[no-untyped-def]
    """Mean and sum of squared deviations of each channel of a shard.

    Row: out (2, channels), x (outer, channels, inner, SHARD), outer, channels, inner, count (of
    samples).
    """
    out, x, outer, channels, inner, count = a[0], a[1], a[2], a[3], a[4], a[5]
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
def combine_moments(a):  # type: ignore[no-untyped-def]
    """Moments of the batch from those of the shards; the moving ones follow.

    Row: out (2, channels): mean and 1 / sqrt(variance + epsilon), stats (shards, 2, channels),
    shards, channels, pixels, batch, moving mean, moving variance, bits of momentum, of epsilon.
    """
    out, stats, shards, channels, pixels, batch = a[0], a[1], a[2], a[3], a[4], a[5]
    moving_mean, moving_variance, momentum, epsilon = a[6], a[7], float_of(a[8]), float_of(a[9])
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
def inference_moments(a):  # type: ignore[no-untyped-def]
    """What `normalize` takes, from moving moments. Row: out (2, channels), mean, variance,
    channels, bits of epsilon."""
    out, mean, variance, channels, epsilon = a[0], a[1], a[2], a[3], float_of(a[4])
    for c in range(channels):
        store_scalar(out, c, load_scalar(mean, c))
        store_scalar(out, channels + c, 1.0 / root(load_scalar(variance, c) + epsilon))


@kernel
def normalize(a):  # type: ignore[no-untyped-def]
    """out = gamma (x - mean) inverse + beta.

    Row: out, x, moments (2, channels), gamma or 0, beta or 0, outer, channels, inner, coefficients
    (2, channels; scratch).
    """
    out, x, moments, gamma, beta = a[0], a[1], a[2], a[3], a[4]
    outer, channels, inner, scratch = a[5], a[6], a[7], a[8]
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
def gradient_sums(a):  # type: ignore[no-untyped-def]
    """Sums over a shard: of g, and of g times the normalised x (for beta and gamma).

    Row: out (2, channels), g, x, moments, outer, channels, inner, slot of beta or 0, of gamma or 0
    (both are added to).
    """
    out, g, x, moments, outer, channels, inner = a[0], a[1], a[2], a[3], a[4], a[5], a[6]
    beta, gamma = a[7], a[8]
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
def combine_sums(a):  # type: ignore[no-untyped-def]
    """out[i] = sum over shards of sums[shard, i]. Row: out, sums (shards, size), shards, size."""
    out, sums, shards, size = a[0], a[1], a[2], a[3]
    for i in range(size):
        value = 0.0
        for s in range(shards):
            value += load_scalar(sums, s * size + i)
        store_scalar(out, i, value)


@kernel
def normalize_back(a):  # type: ignore[no-untyped-def]
    """The gradient of `normalize` for x, through the moments of the batch if there are sums.

    Row: out, g, x, moments, gamma or 0, sums (2, channels) or 0, outer, channels, inner, elements
    of a channel in the batch, count (of samples), coefficients (3, channels; scratch).
    """
    out, g, x, moments, gamma, sums = a[0], a[1], a[2], a[3], a[4], a[5]
    outer, channels, inner, elements, count, scratch = a[6], a[7], a[8], a[9], a[10], a[11]
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
