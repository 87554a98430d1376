"""Batch-innermost elements in other places: what permutes, pads, repeats and interpolates."""

from __future__ import annotations

from .native import Kernel, kernel, load_int
from .simd import LANES, SHARD, add, broadcast, fma, load, load_scalar, store

#: Axes that `move` goes over, besides the run of neighbours.
AXES = 5


def _move(name: str, adds: bool) -> Kernel:
    @kernel
    def move(out, x, run, n0, n1, n2, n3, n4, t0, t1, t2, t3, t4, f0, f1, f2, f3, f4):
        run *= SHARD
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


#: ``out[i . t + j] = x[i . f + j]`` for all i within n, and j below run: elements of a sample.
move = _move("move", adds=False)
#: As `move`, adding to what is there.
move_add = _move("move_add", adds=True)


@kernel
def blend(out, x, before, length, x_length, run, taps, places, weights):
    """Each place along an axis a weighted sum of places of x:
    ``out[o, i] = sum over t of w[i, t] x[o, places[i, t]]``.

    The axis has `before` places before it, `run` elements after it, `length` in out; places are
    int64.
    """
    run *= SHARD
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
def blend_back(out, g, before, length, out_length, run, taps, places, weights):
    """The gradient of `blend`, added to out; `length` is that of g."""
    run *= SHARD
    for o in range(before):
        for i in range(length):
            at = (o * length + i) * run
            for t in range(i * taps, (i + 1) * taps):
                to = (o * out_length + load_int(places, t)) * run
                w = broadcast(load_scalar(weights, t))
                for j in range(0, run, LANES):
                    store(out, to + j, fma(w, load(g, at + j), load(out, to + j)))
