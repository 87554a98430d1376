"""Batch-innermost elements in other places: what permutes, pads, repeats and interpolates."""

from __future__ import annotations

from .native import Kernel, kernel, load_int
from .simd import LANES, SHARD, add, broadcast, fma, load, load_scalar, store, sub

#: Axes that `move` goes over, besides the run of neighbours.
AXES = 5


def _move(name: str, adds: bool) -> Kernel:
    @kernel
    def move(a):  # type: ignore[no-untyped-def]
        out, x, run = a[0], a[1], a[2] * SHARD
        n0, n1, n2, n3, n4 = a[3], a[4], a[5], a[6], a[7]
        t0, t1, t2, t3, t4 = a[8], a[9], a[10], a[11], a[12]
        f0, f1, f2, f3, f4 = a[13], a[14], a[15], a[16], a[17]
        for i0 in range(n0):
            for i1 in range(n1):
                for i2 in range(n2):
                    for i3 in range(n3):
                        to = (i0 * t0 + i1 * t1 + i2 * t2 + i3 * t3) * SHARD
                        at = (i0 * f0 + i1 * f1 + i2 * f2 + i3 * f3) * SHARD
                        for _ in range(n4):
                            for i in range(0, run, LANES):
                                v = load(x, at + i)
                                if adds:
                                    v = add(v, load(out, to + i))
                                store(out, to + i, v)
                            to += t4 * SHARD
                            at += f4 * SHARD

    move.name = name
    return move


#: ``out[i . t + j] = x[i . f + j]`` for all i within n, and j below run.
#: Row: out, x, run, n (`AXES` lengths), t and f (as many steps each). All in elements of a sample.
move = _move("move", adds=False)
#: As `move`, adding to what is there.
move_add = _move("move_add", adds=True)


@kernel
def blend(a):  # type: ignore[no-untyped-def]
    """Each place along an axis a mean of two of x: ``out[o, i] = x[o, p] + w (x[o, q] - x[o, p])``.

    Row: out, x, before (places before the axis), length of out, length of x, run (elements after
    the axis), places (int64 pairs p, q), weights (w).
    """
    out, x, before, length, x_length, run = a[0], a[1], a[2], a[3], a[4], a[5] * SHARD
    places, weights = a[6], a[7]
    for o in range(before):
        for i in range(length):
            p = (o * x_length + load_int(places, 2 * i)) * run
            q = (o * x_length + load_int(places, 2 * i + 1)) * run
            w, to = broadcast(load_scalar(weights, i)), (o * length + i) * run
            for j in range(0, run, LANES):
                v = load(x, p + j)
                store(out, to + j, fma(w, sub(load(x, q + j), v), v))


@kernel
def blend_back(a):  # type: ignore[no-untyped-def]
    """The gradient of `blend`, added to out.

    Row: out, g, before, length of g, length of out, run, places, weights.
    """
    out, g, before, length, out_length, run = a[0], a[1], a[2], a[3], a[4], a[5] * SHARD
    places, weights = a[6], a[7]
    for o in range(before):
        for i in range(length):
            p = (o * out_length + load_int(places, 2 * i)) * run
            q = (o * out_length + load_int(places, 2 * i + 1)) * run
            w, at = broadcast(load_scalar(weights, i)), (o * length + i) * run
            rest = sub(broadcast(1.0), w)
            for j in range(0, run, LANES):
                v = load(g, at + j)
                store(out, p + j, fma(rest, v, load(out, p + j)))
                store(out, q + j, fma(w, v, load(out, q + j)))
