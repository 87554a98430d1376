"""exp, log, tanh and sigmoid of vectors, as polynomials.

Errors in units of the last place (ulp), the largest over a dense sweep of float32 (measured by
tests/test_simd.py; with fused multiply-adds):

    exp      1.1 ulp for results above the smallest normal number; below it they are denormal or 0
    log      1.0 ulp for normal numbers; -inf at 0 and at denormals, NaN below
    tanh     5.0 ulp
    sigmoid  2.5 ulp where exp(-x) is finite and normal

NaN stays NaN. exp and log reduce the argument as Cody and Waite (1980) do; their coefficients are
those of the Cephes library (Moshier, 1992). tanh is the odd rational function of degree 13 over 6
that Eigen uses.
"""

from __future__ import annotations

from .native import inlined
from .simd import (
    add,
    add_ints,
    and_ints,
    as_floats,
    as_ints,
    broadcast,
    broadcast_int,
    div,
    equal,
    fma,
    greater,
    maximum,
    minimum,
    mul,
    select,
    shift_left,
    shift_right,
    sub,
    sub_ints,
    to_floats,
)

_LOG2_E = 1.44269504088896341
_LN_2_HIGH, _LN_2_LOW = 0.693359375, -2.12194440e-4
_ROUNDER = 12582912.0  # 1.5 * 2^23: added and subtracted, it rounds to an integer


@inlined
def exp(x):  # type: ignore[no-untyped-def]
    """e to the power x: 0 far below, infinity above 88.72."""
    x = maximum(minimum(x, broadcast(89.0)), broadcast(-104.0))
    shifted = fma(x, broadcast(_LOG2_E), broadcast(_ROUNDER))
    n = sub(shifted, broadcast(_ROUNDER))
    r = fma(n, broadcast(-_LN_2_HIGH), x)
    r = fma(n, broadcast(-_LN_2_LOW), r)
    y = broadcast(1.9875691500e-4)
    y = fma(y, r, broadcast(1.3981999507e-3))
    y = fma(y, r, broadcast(8.3334519073e-3))
    y = fma(y, r, broadcast(4.1665795894e-2))
    y = fma(y, r, broadcast(1.6666665459e-1))
    y = fma(y, r, broadcast(5.0000001201e-1))
    y = add(fma(mul(y, r), r, r), broadcast(1.0))
    # 2^n in two factors, so that neither leaves the range of exponents
    whole = sub_ints(as_ints(shifted), as_ints(broadcast(_ROUNDER)))
    half = shift_right(whole, 1)
    return mul(mul(y, _power_of_two(half)), _power_of_two(sub_ints(whole, half)))


@inlined
def _power_of_two(n):  # type: ignore[no-untyped-def]
    return as_floats(shift_left(add_ints(n, broadcast_int(127)), 23))


@inlined
def log(x):  # type: ignore[no-untyped-def]
    """The natural logarithm."""
    bits = as_ints(x)
    # x = m 2^e with m from sqrt(1/2) to sqrt(2)
    offset = sub_ints(bits, broadcast_int(0x3F3504F3))
    e = to_floats(shift_right(offset, 23))
    fraction = add_ints(and_ints(offset, broadcast_int(0x007FFFFF)), broadcast_int(0x3F3504F3))
    m = sub(as_floats(fraction), broadcast(1.0))
    y = broadcast(7.0376836292e-2)
    y = fma(y, m, broadcast(-1.1514610310e-1))
    y = fma(y, m, broadcast(1.1676998740e-1))
    y = fma(y, m, broadcast(-1.2420140846e-1))
    y = fma(y, m, broadcast(1.4249322787e-1))
    y = fma(y, m, broadcast(-1.6668057665e-1))
    y = fma(y, m, broadcast(2.0000714765e-1))
    y = fma(y, m, broadcast(-2.4999993993e-1))
    y = fma(y, m, broadcast(3.3333331174e-1))
    square = mul(m, m)
    y = mul(mul(y, m), square)
    y = fma(e, broadcast(_LN_2_LOW), y)
    y = fma(square, broadcast(-0.5), y)
    y = fma(e, broadcast(_LN_2_HIGH), add(m, y))
    smallest, infinity = broadcast(1.17549435e-38), broadcast(float("inf"))
    y = select(greater(smallest, x), broadcast(float("-inf")), y)
    y = select(greater(broadcast(0.0), x), broadcast(float("nan")), y)
    y = select(equal(x, infinity), x, y)
    return select(equal(x, x), y, x)


@inlined
def tanh(x):  # type: ignore[no-untyped-def]
    """The hyperbolic tangent."""
    x = maximum(minimum(x, broadcast(7.90531110763549805)), broadcast(-7.90531110763549805))
    s = mul(x, x)
    p = broadcast(-2.76076847742355e-16)
    p = fma(p, s, broadcast(2.00018790482477e-13))
    p = fma(p, s, broadcast(-8.60467152213735e-11))
    p = fma(p, s, broadcast(5.12229709037114e-08))
    p = fma(p, s, broadcast(1.48572235717979e-05))
    p = fma(p, s, broadcast(6.37261928875436e-04))
    p = fma(p, s, broadcast(4.89352455891786e-03))
    q = broadcast(1.19825839466702e-06)
    q = fma(q, s, broadcast(1.18534705686654e-04))
    q = fma(q, s, broadcast(2.26843463243900e-03))
    q = fma(q, s, broadcast(4.89352518554385e-03))
    return mul(div(p, q), x)  # in this order denormal numbers stay exact


@inlined
def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-x))."""
    return div(broadcast(1.0), add(broadcast(1.0), exp(sub(broadcast(0.0), x))))
