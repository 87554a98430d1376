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
def _inverse(squares, count, epsilon, mode):
    """What x is multiplied by, from the sum of squares."""
    one = broadcast(1.0)
    if mode == LENGTH:
        return div(one, sqrt(maximum(squares, epsilon)))
    return div(one, sqrt(add(div(squares, count), epsilon)))


@kernel
def standardize(
    out, x, stats, gamma, beta, mode, epsilon: float,
    kept0, kept1, kept2, kx0, kx1, kx2, ks0, ks1, ks2,  # lengths, and steps in x and of the scale
    taken0, taken1, taken2, tx0, tx1, tx2, ts0, ts1, ts2,
):  # fmt: skip
    """out = gamma (x - mean) inverse + beta, with mean and inverse of each sample.

    stats are (kept, 2, SHARD); gamma and beta may be 0: none.
    """
    epsilon, zero = broadcast(epsilon), broadcast(0.0)
    count = broadcast(taken0 * taken1 * taken2)
    number = 0
    for k0 in range(kept0):
        for k1 in range(kept1):
            for k2 in range(kept2):
                first = k0 * kx0 + k1 * kx1 + k2 * kx2
                scale = k0 * ks0 + k1 * ks1 + k2 * ks2
                for lane in range(0, SHARD, LANES):
                    mean, squares = zero, zero
                    if mode == DEVIATION:
                        for t0 in range(taken0):
                            for t1 in range(taken1):
                                for t2 in range(taken2):
                                    at = first + t0 * tx0 + t1 * tx1 + t2 * tx2
                                    mean = add(mean, load(x, at * SHARD + lane))
                        mean = div(mean, count)
                    for t0 in range(taken0):
                        for t1 in range(taken1):
                            for t2 in range(taken2):
                                at = first + t0 * tx0 + t1 * tx1 + t2 * tx2
                                apart = sub(load(x, at * SHARD + lane), mean)
                                squares = fma(apart, apart, squares)
                    inverse = _inverse(squares, count, epsilon, mode)
                    store(stats, 2 * number * SHARD + lane, mean)
                    store(stats, (2 * number + 1) * SHARD + lane, inverse)
                    for t0 in range(taken0):
                        for t1 in range(taken1):
                            for t2 in range(taken2):
                                at = first + t0 * tx0 + t1 * tx1 + t2 * tx2
                                place = scale + t0 * ts0 + t1 * ts1 + t2 * ts2
                                v = mul(sub(load(x, at * SHARD + lane), mean), inverse)
                                if gamma != 0:
                                    v = mul(v, broadcast(load_scalar(gamma, place)))
                                if beta != 0:
                                    v = add(v, broadcast(load_scalar(beta, place)))
                                store(out, at * SHARD + lane, v)
                number += 1


@kernel
def standardize_back(
    out, g, x, stats, gamma, mode, epsilon: float,
    kept0, kept1, kept2, kx0, kx1, kx2, ks0, ks1, ks2,  # lengths, and steps in x and of the scale
    taken0, taken1, taken2, tx0, tx1, tx2, ts0, ts1, ts2,
):  # fmt: skip
    """The gradient of `standardize` for x."""
    epsilon, zero, one = broadcast(epsilon), broadcast(0.0), broadcast(1.0)
    share = div(one, broadcast(taken0 * taken1 * taken2))
    number = 0
    for k0 in range(kept0):
        for k1 in range(kept1):
            for k2 in range(kept2):
                first = k0 * kx0 + k1 * kx1 + k2 * kx2
                scale = k0 * ks0 + k1 * ks1 + k2 * ks2
                for lane in range(0, SHARD, LANES):
                    mean = load(stats, 2 * number * SHARD + lane)
                    inverse = load(stats, (2 * number + 1) * SHARD + lane)
                    plain, dot = zero, zero
                    for t0 in range(taken0):
                        for t1 in range(taken1):
                            for t2 in range(taken2):
                                at = (first + t0 * tx0 + t1 * tx1 + t2 * tx2) * SHARD + lane
                                place = scale + t0 * ts0 + t1 * ts1 + t2 * ts2
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
                    for t0 in range(taken0):
                        for t1 in range(taken1):
                            for t2 in range(taken2):
                                at = (first + t0 * tx0 + t1 * tx1 + t2 * tx2) * SHARD + lane
                                place = scale + t0 * ts0 + t1 * ts1 + t2 * ts2
                                rise = load(g, at)
                                if gamma != 0:
                                    rise = mul(rise, broadcast(load_scalar(gamma, place)))
                                unit = mul(sub(load(x, at), mean), inverse)
                                rise = sub(sub(rise, plain), mul(unit, dot))
                                store(out, at, mul(rise, inverse))
                number += 1


@kernel
def scale_gradients(
    gamma, beta, g, x, stats,
    own0, own1, own2, own_x0, own_x1, own_x2, own_scale0, own_scale1, own_scale2,
    own_stats0, own_stats1, own_stats2, rest0, rest1, rest2, rest_x0, rest_x1, rest_x2,
    rest_stats0, rest_stats1, rest_stats2,
):  # fmt: skip
    """Sums of g times the normalised x, and of g, over all that shares a number of gamma and beta.

    The slots of gamma and beta (or 0: none) are added to. Loops are over what has numbers of its
    own there, and over the rest.
    """
    zero = broadcast(0.0)
    for o0 in range(own0):
        for o1 in range(own1):
            for o2 in range(own2):
                first = o0 * own_x0 + o1 * own_x1 + o2 * own_x2
                place = o0 * own_scale0 + o1 * own_scale1 + o2 * own_scale2
                number = o0 * own_stats0 + o1 * own_stats1 + o2 * own_stats2
                dot, plain = zero, zero
                for r0 in range(rest0):
                    for r1 in range(rest1):
                        for r2 in range(rest2):
                            at = first + r0 * rest_x0 + r1 * rest_x1 + r2 * rest_x2
                            of = number + r0 * rest_stats0 + r1 * rest_stats1 + r2 * rest_stats2
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
def local_response(out, x, pixels, channels, radius, k: float, alpha: float, beta: float):
    """out = x s^-beta with s = k + alpha (sum of x^2 over up to `radius` channels either side)."""
    k, alpha, falls = broadcast(k), broadcast(alpha), broadcast(-beta)
    for p in range(pixels):
        for c in range(channels):
            for lane in range(0, SHARD, LANES):
                s = _around(x, p, c, channels, radius, lane, k, alpha)
                at = (p * channels + c) * SHARD + lane
                store(out, at, mul(load(x, at), power(s, falls)))


@inlined
def _around(x, p, c, channels, radius, lane, k, alpha):
    squares = broadcast(0.0)
    for near in range(max(0, c - radius), min(channels, c + radius + 1)):
        v = load(x, (p * channels + near) * SHARD + lane)
        squares = fma(v, v, squares)
    return fma(alpha, squares, k)


@kernel
def local_response_back(
    out, g, x, pixels, channels, radius, k: float, alpha: float, beta: float, scratch
):
    """The gradient of `local_response`: ``g s^-beta - 2 alpha beta x (sum of g x s^(-beta - 1))``.

    scratch is (2, channels, SHARD).
    """
    k, alpha, falls = broadcast(k), broadcast(alpha), broadcast(-beta)
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
