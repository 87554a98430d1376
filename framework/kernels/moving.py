"""Batch-innermost elements in other places: what permutes, pads, repeats and interpolates."""

from __future__ import annotations

from .native import Kernel, kernel, load_int
from .simd import LANES, SHARD, add, broadcast, fma, load, load_scalar, store

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
    """Each place along an axis a weighted sum of places of x:
    ``out[o, i] = sum over t of w[i, t] x[o, places[i, t]]``.

    Row: out, x, before (places before the axis), length of out, length of x, run (elements after
    the axis), taps, places (int64), weights.
    """
    out, x, before, length, x_length, run = a[0], a[1], a[2], a[3], a[4], a[5] * SHARD
    taps, places, weights = a[6], a[7], a[8]
    for o in range(before):
        for i in range(length):
            to = (o * length + i) * run
            for j in range(0, run, LANES):
                total = broadcast(0.0)
                for t in range(i * taps, (i + 1) * taps):
                    at = (o * x_length + load_int(places, t)) * run
                    total = fma(broadcast(load_scalar(weights, t)), load(x, at + j), total)
                store(out, to + j, total)


@kernel
def blend_back(a):  # type: ignore[no-untyped-def]
    """The gradient of `blend`, added to out.

    Row: out, g, before, length of g, length of out, run, taps, places, weights.
    """
    out, g, before, length, out_length, run = a[0], a[1], a[2], a[3], a[4], a[5] * SHARD
    taps, places, weights = a[6], a[7], a[8]
    for o in range(before):
        for i in range(length):
            at = (o * length + i) * run
            for t in range(i * taps, (i + 1) * taps):
                to = (o * out_length + load_int(places, t)) * run
                w = broadcast(load_scalar(weights, t))
                for j in range(0, run, LANES):
                    store(out, to + j, fma(w, load(g, at + j), load(out, to + j)))
