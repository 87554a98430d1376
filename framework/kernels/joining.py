"""Elementwise kernels between two arrays, and what stretches one of them to the other's shape.

Arrays are batch innermost and hold a whole number of vectors, as in `pointwise`.
"""

from __future__ import annotations

from .native import Kernel, kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    equal,
    fma,
    load,
    maximum,
    minimum,
    mul,
    select,
    store,
)


@kernel
def multiply(out, x, y, count):
    """out = x y."""
    for i in range(0, count, LANES):
        store(out, i, mul(load(x, i), load(y, i)))


@kernel
def affine(out, x, count, factor: float, offset: float):
    """out = factor x + offset."""
    for i in range(0, count, LANES):
        store(out, i, fma(broadcast(factor), load(x, i), broadcast(offset)))


def _extremum(name: str, largest: bool) -> Kernel:
    # A closure over a flag, as in `shards`.
    @kernel
    def extremum(out, x, y, count):
        for i in range(0, count, LANES):
            v, w = load(x, i), load(y, i)
            chosen = maximum(v, w) if largest else minimum(v, w)
            store(out, i, select(equal(w, w), chosen, w))

    extremum.name = name
    return extremum


#: The larger (smaller) of x and y, NaN if either is.
larger = _extremum("larger", True)
smaller = _extremum("smaller", False)


@kernel
def chosen_back(out, g, y, x, other, count):
    """out = g where x was chosen as y, half of it where the other one is equal, else 0."""
    for i in range(0, count, LANES):
        result, whole = load(y, i), load(g, i)
        half = mul(whole, broadcast(0.5))
        share = select(equal(load(other, i), result), half, whole)
        store(out, i, select(equal(load(x, i), result), share, broadcast(0.0)))


@kernel
def products(out, x, y, rows, columns, depth, x_row, x_step, y_row, y_step):
    """out[r, c] = sum over d of x[r, d] y[c, d], sample by sample.

    x_row and x_step are the steps of x from row to row and along the depth, y_row and y_step those
    of y from column to column and along the depth.
    """
    x_row, x_step, y_row, y_step = x_row * SHARD, x_step * SHARD, y_row * SHARD, y_step * SHARD
    for r in range(rows):
        for c in range(columns):
            for i in range(0, SHARD, LANES):
                total = broadcast(0.0)
                for d in range(depth):
                    v = load(x, r * x_row + d * x_step + i)
                    total = fma(v, load(y, c * y_row + d * y_step + i), total)
                store(out, (r * columns + c) * SHARD + i, total)


@kernel
def repeat(out, x, outer, times, inner):
    """out[o, t, i] = x[o, i]."""
    inner *= SHARD
    for o in range(outer):
        for t in range(times):
            to = (o * times + t) * inner
            for i in range(0, inner, LANES):
                store(out, to + i, load(x, o * inner + i))


@kernel
def repeat_back(out, g, outer, times, inner):
    """out[o, i] = sum over t of g[o, t, i]."""
    inner *= SHARD
    for o in range(outer):
        for i in range(0, inner, LANES):
            total = load(g, o * times * inner + i)
            for t in range(1, times):
                total = add(total, load(g, (o * times + t) * inner + i))
            store(out, o * inner + i, total)
