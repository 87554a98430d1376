"""Elementwise kernels between two arrays, and what stretches one of them to the other's shape.

Arrays are batch innermost and hold a whole number of vectors, as in `pointwise`.
"""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    fma,
    load,
    store,
)


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
