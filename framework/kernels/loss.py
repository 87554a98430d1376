"""Cross-entropies over the classes of a pixel, with their gradients; and what weighs losses.

The parameters of a cross-entropy: losses (pixels, SHARD), gradient (pixels, classes, SHARD) or 0,
x, targets, weights (pixels, SHARD; 0: all are 1), pixels, classes, and how far probabilities are
held from 0 and 1 (0: not at all). Beyond that the gradient is 0. Where a weight is 0, so are loss
and gradient.
"""

from __future__ import annotations

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
    store,
    sub,
)
from .vector_math import exp, expm1, log, log1p


@inlined
def _within(x, least, most, yes):
    """`yes` where x lies between two numbers, which belong to it; else (and for NaN) 0."""
    return select(equal(minimum(maximum(x, least), most), x), yes, broadcast(0.0))


@inlined
def _weighed(x, weight):
    """x times a weight, and 0 where that is 0, whatever x is."""
    zero = broadcast(0.0)
    return select(equal(weight, zero), zero, mul(weight, x))


@inlined
def _weight(weights, i):
    return load(weights, i) if weights != 0 else broadcast(1.0)


@kernel
def weigh(out, x, weights, count):
    """out = weights x, and 0 where a weight is 0."""
    for i in range(0, count, LANES):
        store(out, i, _weighed(load(x, i), load(weights, i)))


@inlined
def _log_total(x, first, classes):
    """The largest of the classes' x, and the logarithm of the sum of exp(x - largest)."""
    top = load(x, first)
    for c in range(1, classes):
        top = maximum(top, load(x, first + c * SHARD))
    one, ties, rest = broadcast(1.0), broadcast(0.0), broadcast(0.0)
    for c in range(classes):
        v = load(x, first + c * SHARD)
        largest = equal(v, top)
        ties = select(largest, add(ties, one), ties)
        rest = add(rest, select(largest, broadcast(0.0), exp(sub(v, top))))
    return top, add(log(ties), log1p(div(rest, ties)))


@kernel
def sparse_of_logits(losses, gradient, x, labels, weights, pixels, classes, smallest: float):
    """-log softmax(x)[label], for labels (pixels, SHARD) as float32."""
    zero = broadcast(0.0)
    for pixel in range(pixels):
        for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
            first = i + pixel * (classes - 1) * SHARD
            label, weight, chosen = load(labels, i), _weight(weights, i), zero
            top, log_total = _log_total(x, first, classes)
            for c in range(classes):
                v = load(x, first + c * SHARD)
                chosen = select(equal(label, broadcast(c)), v, chosen)
            loss = sub(log_total, sub(chosen, top))
            held, rise = weight, expm1(sub(zero, loss))  # p - 1, to the last digit near 1
            if smallest > 0:
                least, most = broadcast(smallest), broadcast(1.0 - smallest)
                p = exp(sub(zero, loss))
                loss = select(greater(least, p), sub(zero, log(least)), loss)
                loss = select(greater(p, most), sub(zero, log(most)), loss)
                held = _within(p, least, most, weight)
            store(losses, i, _weighed(loss, weight))
            if gradient != 0:
                for c in range(classes):
                    at = first + c * SHARD
                    p = exp(sub(sub(load(x, at), top), log_total))
                    p = select(equal(label, broadcast(c)), rise, p)
                    store(gradient, at, mul(p, held))


@kernel
def dense_of_logits(losses, gradient, x, targets, weights, pixels, classes, smallest: float):
    """-sum(t log softmax(x)), for targets (pixels, classes, SHARD)."""
    zero = broadcast(0.0)
    least, most = log(broadcast(smallest)), log(broadcast(1.0 - smallest))
    for pixel in range(pixels):
        for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
            first = i + pixel * (classes - 1) * SHARD
            weight, loss, mass = _weight(weights, i), zero, zero
            top, log_total = _log_total(x, first, classes)
            for c in range(classes):
                at = first + c * SHARD
                t, p = load(targets, at), sub(sub(load(x, at), top), log_total)
                held = t
                if smallest > 0:
                    held = _within(p, least, most, held)
                    p = maximum(minimum(p, most), least)
                loss, mass = sub(loss, mul(t, p)), add(mass, held)
            store(losses, i, _weighed(loss, weight))
            if gradient != 0:
                for c in range(classes):
                    at = first + c * SHARD
                    held, p = load(targets, at), sub(sub(load(x, at), top), log_total)
                    if smallest > 0:
                        held = _within(p, least, most, held)
                    # p mass - t, for a one-hot t to the last digit near 1
                    rise = fma(expm1(p), mass, sub(mass, held))
                    store(gradient, at, _weighed(rise, weight))


def _of_shares(name: str, labels: bool) -> Kernel:
    def run(losses, gradient, x, targets, weights, pixels, classes, smallest: float):
        zero, one = broadcast(0.0), broadcast(1.0)
        least, most = broadcast(smallest), broadcast(1.0 - smallest)
        for pixel in range(pixels):
            for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
                first = i + pixel * (classes - 1) * SHARD
                weight, total = _weight(weights, i), zero
                for c in range(classes):
                    total = add(total, load(x, first + c * SHARD))
                loss, dot = zero, zero
                for c in range(classes):
                    at = first + c * SHARD
                    share = div(load(x, at), total)
                    p = minimum(maximum(share, least), most)
                    if labels:  # the other classes do not count, whatever they hold
                        chosen = equal(load(targets, i), broadcast(c))
                        part = select(chosen, log(p), zero)
                        rise = select(chosen, div(one, p), zero)
                        share = select(chosen, share, zero)
                    else:
                        t = load(targets, at)
                        part, rise = mul(t, log(p)), div(t, p)
                    loss = sub(loss, part)
                    if gradient != 0:
                        rise = _within(share, least, most, sub(zero, rise))
                        store(gradient, at, rise)
                        dot = fma(rise, share, dot)
                store(losses, i, _weighed(loss, weight))
                if gradient != 0:
                    for c in range(classes):
                        at = first + c * SHARD
                        rise = div(sub(load(gradient, at), dot), total)
                        store(gradient, at, _weighed(rise, weight))

    return Kernel(run, name, made=True)


#: -sum(t log(x over its sum)), for targets (pixels, classes, SHARD); -log(share of the label).
dense_of_shares = _of_shares("dense_of_shares", labels=False)
sparse_of_shares = _of_shares("sparse_of_shares", labels=True)

#: By whether targets are labels, and whether x are shares.
KERNELS: dict[tuple[bool, bool], Kernel] = {
    (True, False): sparse_of_logits,
    (False, False): dense_of_logits,
    (True, True): sparse_of_shares,
    (False, True): dense_of_shares,
}
