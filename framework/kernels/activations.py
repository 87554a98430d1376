"""Activations as a table: what each makes of a vector, and its slope there.

Both are functions of the input and of four settings, whose meaning is said beside each. `value` and
`slope` make kernels of them, over flat arrays of whole vectors.
"""

from __future__ import annotations

import functools
from typing import Any

from .native import Kernel, inlined
from .simd import (
    LANES,
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
    sqrt,
    store,
    sub,
)
from .vector_math import erf, exp, expm1, magnitude, sigmoid, softplus, tanh

_ROOT_HALF = 0.70710678118654752
_ROOT_2_BY_PI = 0.79788456080286536


@inlined
def _rectified(x, below, threshold, most, _):
    """x above the threshold, ``below (x - threshold)`` else, and at most `most` (NaN: no limit)."""
    zero = broadcast(0.0)
    low = mul(below, minimum(sub(x, threshold), zero))
    low = select(equal(below, zero), zero, low)  # also where x is infinite
    y = select(greater(threshold, x), low, x)
    return minimum(select(equal(threshold, x), zero, y), most)


@inlined
def _rectified_slope(x, below, threshold, most, _):
    zero = broadcast(0.0)
    rising = select(greater(x, most), zero, select(equal(x, most), zero, broadcast(1.0)))
    return select(greater(x, threshold), rising, below)


@inlined
def _clipped(x, offset, least, most, factor):
    """``x + offset`` held between `least` and `most`, times `factor`."""
    return mul(factor, minimum(maximum(add(x, offset), least), most))


@inlined
def _clipped_slope(x, offset, least, most, factor):
    y, zero = add(x, offset), broadcast(0.0)
    return select(greater(y, least), select(greater(most, y), factor, zero), zero)


@inlined
def _gated(x, offset, least, most, factor):
    """x times what `_clipped` makes of it."""
    return mul(x, _clipped(x, offset, least, most, factor))


@inlined
def _gated_slope(x, offset, least, most, factor):
    y, zero = add(x, offset), broadcast(0.0)
    rise = select(greater(most, y), mul(x, factor), zero)  # not 0 x, which is NaN at infinity
    return add(select(greater(y, least), rise, zero), _clipped(x, offset, least, most, factor))


@inlined
def _exponential_unit(x, alpha, rate, factor, _):
    """``factor x`` above 0, ``factor alpha (exp(rate x) - 1)`` below."""
    zero = broadcast(0.0)
    below = mul(alpha, expm1(mul(rate, minimum(x, zero))))
    return mul(factor, select(greater(x, zero), x, below))


@inlined
def _exponential_unit_slope(x, alpha, rate, factor, _):
    zero = broadcast(0.0)
    below = mul(mul(alpha, rate), exp(mul(rate, minimum(x, zero))))
    return mul(factor, select(greater(x, zero), broadcast(1.0), below))


@inlined
def _exponential(x, _a, _b, _c, _d):
    return exp(x)


@inlined
def _softplus(x, sign, _b, _c, _d):
    """``sign softplus(sign x)``: softplus, or the logarithm of the sigmoid."""
    return mul(sign, softplus(mul(sign, x)))


@inlined
def _softplus_slope(x, sign, _b, _c, _d):
    return sigmoid(mul(sign, x))


@inlined
def _silu(x, _a, _b, _c, _d):
    return mul(x, sigmoid(x))


@inlined
def _silu_slope(x, _a, _b, _c, _d):
    s = sigmoid(x)
    return fma(mul(x, s), sub(broadcast(1.0), s), s)


@inlined
def _gelu(x, _a, _b, _c, _d):
    half = mul(broadcast(0.5), x)
    return fma(half, erf(mul(x, broadcast(_ROOT_HALF))), half)


@inlined
def _gelu_slope(x, _a, _b, _c, _d):
    half = broadcast(0.5)
    share = fma(half, erf(mul(x, broadcast(_ROOT_HALF))), half)
    density = mul(broadcast(0.5 * _ROOT_2_BY_PI), exp(mul(mul(x, x), broadcast(-0.5))))
    return fma(x, density, share)


@inlined
def _inner(x):
    """tanh(sqrt(2 / pi) (x + 0.044715 x^3)), and x^2."""
    square = mul(x, x)
    cubic = fma(mul(broadcast(0.044715), square), x, x)
    return tanh(mul(broadcast(_ROOT_2_BY_PI), cubic)), square


@inlined
def _gelu_tanh(x, _a, _b, _c, _d):
    t, _ = _inner(x)
    half = mul(broadcast(0.5), x)
    return fma(half, t, half)


@inlined
def _gelu_tanh_slope(x, _a, _b, _c, _d):
    t, square = _inner(x)
    half, one = broadcast(0.5), broadcast(1.0)
    rise = fma(broadcast(3 * 0.044715), square, one)
    rise = mul(mul(broadcast(0.5 * _ROOT_2_BY_PI), x), rise)
    return fma(mul(rise, sub(one, t)), add(one, t), fma(half, t, half))


@inlined
def _mish(x, _a, _b, _c, _d):
    """x tanh(log(1 + n)) with n = exp(x): x w / (w + 2) with w = n (n + 2)."""
    n, two = exp(minimum(x, broadcast(20.0))), broadcast(2.0)
    w = mul(n, add(n, two))
    return mul(x, div(w, add(w, two)))


@inlined
def _mish_slope(x, _a, _b, _c, _d):
    n, two = exp(minimum(x, broadcast(20.0))), broadcast(2.0)
    w = mul(n, add(n, two))
    beneath = add(w, two)
    rise = div(mul(broadcast(4.0), mul(n, add(n, broadcast(1.0)))), mul(beneath, beneath))
    return fma(minimum(x, broadcast(20.0)), rise, div(w, beneath))


@inlined
def _softsign(x, _a, _b, _c, _d):
    return div(x, add(broadcast(1.0), magnitude(x)))


@inlined
def _softsign_slope(x, _a, _b, _c, _d):
    share = div(broadcast(1.0), add(broadcast(1.0), magnitude(x)))
    return mul(share, share)


@inlined
def _tanh_shrink(x, _a, _b, _c, _d):
    """x - tanh(x); near 0, where that cancels, a polynomial fitted to (x - tanh(x)) / x^3."""
    s = mul(x, x)
    y = broadcast(-0.00014261211617849767)
    y = fma(y, s, broadcast(0.0009228101698681712))
    y = fma(y, s, broadcast(-0.0032057466451078653))
    y = fma(y, s, broadcast(0.008697020821273327))
    y = fma(y, s, broadcast(-0.02182920090854168))
    y = fma(y, s, broadcast(0.05396334081888199))
    y = fma(y, s, broadcast(-0.13333310186862946))
    y = fma(y, s, broadcast(0.3333333432674408))
    return select(greater(broadcast(1.0), s), mul(mul(y, s), x), sub(x, tanh(x)))


@inlined
def _tanh_shrink_slope(x, _a, _b, _c, _d):
    t = tanh(x)
    return mul(t, t)


@inlined
def _beyond(x, threshold, yes):
    """`yes` where |x| is above the threshold (or x is NaN), else 0."""
    size, zero = magnitude(x), broadcast(0.0)
    return select(greater(threshold, size), zero, select(equal(threshold, size), zero, yes))


@inlined
def _soft_shrink(x, threshold, _b, _c, _d):
    return sub(x, minimum(maximum(x, sub(broadcast(0.0), threshold)), threshold))


@inlined
def _hard_shrink(x, threshold, _b, _c, _d):
    return _beyond(x, threshold, x)


@inlined
def _shrink_slope(x, threshold, _b, _c, _d):
    return _beyond(x, threshold, broadcast(1.0))


@inlined
def _long_side(x, root):
    """sqrt(x^2 + root^2), without overflow."""
    size = magnitude(x)
    most, least = maximum(size, root), minimum(size, root)
    share = div(least, most)
    return mul(most, sqrt(fma(share, share, broadcast(1.0))))


@inlined
def _squareplus(x, b, root, _c, _d):
    """(x + sqrt(x^2 + b)) / 2, with the root of b beside it."""
    half = broadcast(0.5)
    far = fma(half, magnitude(x), mul(half, _long_side(x, root)))
    below = div(mul(broadcast(0.25), b), far)
    return select(greater(broadcast(0.0), x), below, far)


@inlined
def _squareplus_slope(x, b, root, _c, _d):
    return div(_squareplus(x, b, root, root, root), _long_side(x, root))


@inlined
def _sparse_plus(x, _a, _b, _c, _d):
    up = fma(broadcast(0.5), x, broadcast(0.5))
    outside = maximum(x, broadcast(0.0))
    return select(greater(broadcast(1.0), magnitude(x)), mul(up, up), outside)


@inlined
def _sparse_plus_slope(x, _a, _b, _c, _d):
    up = fma(broadcast(0.5), x, broadcast(0.5))
    return minimum(maximum(up, broadcast(0.0)), broadcast(1.0))


#: Name: the value, and its slope.
EXPRESSIONS: dict[str, tuple[Any, Any]] = {
    "rectified": (_rectified, _rectified_slope),
    "clipped": (_clipped, _clipped_slope),
    "gated": (_gated, _gated_slope),
    "exponential_unit": (_exponential_unit, _exponential_unit_slope),
    "exponential": (_exponential, _exponential),
    "softplus": (_softplus, _softplus_slope),
    "silu": (_silu, _silu_slope),
    "gelu": (_gelu, _gelu_slope),
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_slope),
    "mish": (_mish, _mish_slope),
    "softsign": (_softsign, _softsign_slope),
    "tanh_shrink": (_tanh_shrink, _tanh_shrink_slope),
    "soft_shrink": (_soft_shrink, _shrink_slope),
    "hard_shrink": (_hard_shrink, _shrink_slope),
    "squareplus": (_squareplus, _squareplus_slope),
    "sparse_plus": (_sparse_plus, _sparse_plus_slope),
}


@functools.cache
def value(name: str) -> Kernel:
    """out = f(x), with four settings."""
    function = EXPRESSIONS[name][0]

    def run(out, x, count, p: float, q: float, r: float, s: float):
        p, q, r, s = broadcast(p), broadcast(q), broadcast(r), broadcast(s)
        for i in range(0, count, LANES):
            store(out, i, function(load(x, i), p, q, r, s))

    return Kernel(run, name, made=True)


@functools.cache
def slope(name: str) -> Kernel:
    """out = g f'(x), with four settings."""
    function = EXPRESSIONS[name][1]

    def run(out, g, x, count, p: float, q: float, r: float, s: float):
        p, q, r, s = broadcast(p), broadcast(q), broadcast(r), broadcast(s)
        for i in range(0, count, LANES):
            store(out, i, mul(load(g, i), function(load(x, i), p, q, r, s)))

    return Kernel(run, f"{name}_slope", made=True)
