"""Optimizer steps over the flat vector of parameters: one pass, gradients of the shards included.

The gradient arrives in several slots (one for each group of shards), which are added in a fixed
order, so the result does not depend on which thread filled which. What changes from step to step
comes in a small float32 array of settings.
"""

from __future__ import annotations

from .native import inlined, kernel
from .simd import (
    LANES,
    add,
    broadcast,
    div,
    fma,
    load_first,
    load_scalar,
    mul,
    sqrt,
    store_first,
    sub,
)


@inlined
def _sum_of_slots(gradients, slots, pitch, i, count):  # type: ignore[no-untyped-def]
    total = load_first(gradients, i, count)
    for s in range(1, slots):
        total = add(total, load_first(gradients, s * pitch + i, count))
    return total


@kernel
def sum_slots(a):  # type: ignore[no-untyped-def]
    """out = sum of the slots. Row: out, gradients (slots, pitch), slots, pitch, first, below."""
    out, gradients, slots, pitch, first, below = a[0], a[1], a[2], a[3], a[4], a[5]
    for i in range(first, below, LANES):
        store_first(out, i, below - i, _sum_of_slots(gradients, slots, pitch, i, below - i))


@kernel
def sgd(a):  # type: ignore[no-untyped-def]
    """w -= rate g. Row: gradients (slots, pitch), slots, pitch, first, below, settings, w.

    Settings: rate.
    """
    gradients, slots, pitch, first, below, settings, w = a[0], a[1], a[2], a[3], a[4], a[5], a[6]
    rate = broadcast(-load_scalar(settings, 0))
    for i in range(first, below, LANES):
        g = _sum_of_slots(gradients, slots, pitch, i, below - i)
        store_first(w, i, below - i, fma(rate, g, load_first(w, i, below - i)))


@kernel
def momentum(a):  # type: ignore[no-untyped-def]
    """v = momentum v - rate g; w += v (or, nesterov, momentum v - rate g).

    Row: as `sgd`, then v, nesterov. Settings: rate, momentum.
    """
    gradients, slots, pitch, first, below, settings, w = a[0], a[1], a[2], a[3], a[4], a[5], a[6]
    v, nesterov = a[7], a[8]
    rate, keep = broadcast(-load_scalar(settings, 0)), broadcast(load_scalar(settings, 1))
    for i in range(first, below, LANES):
        count = below - i
        step = mul(rate, _sum_of_slots(gradients, slots, pitch, i, count))
        velocity = fma(keep, load_first(v, i, count), step)
        store_first(v, i, count, velocity)
        if nesterov != 0:
            velocity = fma(keep, velocity, step)
        store_first(w, i, count, add(load_first(w, i, count), velocity))


@kernel
def adam(a):  # type: ignore[no-untyped-def]
    """Adam, the bias corrections in the rate. Row: as `sgd`, then m, v.

    Settings: corrected rate, 1 - beta_1, 1 - beta_2, epsilon.
    """
    gradients, slots, pitch, first, below, settings, w = a[0], a[1], a[2], a[3], a[4], a[5], a[6]
    mean, square = a[7], a[8]
    rate, epsilon = broadcast(-load_scalar(settings, 0)), broadcast(load_scalar(settings, 3))
    new_1, new_2 = broadcast(load_scalar(settings, 1)), broadcast(load_scalar(settings, 2))
    for i in range(first, below, LANES):
        count = below - i
        g = _sum_of_slots(gradients, slots, pitch, i, count)
        m, v = load_first(mean, i, count), load_first(square, i, count)
        m = fma(new_1, sub(g, m), m)
        v = fma(new_2, sub(mul(g, g), v), v)
        store_first(mean, i, count, m)
        store_first(square, i, count, v)
        step = div(mul(rate, m), add(sqrt(v), epsilon))
        store_first(w, i, count, add(load_first(w, i, count), step))
