"""Optimizer steps over the flat vector of parameters: one pass, gradients of the shards included.

The gradient arrives in several slots (one for each group of shards), which are added in a fixed
order, so the result does not depend on which thread filled which. What changes from step to step
comes in a small float32 array of settings.

An optimizer is a rule for one vector of elements, below: from the gradient g, the weights w and
what is kept of them (up to `KEPT` vectors) to their new values, with up to six factors. `RULES` has
the kernel of each, which is the same loop around it. Clipping, weight decay, accumulated gradients
and moving averages are kernels of their own that run before and after it on the same few thousand
elements, while those are in the cache.
"""

from __future__ import annotations

from typing import Any

from .native import Kernel, inlined, kernel
from .simd import (
    LANES,
    add,
    broadcast,
    div,
    fma,
    greater,
    load_first,
    load_scalar,
    maximum,
    minimum,
    mul,
    root,
    select,
    sqrt,
    store_first,
    store_scalar,
    sub,
    total,
)

#: Where in the settings each of them is. A step that only accumulates is not `ACTIVE`.
ACTIVE, FACTORS, SHARE, LIMIT, NORM, DECAY, AVERAGE, OVERWRITE = 0, 1, 7, 8, 9, 10, 11, 12
SETTINGS = 16
#: Most vectors that a rule keeps.
KEPT = 3


@inlined
def _sgd(g, w, s, c):
    return (fma(c[0], g, w),)


@inlined
def _momentum(g, w, s, c):
    rate, keep = c[:2]
    v = fma(keep, s[0], mul(rate, g))
    return add(w, v), v


@inlined
def _nesterov(g, w, s, c):
    rate, keep = c[:2]
    step = mul(rate, g)
    v = fma(keep, s[0], step)
    return add(w, fma(keep, v, step)), v


@inlined
def _moments(g, s, c):
    """Running means of g and g^2."""
    m, v = s[:2]
    return fma(c[1], sub(g, m), m), fma(c[2], sub(mul(g, g), v), v)


@inlined
def _adam(g, w, s, c):
    rate, epsilon = c[0], c[3]
    m, v = _moments(g, s, c)
    return add(w, div(mul(rate, m), add(sqrt(v), epsilon))), m, v


@inlined
def _amsgrad(g, w, s, c):
    rate, epsilon = c[0], c[3]
    m, v = _moments(g, s, c)
    top = maximum(s[2], v)
    return add(w, div(mul(rate, m), add(sqrt(top), epsilon))), m, v, top


@inlined
def _nadam(g, w, s, c):
    rate, epsilon, ahead, growth = c[0], c[3], c[4], c[5]
    m, v = _moments(g, s, c)
    step = fma(rate, m, mul(ahead, g))
    return add(w, div(step, add(sqrt(mul(growth, v)), epsilon))), m, v


@inlined
def _adamax(g, w, s, c):
    rate, new, keep, epsilon = c[:4]
    m, u = s
    m = fma(new, sub(g, m), m)
    u = maximum(mul(keep, u), maximum(g, sub(broadcast(0.0), g)))
    return add(w, div(mul(rate, m), add(u, epsilon))), m, u


@inlined
def _lion(g, w, s, c):
    rate, old_1, new_1, old_2, new_2 = c[:5]
    ahead = fma(old_1, s[0], mul(new_1, g))
    zero, one = broadcast(0.0), broadcast(1.0)
    falling = select(greater(zero, ahead), sub(zero, one), ahead)  # 0 and NaN stay
    sign = select(greater(ahead, zero), one, falling)
    return fma(rate, sign, w), fma(old_2, s[0], mul(new_2, g))


@inlined
def _adagrad(g, w, s, c):
    rate, epsilon = c[:2]
    a = fma(g, g, s[0])
    return add(w, div(mul(rate, g), sqrt(add(a, epsilon)))), a


@inlined
def _adadelta(g, w, s, c):
    rate, rho, new, epsilon = c[:4]
    a, d = s
    a = fma(rho, a, mul(new, mul(g, g)))
    step = div(mul(sqrt(add(d, epsilon)), g), sqrt(add(a, epsilon)))
    return fma(rate, step, w), a, fma(rho, d, mul(new, mul(step, step)))


@inlined
def _scaled(g, v, mean, c):
    """rate g / sqrt(v - mean^2 + epsilon)."""
    spread = sub(v, mul(mean, mean))
    return div(mul(c[0], g), sqrt(add(spread, c[3])))


@inlined
def _rmsprop(g, w, s, c):
    v = fma(c[1], s[0], mul(c[2], mul(g, g)))
    return sub(w, _scaled(g, v, broadcast(0.0), c)), v


@inlined
def _rmsprop_momentum(g, w, s, c):
    v = fma(c[1], s[0], mul(c[2], mul(g, g)))
    u = fma(c[4], s[1], _scaled(g, v, broadcast(0.0), c))
    return sub(w, u), v, u


@inlined
def _rmsprop_centered(g, w, s, c):
    v = fma(c[1], s[0], mul(c[2], mul(g, g)))
    mean = fma(c[1], s[1], mul(c[2], g))
    return sub(w, _scaled(g, v, mean, c)), v, mean


@inlined
def _rmsprop_centered_momentum(g, w, s, c):
    v = fma(c[1], s[0], mul(c[2], mul(g, g)))
    mean = fma(c[1], s[2], mul(c[2], g))
    u = fma(c[4], s[1], _scaled(g, v, mean, c))
    return sub(w, u), v, u, mean


@inlined
def _sum_of_slots(gradients, slots, pitch, i, count):
    added = load_first(gradients, i, count)
    for s in range(1, slots):
        added = add(added, load_first(gradients, s * pitch + i, count))
    return added


def _update(rule: Any, kept: int) -> Kernel:
    """The kernel of a rule that keeps so many vectors; it takes 0 for those it does not."""

    def update(gradients, slots, pitch, first, below, settings, w, kept_0, kept_1, kept_2):
        c = (
            broadcast(load_scalar(settings, FACTORS)),
            broadcast(load_scalar(settings, FACTORS + 1)),
            broadcast(load_scalar(settings, FACTORS + 2)),
            broadcast(load_scalar(settings, FACTORS + 3)),
            broadcast(load_scalar(settings, FACTORS + 4)),
            broadcast(load_scalar(settings, FACTORS + 5)),
        )
        if load_scalar(settings, ACTIVE) == 0.0:
            below = first
        for i in range(first, below, LANES):
            count = below - i
            g = _sum_of_slots(gradients, slots, pitch, i, count)
            x = load_first(w, i, count)
            if kept == 0:  # the branches of another `kept` are gone before types are looked at
                new = rule(g, x, (), c)
            if kept == 1:
                new = rule(g, x, (load_first(kept_0, i, count),), c)
            if kept == 2:
                new = rule(g, x, (load_first(kept_0, i, count), load_first(kept_1, i, count)), c)
            if kept == 3:
                before = (
                    load_first(kept_0, i, count),
                    load_first(kept_1, i, count),
                    load_first(kept_2, i, count),
                )
                new = rule(g, x, before, c)
            store_first(w, i, count, new[0])
            if kept > 0:
                store_first(kept_0, i, count, new[1])
            if kept > 1:
                store_first(kept_1, i, count, new[2])
            if kept > 2:
                store_first(kept_2, i, count, new[3])

    return Kernel(update, rule.__name__.lstrip("_"), made=True)


#: The kernel of each rule, by its name.
RULES = {
    made.name: made
    for made in (
        _update(_sgd, 0),
        _update(_momentum, 1),
        _update(_nesterov, 1),
        _update(_adam, 2),
        _update(_amsgrad, 3),
        _update(_nadam, 2),
        _update(_adamax, 2),
        _update(_lion, 1),
        _update(_adagrad, 1),
        _update(_adadelta, 2),
        _update(_rmsprop, 1),
        _update(_rmsprop_momentum, 2),
        _update(_rmsprop_centered, 2),
        _update(_rmsprop_centered_momentum, 3),
    )
}


@kernel
def gather(out, gradients, slots, pitch, first, below, accumulates, sum_of_squares):
    """out = sum of the slots (+ out, to accumulate), and the sum of its squares.

    gradients are (slots, pitch).
    """
    squares = broadcast(0.0)
    for i in range(first, below, LANES):
        count = below - i
        g = _sum_of_slots(gradients, slots, pitch, i, count)
        if accumulates != 0:
            g = add(g, load_first(out, i, count))
        store_first(out, i, count, g)
        squares = fma(g, g, squares)
    store_scalar(sum_of_squares, 0, total(squares))


@kernel
def clip(out, x, first, below, settings, sums, count):
    """out = x times its share, each element within the limit, all of them within the norm.

    The sums are `count` of squares of x. A limit or norm of 0 is none.
    """
    share, limit, norm = (
        load_scalar(settings, SHARE), load_scalar(settings, LIMIT), load_scalar(settings, NORM)
    )  # fmt: skip
    if norm > 0.0:
        squares = broadcast(0.0)
        for i in range(0, count, LANES):
            squares = add(squares, load_first(sums, i, count - i))
        length = share * root(total(squares))
        if not length <= norm:
            share = share * (norm / length)
    factor, most = broadcast(share), broadcast(limit)
    least = sub(broadcast(0.0), most)
    for i in range(first, below, LANES):
        g = mul(load_first(x, i, below - i), factor)
        if limit > 0.0:
            g = maximum(minimum(g, most), least)
        store_first(out, i, below - i, g)


@kernel
def decay(w, first, below, settings):
    """w -= share w."""
    share = broadcast(-load_scalar(settings, DECAY))
    if load_scalar(settings, ACTIVE) == 0.0:
        below = first
    for i in range(first, below, LANES):
        x = load_first(w, i, below - i)
        store_first(w, i, below - i, fma(share, x, x))


@kernel
def forget(x, first, below, settings):
    """x = 0 once it was used."""
    if load_scalar(settings, ACTIVE) != 0.0:
        for i in range(first, below, LANES):
            store_first(x, i, below - i, broadcast(0.0))


@kernel
def average(x, w, first, below, settings):
    """x = keep x + (1 - keep) w, and w = x if asked for."""
    share = load_scalar(settings, AVERAGE)
    old, new = broadcast(share), broadcast(1 - share)
    overwrite = load_scalar(settings, OVERWRITE) != 0.0
    for i in range(first, below, LANES):
        count = below - i
        mean = fma(old, load_first(x, i, count), mul(new, load_first(w, i, count)))
        store_first(x, i, count, mean)
        if overwrite:
            store_first(w, i, count, mean)
