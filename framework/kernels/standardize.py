"""Normalisation of each sample by itself: layers, groups, root mean squares, lengths, neighbours.

A sample is a nest of loops, some over what has statistics of its own (`kept`), some over what they
are taken of (`taken`); scale and shift have numbers of their own along any of them. Loops come as
three lengths and three steps for each array that is walked; steps of x count elements of a sample.
"""

from __future__ import annotations

from .native import inlined, kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    div,
    float_of,
    fma,
    greater,
    load,
    load_scalar,
    maximum,
    mul,
    select,
    sqrt,
    store,
    store_scalar,
    sub,
    total,
)
from .vector_math import power

#: What is divided by: the standard deviation (after the mean is taken off), the root of the mean
#: square, the length.
DEVIATION, ROOT_MEAN_SQUARE, LENGTH = 0, 1, 2


@inlined
def _inverse(squares, count, epsilon, mode):  # type: ignore[no-untyped-def]
    """What x is multiplied by, from the sum of squares."""
    one = broadcast(1.0)
    if mode == LENGTH:
        return div(one, sqrt(maximum(squares, epsilon)))
    return div(one, sqrt(add(div(squares, count), epsilon)))


@kernel
def standardize(a):  # type: ignore[no-untyped-def]
    """out = gamma (x - mean) inverse + beta, with mean and inverse of each sample.

    Row: out, x, stats (kept, 2, SHARD), gamma or 0, beta or 0, mode, bits of epsilon; three lengths
    of `kept`, then steps in x, in gamma; likewise of `taken`.
    """
    out, x, stats, gamma, beta, mode = a[0], a[1], a[2], a[3], a[4], a[5]
    epsilon, zero = broadcast(float_of(a[6])), broadcast(0.0)
    count = broadcast(a[16] * a[17] * a[18])
    number = 0
    for k0 in range(a[7]):
        for k1 in range(a[8]):
            for k2 in range(a[9]):
                first = k0 * a[10] + k1 * a[11] + k2 * a[12]
                scale = k0 * a[13] + k1 * a[14] + k2 * a[15]
                for lane in range(0, SHARD, LANES):
                    mean, squares = zero, zero
                    if mode == DEVIATION:
                        for t0 in range(a[16]):
                            for t1 in range(a[17]):
                                for t2 in range(a[18]):
                                    at = first + t0 * a[19] + t1 * a[20] + t2 * a[21]
                                    mean = add(mean, load(x, at * SHARD + lane))
                        mean = div(mean, count)
                    for t0 in range(a[16]):
                        for t1 in range(a[17]):
                            for t2 in range(a[18]):
                                at = first + t0 * a[19] + t1 * a[20] + t2 * a[21]
                                apart = sub(load(x, at * SHARD + lane), mean)
                                squares = fma(apart, apart, squares)
                    inverse = _inverse(squares, count, epsilon, mode)
                    store(stats, 2 * number * SHARD + lane, mean)
                    store(stats, (2 * number + 1) * SHARD + lane, inverse)
                    for t0 in range(a[16]):
                        for t1 in range(a[17]):
                            for t2 in range(a[18]):
                                at = first + t0 * a[19] + t1 * a[20] + t2 * a[21]
                                place = scale + t0 * a[22] + t1 * a[23] + t2 * a[24]
                                v = mul(sub(load(x, at * SHARD + lane), mean), inverse)
                                if gamma != 0:
                                    v = mul(v, broadcast(load_scalar(gamma, place)))
                                if beta != 0:
                                    v = add(v, broadcast(load_scalar(beta, place)))
                                store(out, at * SHARD + lane, v)
                number += 1


@kernel
def standardize_back(a):  # type: ignore[no-untyped-def]
    """The gradient of `standardize` for x.

    Row: out, g, x, stats, gamma or 0, mode, bits of epsilon; loops as there.
    """
    out, g, x, stats, gamma, mode = a[0], a[1], a[2], a[3], a[4], a[5]
    epsilon, zero, one = broadcast(float_of(a[6])), broadcast(0.0), broadcast(1.0)
    share = div(one, broadcast(a[16] * a[17] * a[18]))
    number = 0
    for k0 in range(a[7]):
        for k1 in range(a[8]):
            for k2 in range(a[9]):
                first = k0 * a[10] + k1 * a[11] + k2 * a[12]
                scale = k0 * a[13] + k1 * a[14] + k2 * a[15]
                for lane in range(0, SHARD, LANES):
                    mean = load(stats, 2 * number * SHARD + lane)
                    inverse = load(stats, (2 * number + 1) * SHARD + lane)
                    plain, dot = zero, zero
                    for t0 in range(a[16]):
                        for t1 in range(a[17]):
                            for t2 in range(a[18]):
                                at = (first + t0 * a[19] + t1 * a[20] + t2 * a[21]) * SHARD + lane
                                place = scale + t0 * a[22] + t1 * a[23] + t2 * a[24]
                                rise = load(g, at)
                                if gamma != 0:
                                    rise = mul(rise, broadcast(load_scalar(gamma, place)))
                                plain = add(plain, rise)
                                dot = fma(rise, mul(sub(load(x, at), mean), inverse), dot)
                    if mode == LENGTH:  # one that is held does not bend with x
                        dot = select(greater(one, mul(mul(inverse, inverse), epsilon)), dot, zero)
                    else:
                        dot = mul(dot, share)
                    plain = mul(plain, share) if mode == DEVIATION else zero
                    for t0 in range(a[16]):
                        for t1 in range(a[17]):
                            for t2 in range(a[18]):
                                at = (first + t0 * a[19] + t1 * a[20] + t2 * a[21]) * SHARD + lane
                                place = scale + t0 * a[22] + t1 * a[23] + t2 * a[24]
                                rise = load(g, at)
                                if gamma != 0:
                                    rise = mul(rise, broadcast(load_scalar(gamma, place)))
                                unit = mul(sub(load(x, at), mean), inverse)
                                rise = sub(sub(rise, plain), mul(unit, dot))
                                store(out, at, mul(rise, inverse))
                number += 1


@kernel
def scale_gradients(a):  # type: ignore[no-untyped-def]
    """Sums of g times the normalised x, and of g, over all that shares a number of gamma and beta.

    Row: slot of gamma or 0, of beta or 0 (both are added to), g, x, stats; three lengths of what
    has numbers of its own, then steps in x, in the slots, in stats; three lengths of the rest, then
    steps in x, in stats.
    """
    gamma, beta, g, x, stats = a[0], a[1], a[2], a[3], a[4]
    zero = broadcast(0.0)
    for o0 in range(a[5]):
        for o1 in range(a[6]):
            for o2 in range(a[7]):
                first = o0 * a[8] + o1 * a[9] + o2 * a[10]
                place = o0 * a[11] + o1 * a[12] + o2 * a[13]
                number = o0 * a[14] + o1 * a[15] + o2 * a[16]
                dot, plain = zero, zero
                for r0 in range(a[17]):
                    for r1 in range(a[18]):
                        for r2 in range(a[19]):
                            at = first + r0 * a[20] + r1 * a[21] + r2 * a[22]
                            of = number + r0 * a[23] + r1 * a[24] + r2 * a[25]
                            for lane in range(0, SHARD, LANES):
                                mean = load(stats, 2 * of * SHARD + lane)
                                inverse = load(stats, (2 * of + 1) * SHARD + lane)
                                rise = load(g, at * SHARD + lane)
                                unit = mul(sub(load(x, at * SHARD + lane), mean), inverse)
                                dot, plain = fma(rise, unit, dot), add(plain, rise)
                if gamma != 0:
                    store_scalar(gamma, place, load_scalar(gamma, place) + total(dot))
                if beta != 0:
                    store_scalar(beta, place, load_scalar(beta, place) + total(plain))


@kernel
def local_response(a):  # type: ignore[no-untyped-def]
    """out = x s^-beta with s = k + alpha (sum of x^2 over at most `radius` channels either side).

    Row: out, x, pixels, channels, radius, bits of k, of alpha, of beta.
    """
    out, x, pixels, channels, radius = a[0], a[1], a[2], a[3], a[4]
    k, alpha = broadcast(float_of(a[5])), broadcast(float_of(a[6]))
    falls = broadcast(-float_of(a[7]))
    for p in range(pixels):
        for c in range(channels):
            for lane in range(0, SHARD, LANES):
                s = _around(x, p, c, channels, radius, lane, k, alpha)
                at = (p * channels + c) * SHARD + lane
                store(out, at, mul(load(x, at), power(s, falls)))


@inlined
def _around(x, p, c, channels, radius, lane, k, alpha):  # type: ignore[no-untyped-def]
    squares = broadcast(0.0)
    for near in range(max(0, c - radius), min(channels, c + radius + 1)):
        v = load(x, (p * channels + near) * SHARD + lane)
        squares = fma(v, v, squares)
    return fma(alpha, squares, k)


@kernel
def local_response_back(a):  # type: ignore[no-untyped-def]
    """The gradient of `local_response`: ``g s^-beta - 2 alpha beta x (sum of g x s^(-beta - 1))``.

    Row: out, g, x, pixels, channels, radius, bits of k, of alpha, of beta, scratch
    (2, channels, SHARD).
    """
    out, g, x, pixels, channels, radius = a[0], a[1], a[2], a[3], a[4], a[5]
    k, alpha = broadcast(float_of(a[6])), broadcast(float_of(a[7]))
    falls, scratch = broadcast(-float_of(a[8])), a[9]
    bend = mul(broadcast(2.0), mul(alpha, falls))
    for p in range(pixels):
        for c in range(channels):
            for lane in range(0, SHARD, LANES):
                s = _around(x, p, c, channels, radius, lane, k, alpha)
                at = (p * channels + c) * SHARD + lane
                direct = mul(load(g, at), power(s, falls))
                store(scratch, c * SHARD + lane, direct)
                through = div(mul(direct, load(x, at)), s)
                store(scratch, (channels + c) * SHARD + lane, through)
        for c in range(channels):
            for lane in range(0, SHARD, LANES):
                around = broadcast(0.0)
                for near in range(max(0, c - radius), min(channels, c + radius + 1)):
                    around = add(around, load(scratch, (channels + near) * SHARD + lane))
                at = (p * channels + c) * SHARD + lane
                direct = load(scratch, c * SHARD + lane)
                store(out, at, fma(mul(bend, load(x, at)), around, direct))
