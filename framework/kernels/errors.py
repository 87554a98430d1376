"""Losses of one prediction against one target, as a table: the value, and its slope.

Both are functions of the prediction x, the target t and two settings, whose meaning is said beside
each. `elementwise` makes kernels of them, which add up the features of each pixel (a row of the
predictions) and weigh the sum.
"""

from __future__ import annotations

import functools
from typing import Any

from .native import Kernel, inlined
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
from .vector_math import exp, log, log1p, magnitude, power, sigmoid, softplus, tanh, whole

#: How far probabilities are kept from 0 and 1, and divisors from 0.
SMALLEST = 1e-7
_LN_2 = 0.69314718055994531


@inlined
def _sign(x):
    zero = broadcast(0.0)
    below = select(greater(zero, x), broadcast(-1.0), x)  # 0, or NaN
    return select(greater(x, zero), broadcast(1.0), below)


@inlined
def within(x, least, most, yes):
    """`yes` where x lies between two numbers, which belong to it; else (and for NaN) 0."""
    return select(equal(minimum(maximum(x, least), most), x), yes, broadcast(0.0))


@inlined
def _squared(x, t, _a, _b):
    e = sub(x, t)
    return mul(e, e)


@inlined
def _squared_slope(x, t, _a, _b):
    e = sub(x, t)
    return add(e, e)


@inlined
def _absolute(x, t, _a, _b):
    return magnitude(sub(x, t))


@inlined
def _absolute_slope(x, t, _a, _b):
    return _sign(sub(x, t))


@inlined
def _percentage(x, t, _a, _b):
    share = div(magnitude(sub(t, x)), maximum(magnitude(t), broadcast(SMALLEST)))
    return mul(broadcast(100.0), share)


@inlined
def _percentage_slope(x, t, _a, _b):
    size = maximum(magnitude(t), broadcast(SMALLEST))
    return div(mul(broadcast(100.0), _sign(sub(x, t))), size)


@inlined
def _apart(x, t):
    """log(1 + x) - log(1 + t), of numbers held above 0."""
    least = broadcast(SMALLEST)
    return sub(log1p(maximum(x, least)), log1p(maximum(t, least)))


@inlined
def _logarithmic(x, t, _a, _b):
    e = _apart(x, t)
    return mul(e, e)


@inlined
def _logarithmic_slope(x, t, _a, _b):
    """Half of it at 1e-7: the maximum of two that are equal."""
    e, least = _apart(x, t), broadcast(SMALLEST)
    half = div(e, add(broadcast(1.0), x))
    at_edge = select(equal(x, least), half, broadcast(0.0))
    return select(greater(x, least), add(half, half), at_edge)


@inlined
def _huber(x, t, delta, _b):
    e, half = sub(x, t), broadcast(0.5)
    size = magnitude(e)
    far = mul(delta, sub(size, mul(half, delta)))
    return select(greater(size, delta), far, mul(half, mul(e, e)))


@inlined
def _huber_slope(x, t, delta, _b):
    return maximum(minimum(sub(x, t), delta), sub(broadcast(0.0), delta))


@inlined
def _log_cosh(x, t, _a, _b):
    size = magnitude(sub(x, t))
    return sub(add(size, log1p(exp(mul(broadcast(-2.0), size)))), broadcast(_LN_2))


@inlined
def _log_cosh_slope(x, t, _a, _b):
    return tanh(sub(x, t))


@inlined
def _poisson(x, t, _a, _b):
    return sub(x, mul(t, log(add(x, broadcast(SMALLEST)))))


@inlined
def _poisson_slope(x, t, _a, _b):
    return sub(broadcast(1.0), div(t, add(x, broadcast(SMALLEST))))


@inlined
def _divergence(x, t, _a, _b):
    """t log(t / x), both held within [1e-7, 1]."""
    least, one = broadcast(SMALLEST), broadcast(1.0)
    t = minimum(maximum(t, least), one)
    return mul(t, log(div(t, minimum(maximum(x, least), one))))


@inlined
def _divergence_slope(x, t, _a, _b):
    least, one = broadcast(SMALLEST), broadcast(1.0)
    t = minimum(maximum(t, least), one)
    held = minimum(maximum(x, least), one)
    return within(x, least, one, sub(broadcast(0.0), div(t, held)))


@inlined
def _hinge(x, t, _a, _b):
    return maximum(sub(broadcast(1.0), mul(t, x)), broadcast(0.0))


@inlined
def _hinge_slope(x, t, _a, _b):
    """Half of it where the margin is just kept: the maximum of two that are equal."""
    zero, room = broadcast(0.0), sub(broadcast(1.0), mul(t, x))
    at_edge = select(equal(room, zero), mul(broadcast(-0.5), t), zero)
    return select(greater(room, zero), sub(zero, t), at_edge)


@inlined
def _squared_hinge(x, t, _a, _b):
    room = _hinge(x, t, t, t)
    return mul(room, room)


@inlined
def _squared_hinge_slope(x, t, _a, _b):
    zero, room = broadcast(0.0), sub(broadcast(1.0), mul(t, x))
    return select(greater(room, zero), mul(mul(broadcast(-2.0), room), t), zero)


@inlined
def _binary(x, t, _a, _b):
    """Cross-entropy of a probability, which is held away from 0 and 1."""
    one = broadcast(1.0)
    p = minimum(maximum(x, broadcast(SMALLEST)), broadcast(1.0 - SMALLEST))
    yes, no = mul(t, log(p)), mul(sub(one, t), log(sub(one, p)))
    return sub(sub(broadcast(0.0), yes), no)


@inlined
def _binary_slope(x, t, _a, _b):
    one, least, most = broadcast(1.0), broadcast(SMALLEST), broadcast(1.0 - SMALLEST)
    p = minimum(maximum(x, least), most)
    return within(x, least, most, sub(div(sub(one, t), sub(one, p)), div(t, p)))


@inlined
def _binary_logits(x, t, _a, _b):
    return sub(softplus(x), mul(x, t))


@inlined
def _binary_logits_slope(x, t, _a, _b):
    return sub(sigmoid(x), t)


@inlined
def _focal(x, t, alpha, gamma):
    """Binary cross-entropy times q^gamma, q being the probability of the wrong answer.

    `alpha` below 0 is no balance of the classes; else answers of 1 count alpha, of 0 the rest.
    """
    missed = _power_of_any(_missed(x, t), gamma)
    return mul(_balance(t, alpha), mul(missed, _binary(x, t, t, t)))


@inlined
def _power_of_any(x, n):
    """x to the power n; below 0, where predictions are no probabilities, as NumPy has it."""
    y, half = power(magnitude(x), n), mul(broadcast(0.5), n)
    odd = select(equal(whole(n), n), sub(broadcast(0.0), y), broadcast(float("nan")))
    below = select(equal(whole(half), half), y, odd)
    return select(greater(broadcast(0.0), x), below, y)


@inlined
def _missed(x, t):
    """t (1 - x) + (1 - t) x."""
    one = broadcast(1.0)
    return fma(t, sub(one, x), mul(sub(one, t), x))


@inlined
def _balance(t, alpha):
    one = broadcast(1.0)
    share = fma(t, alpha, mul(sub(one, t), sub(one, alpha)))
    return select(greater(broadcast(0.0), alpha), one, share)


@inlined
def _focal_slope(x, t, alpha, gamma):
    one, zero = broadcast(1.0), broadcast(0.0)
    q = _missed(x, t)
    rise = mul(gamma, _power_of_any(q, sub(gamma, one)))
    rise = select(equal(gamma, zero), zero, mul(rise, sub(one, add(t, t))))
    slope, own = mul(rise, _binary(x, t, t, t)), _binary_slope(x, t, t, t)
    both = fma(_power_of_any(q, gamma), own, slope)
    return mul(_balance(t, alpha), select(equal(own, zero), slope, both))


@inlined
def _focal_logits(x, t, alpha, gamma):
    return _focal(sigmoid(x), t, alpha, gamma)


@inlined
def _focal_logits_slope(x, t, alpha, gamma):
    p = sigmoid(x)
    return mul(_focal_slope(p, t, alpha, gamma), mul(p, sub(broadcast(1.0), p)))


#: Name: the value, and its slope.
EXPRESSIONS: dict[str, tuple[Any, Any]] = {
    "squared": (_squared, _squared_slope),
    "absolute": (_absolute, _absolute_slope),
    "percentage": (_percentage, _percentage_slope),
    "logarithmic": (_logarithmic, _logarithmic_slope),
    "huber": (_huber, _huber_slope),
    "log_cosh": (_log_cosh, _log_cosh_slope),
    "poisson": (_poisson, _poisson_slope),
    "divergence": (_divergence, _divergence_slope),
    "hinge": (_hinge, _hinge_slope),
    "squared_hinge": (_squared_hinge, _squared_hinge_slope),
    "binary": (_binary, _binary_slope),
    "binary_logits": (_binary_logits, _binary_logits_slope),
    "focal": (_focal, _focal_slope),
    "focal_logits": (_focal_logits, _focal_logits_slope),
}


@inlined
def weighed(loss, weight):
    """Their product; 0 where the weight is 0, whatever the loss."""
    zero = broadcast(0.0)
    return select(equal(weight, zero), zero, mul(loss, weight))


@functools.cache
def elementwise(name: str) -> Kernel:
    """The losses of pixels, times their weights, and the gradient for x.

    losses and weights are (pixels, SHARD), the others (pixels, features, SHARD), gradient perhaps
    0: none. Targets count as ``keep target + even`` (label smoothing); a pixel's loss is `factor`
    times the sum of its features. p and q are settings of the expression.
    """
    value, slope = EXPRESSIONS[name]

    def run(
        losses, gradient, x, targets, weights, pixels, features,
        keep: float, even: float, factor: float, p: float, q: float,
    ):  # fmt: skip
        keep, even, factor = broadcast(keep), broadcast(even), broadcast(factor)
        p, q = broadcast(p), broadcast(q)
        for pixel in range(pixels):
            for i in range(pixel * SHARD, pixel * SHARD + SHARD, LANES):
                weight = mul(factor, load(weights, i))
                whole = broadcast(0.0)
                first = i + pixel * (features - 1) * SHARD
                for at in range(first, first + features * SHARD, SHARD):
                    v, t = load(x, at), fma(keep, load(targets, at), even)
                    whole = add(whole, value(v, t, p, q))
                    if gradient != 0:
                        store(gradient, at, weighed(slope(v, t, p, q), weight))
                store(losses, i, weighed(whole, weight))

    return Kernel(run, f"{name}_loss", made=True)
