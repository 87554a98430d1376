"""What weights and activities add to the loss, and the gradient of that.

The penalty of x is ``l1 |x| + l2 x^2``, its gradient ``l1 sign(x) + 2 l2 x`` with 0 at 0.
"""

from __future__ import annotations

from .native import inlined, kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    fma,
    greater,
    load,
    load_first,
    mul,
    select,
    store,
    store_first,
    store_scalar,
    sub,
    total,
)


@inlined
def _penalty(v, l1, l2):
    zero = broadcast(0.0)
    size = select(greater(zero, v), sub(zero, v), v)
    return mul(fma(l2, size, l1), size)


@inlined
def _slope(v, l1, l2):
    zero = broadcast(0.0)
    sign = select(greater(v, zero), l1, select(greater(zero, v), sub(zero, l1), zero))
    return fma(add(l2, l2), v, sign)


@kernel
def of_weights(out, gradient, w, count, l1: float, l2: float):
    """out = the sum of the penalties of w, and gradient (or 0: none) += theirs, any number."""
    l1, l2 = broadcast(l1), broadcast(l2)
    whole = broadcast(0.0)
    for i in range(0, count, LANES):
        v = load_first(w, i, count - i)
        whole = add(whole, _penalty(v, l1, l2))
        if gradient != 0:
            g = add(load_first(gradient, i, count - i), _slope(v, l1, l2))
            store_first(gradient, i, count - i, g)
    store_scalar(out, 0, total(whole))


@kernel
def of_activities(out, gradient, x, weights, features, l1: float, l2: float):
    """out = the penalties of x of each image, times its weight, and the gradient for x (or 0)."""
    l1, l2 = broadcast(l1), broadcast(l2)
    zero = broadcast(0.0)
    for i in range(0, SHARD, LANES):
        weight, whole = load(weights, i), zero
        for c in range(features):
            v = load(x, c * SHARD + i)
            whole = add(whole, _penalty(v, l1, l2))
            if gradient != 0:
                store(gradient, c * SHARD + i, mul(weight, _slope(v, l1, l2)))
        store(out, i, select(greater(weight, zero), mul(whole, weight), zero))


@kernel
def accumulate(out, x, count):
    """out += x, any number of elements."""
    for i in range(0, count, LANES):
        store_first(
            out, i, count - i, add(load_first(out, i, count - i), load_first(x, i, count - i))
        )
