"""Losses of a shard with their gradients, in one pass. Logits are (classes, SHARD)."""

from __future__ import annotations

from .native import kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    div,
    equal,
    float_of,
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
from .vector_math import exp, log


@kernel
def sparse_cross_entropy(a):  # type: ignore[no-untyped-def]
    """-log softmax(x)[label] for each image, times its weight, and the gradient for x.

    Row: losses (SHARD,), gradient (classes, SHARD) or 0, x, labels (SHARD,) as float32, weights
    (SHARD,), classes, bits of the smallest probability. Probabilities are held between it and 1
    minus it; beyond, the gradient is 0. (0 holds nothing: a loss on logits.)
    """
    losses, gradient, x, labels, weights, classes, smallest = (
        a[0], a[1], a[2], a[3], a[4], a[5], float_of(a[6])
    )  # fmt: skip
    zero = broadcast(0.0)
    for i in range(0, SHARD, LANES):
        label, weight = load(labels, i), load(weights, i)
        top, chosen = load(x, i), zero
        for c in range(classes):
            v = load(x, c * SHARD + i)
            top = maximum(top, v)
            chosen = select(equal(label, broadcast(c)), v, chosen)
        total = zero
        for c in range(classes):
            total = add(total, exp(sub(load(x, c * SHARD + i), top)))
        loss = sub(log(total), sub(chosen, top))
        if smallest > 0:
            least, most = broadcast(smallest), broadcast(1.0 - smallest)
            p = exp(sub(zero, loss))
            loss = select(greater(least, p), sub(zero, log(least)), loss)
            loss = select(greater(p, most), sub(zero, log(most)), loss)
            held = select(greater(least, p), zero, weight)
            held = select(greater(p, most), zero, held)
        else:
            held = weight
        store(losses, i, select(greater(weight, zero), mul(loss, weight), zero))
        if gradient != 0:
            scale = div(held, total)
            for c in range(classes):
                at = c * SHARD + i
                p = mul(exp(sub(load(x, at), top)), scale)
                store(gradient, at, sub(p, select(equal(label, broadcast(c)), held, zero)))


@kernel
def dense_cross_entropy(a):  # type: ignore[no-untyped-def]
    """-sum(y log softmax(x)) for each image, times its weight, and the gradient for x.

    Row: losses (SHARD,), gradient (classes, SHARD) or 0, x, targets (classes, SHARD), weights
    (SHARD,), classes, bits of the smallest probability (see `sparse_cross_entropy`), bits of keep,
    of even: y is ``keep target + even`` (label smoothing).
    """
    losses, gradient, x, targets, weights, classes = a[0], a[1], a[2], a[3], a[4], a[5]
    smallest, keep, even = float_of(a[6]), broadcast(float_of(a[7])), broadcast(float_of(a[8]))
    zero = broadcast(0.0)
    least, most = log(broadcast(smallest)), log(broadcast(1.0 - smallest))
    for i in range(0, SHARD, LANES):
        weight, top = load(weights, i), load(x, i)
        for c in range(1, classes):
            top = maximum(top, load(x, c * SHARD + i))
        total = zero
        for c in range(classes):
            total = add(total, exp(sub(load(x, c * SHARD + i), top)))
        offset = add(top, log(total))
        loss, mass = zero, zero
        for c in range(classes):
            at = c * SHARD + i
            y, p = fma(keep, load(targets, at), even), sub(load(x, at), offset)
            held = y
            if smallest > 0:
                held = select(greater(least, p), zero, held)
                held = select(greater(p, most), zero, held)
                p = maximum(minimum(p, most), least)
            loss, mass = sub(loss, mul(y, p)), add(mass, held)
        store(losses, i, select(greater(weight, zero), mul(loss, weight), zero))
        if gradient != 0:
            for c in range(classes):
                at = c * SHARD + i
                held, p = fma(keep, load(targets, at), even), sub(load(x, at), offset)
                if smallest > 0:
                    held = select(greater(least, p), zero, held)
                    held = select(greater(p, most), zero, held)
                store(gradient, at, mul(weight, sub(mul(exp(p), mass), held)))


@kernel
def squared_error(a):  # type: ignore[no-untyped-def]
    """mean((x - y)^2) over the features of each image, times its weight, and the gradient for x.

    Row: losses (SHARD,), gradient (features, SHARD) or 0, x, targets (features, SHARD), weights
    (SHARD,), features.
    """
    losses, gradient, x, targets, weights, features = a[0], a[1], a[2], a[3], a[4], a[5]
    zero = broadcast(0.0)
    for i in range(0, SHARD, LANES):
        share = div(load(weights, i), broadcast(features))
        loss = zero
        for c in range(features):
            at = c * SHARD + i
            apart = sub(load(x, at), load(targets, at))
            loss = fma(apart, apart, loss)
            if gradient != 0:
                store(gradient, at, mul(add(share, share), apart))
        store(losses, i, select(greater(share, zero), mul(loss, share), zero))
