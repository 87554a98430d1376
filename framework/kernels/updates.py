"""Optimizer steps over the flat vector of parameters: one pass, gradients of the shards included.

The gradient arrives in several slots (one for each group of shards), which are added in a fixed
order, so the result does not depend on which thread filled which. What changes from step to step
comes in a small float32 array of settings.

`rule` makes the kernel of an optimizer from what its `update` says of single elements. Clipping,
weight decay, accumulated gradients and moving averages are kernels of their own that run before and
after it on the same few thousand elements, while those are in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from .formula import Code, Expression, kernel_of
from .native import Kernel, inlined, kernel
from .simd import (
    LANES,
    add,
    broadcast,
    fma,
    load_first,
    load_scalar,
    maximum,
    minimum,
    mul,
    root,
    store_first,
    store_scalar,
    sub,
    total,
)

#: Where in the settings each of them is. A step that only accumulates is not `ACTIVE`.
ACTIVE, SHARE, LIMIT, NORM, DECAY, AVERAGE, OVERWRITE, FACTORS = range(8)


@inlined
def _sum_of_slots(gradients, slots, pitch, i, count):
    added = load_first(gradients, i, count)
    for s in range(1, slots):
        added = add(added, load_first(gradients, s * pitch + i, count))
    return added


def rule(results: Sequence[Expression], label: str) -> Kernel:
    """The kernel of an optimizer's update.

    It takes gradients (slots, pitch), slots, pitch, first, below, settings, the weights, and what
    else is kept for each parameter: as many vectors as there are results.

    Args:
        results: what the weights and the kept vectors become, in terms of ``given(vector(0))``,
            ``given(vector(1))`` and so on, of ``given("g")``, and of factors, whose places are
            those in the settings from `FACTORS` on.
        label: what programs list it as.
    """
    code = Code(results)
    vectors = list(map(vector, range(len(results))))
    row = ["gradients", "slots", "pitch", "first", "below", "settings"]
    row += [f"at_{v}" for v in vectors]
    changed = [(v, name) for v, name in zip(vectors, code.results, strict=True) if v != name]
    lines = [
        f"def formula({', '.join(row)}):",
        *(f"    f{i} = broadcast(load_scalar(settings, {FACTORS + i}))" for i in code.factors),
        f"    if load_scalar(settings, {ACTIVE}) == 0.0:",
        "        below = first",
        "    for i in range(first, below, LANES):",
        "        count = below - i",
        "        g = sum_of_slots(gradients, slots, pitch, i, count)",
        *(f"        {v} = load_first(at_{v}, i, count)" for v in vectors if v in code.inputs),
        *(f"        {line}" for line in code.lines),
        *(f"        store_first(at_{v}, i, count, {name})" for v, name in changed),
    ]
    return kernel_of("\n".join(lines) + "\n", label, sum_of_slots=_sum_of_slots)


def vector(place: int) -> str:
    """What an input of a rule is called: the weights at place 0, then what else is kept."""
    return f"kept_{place}"


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
