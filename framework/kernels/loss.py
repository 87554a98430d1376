"""Losses that look at all classes of a pixel, with their gradients.

Their parameters begin alike: losses (pixels, SHARD), gradient (pixels, classes, SHARD) or 0, x,
targets, weights (pixels, SHARD), pixels, classes. Each loss is weighed, and where a weight is 0 so
are loss and gradient.
"""

from __future__ import annotations

import functools
from typing import Any

from .errors import SMALLEST, weighed, within
from .native import Kernel, inlined, kernel
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
    minimum,
    mul,
    select,
    sqrt,
    store,
    sub,
)
from .vector_math import exp, log, power


@kernel
def sparse_cross_entropy(losses, gradient, x, labels, weights, pixels, classes, smallest: float):
    """-log softmax(x)[label].

    Targets are labels (pixels, SHARD), as float32. Probabilities are held between the smallest and
    1 minus it; beyond, the gradient is 0. (0 holds nothing: a loss on logits.)
    """
    zero = broadcast(0.0)
    for pixel in range(pixels):
        for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
            first = i + pixel * (classes - 1) * SHARD
            label, weight = load(labels, i), load(weights, i)
            top, chosen = load(x, first), zero
            for c in range(classes):
                v = load(x, first + c * SHARD)
                top = maximum(top, v)
                chosen = select(equal(label, broadcast(c)), v, chosen)
            total = zero
            for c in range(classes):
                total = add(total, exp(sub(load(x, first + c * SHARD), top)))
            loss = sub(log(total), sub(chosen, top))
            held = weight
            if smallest > 0:
                least, most = broadcast(smallest), broadcast(1.0 - smallest)
                p = exp(sub(zero, loss))
                loss = select(greater(least, p), sub(zero, log(least)), loss)
                loss = select(greater(p, most), sub(zero, log(most)), loss)
                held = within(p, least, most, weight)
            store(losses, i, weighed(loss, weight))
            if gradient != 0:
                scale = div(held, total)
                for c in range(classes):
                    at = first + c * SHARD
                    p = mul(exp(sub(load(x, at), top)), scale)
                    store(gradient, at, sub(p, select(equal(label, broadcast(c)), held, zero)))


@kernel
def dense_cross_entropy(
    losses, gradient, x, targets, weights, pixels, classes,
    keep: float, even: float, smallest: float,
):  # fmt: skip
    """-sum(y log softmax(x)).

    y is ``keep target + even``, for targets (pixels, classes, SHARD); for the smallest probability
    see `sparse_cross_entropy`.
    """
    keep, even = broadcast(keep), broadcast(even)
    zero = broadcast(0.0)
    least, most = log(broadcast(smallest)), log(broadcast(1.0 - smallest))
    for pixel in range(pixels):
        for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
            first = i + pixel * (classes - 1) * SHARD
            weight, top = load(weights, i), load(x, first)
            for c in range(1, classes):
                top = maximum(top, load(x, first + c * SHARD))
            total = zero
            for c in range(classes):
                total = add(total, exp(sub(load(x, first + c * SHARD), top)))
            offset = add(top, log(total))
            loss, mass = zero, zero
            for c in range(classes):
                at = first + c * SHARD
                y, p = fma(keep, load(targets, at), even), sub(load(x, at), offset)
                held = y
                if smallest > 0:
                    held = within(p, least, most, held)
                    p = maximum(minimum(p, most), least)
                loss, mass = sub(loss, mul(y, p)), add(mass, held)
            store(losses, i, weighed(loss, weight))
            if gradient != 0:
                for c in range(classes):
                    at = first + c * SHARD
                    held, p = fma(keep, load(targets, at), even), sub(load(x, at), offset)
                    if smallest > 0:
                        held = within(p, least, most, held)
                    store(gradient, at, mul(weight, sub(mul(exp(p), mass), held)))


@inlined
def _plain(p, t, _alpha, _gamma):
    return sub(broadcast(0.0), mul(t, log(p)))


@inlined
def _plain_slope(p, t, _alpha, _gamma):
    return sub(broadcast(0.0), div(t, p))


@inlined
def _focal(p, t, alpha, gamma):
    """-alpha (1 - p)^gamma t log(p)."""
    missed = mul(alpha, power(sub(broadcast(1.0), p), gamma))
    return mul(missed, _plain(p, t, t, t))


@inlined
def _focal_slope(p, t, alpha, gamma):
    one = broadcast(1.0)
    q = sub(one, p)
    rise = mul(mul(gamma, power(q, sub(gamma, one))), log(p))
    return mul(mul(alpha, t), sub(rise, div(power(q, gamma), p)))


_OF_SHARES: dict[str, tuple[Any, Any]] = {
    "cross_entropy": (_plain, _plain_slope),
    "focal": (_focal, _focal_slope),
}


@functools.cache
def of_shares(name: str) -> Kernel:
    """A loss of what classes have in a pixel: x over its sum, or softmax(x).

    `logits` says whether x are logits, `labels` whether targets are labels (pixels, SHARD). Shares
    are held 1e-7 away from 0 and 1; beyond, the gradient is 0.
    """
    value, slope = _OF_SHARES[name]

    def run(
        losses, gradient, x, targets, weights, pixels, classes,
        keep: float, even: float, alpha: float, gamma: float, logits, labels,
    ):  # fmt: skip
        keep, even = broadcast(keep), broadcast(even)
        alpha, gamma = broadcast(alpha), broadcast(gamma)
        zero, one = broadcast(0.0), broadcast(1.0)
        least, most = broadcast(SMALLEST), broadcast(1.0 - SMALLEST)
        for pixel in range(pixels):
            for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
                first = i + pixel * (classes - 1) * SHARD
                weight, top, total = load(weights, i), zero, zero
                if logits != 0:
                    top = load(x, first)
                    for c in range(1, classes):
                        top = maximum(top, load(x, first + c * SHARD))
                for c in range(classes):
                    v = load(x, first + c * SHARD)
                    if logits != 0:
                        v = exp(sub(v, top))
                    total = add(total, v)
                loss, dot = zero, zero
                for c in range(classes):
                    at = first + c * SHARD
                    v = load(x, at)
                    if logits != 0:
                        v = exp(sub(v, top))
                    share = div(v, total)
                    p = minimum(maximum(share, least), most)
                    if labels != 0:  # the other classes do not count, whatever they hold
                        chosen = equal(load(targets, i), broadcast(c))
                        part = select(chosen, value(p, one, alpha, gamma), zero)
                        rise = select(chosen, slope(p, one, alpha, gamma), zero)
                        share = select(chosen, share, zero)
                    else:
                        t = fma(keep, load(targets, at), even)
                        part, rise = value(p, t, alpha, gamma), slope(p, t, alpha, gamma)
                    loss = add(loss, part)
                    if gradient != 0:
                        rise = within(share, least, most, rise)
                        store(gradient, at, rise)
                        dot = fma(rise, share, dot)
                store(losses, i, weighed(loss, weight))
                if gradient != 0:
                    for c in range(classes):
                        at = first + c * SHARD
                        rise = sub(load(gradient, at), dot)
                        if logits != 0:
                            rise = mul(rise, div(exp(sub(load(x, at), top)), total))
                        else:
                            rise = div(rise, total)
                        store(gradient, at, weighed(rise, weight))

    return Kernel(run, f"{name}_of_shares", made=True)


@kernel
def categorical_hinge(losses, gradient, x, targets, weights, pixels, classes):
    """max(max((1 - t) x) - sum(t x) + 1, 0); ties share the gradient."""
    zero, one = broadcast(0.0), broadcast(1.0)
    for pixel in range(pixels):
        for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
            first = i + pixel * (classes - 1) * SHARD
            weight, right, wrong, ties = load(weights, i), zero, zero, zero
            for c in range(classes):
                v, t = load(x, first + c * SHARD), load(targets, first + c * SHARD)
                right = fma(t, v, right)
                other = mul(sub(one, t), v)
                ties = select(equal(other, wrong), add(ties, one), ties)
                if c == 0:
                    wrong, ties = other, one
                else:
                    ties = select(greater(other, wrong), one, ties)
                    wrong = select(equal(other, other), maximum(wrong, other), other)
            room = add(sub(wrong, right), one)
            store(losses, i, weighed(maximum(room, zero), weight))
            if gradient != 0:
                edge = select(equal(room, zero), mul(broadcast(0.5), weight), zero)
                weight = select(
                    greater(room, zero), weight, select(equal(wrong, wrong), edge, wrong)
                )
                for c in range(classes):
                    at = first + c * SHARD
                    t = load(targets, at)
                    rest = sub(one, t)
                    chosen = equal(mul(rest, load(x, at)), wrong)
                    rise = sub(select(chosen, div(rest, ties), zero), t)
                    store(gradient, at, weighed(rise, weight))


@kernel
def cosine(losses, gradient, x, targets, weights, pixels, classes):
    """-sum(t x) / (|t| |x|), lengths counting as 1e-7 at least."""
    zero, least = broadcast(0.0), broadcast(SMALLEST)
    for pixel in range(pixels):
        for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
            first = i + pixel * (classes - 1) * SHARD
            weight, dot, square, target_square = load(weights, i), zero, zero, zero
            for at in range(first, first + classes * SHARD, SHARD):
                v, t = load(x, at), load(targets, at)
                dot, square = fma(t, v, dot), fma(v, v, square)
                target_square = fma(t, t, target_square)
            length = sqrt(square)
            size, target_size = maximum(length, least), maximum(sqrt(target_square), least)
            similar = div(dot, mul(size, target_size))
            store(losses, i, weighed(sub(zero, similar), weight))
            if gradient != 0:
                bend = select(greater(length, least), div(similar, mul(size, size)), zero)
                lean = div(broadcast(1.0), mul(size, target_size))
                for at in range(first, first + classes * SHARD, SHARD):
                    rise = sub(mul(bend, load(x, at)), mul(lean, load(targets, at)))
                    store(gradient, at, weighed(rise, weight))
