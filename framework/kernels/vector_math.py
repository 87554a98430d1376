"""exp, log, tanh, erf and what is made of them, of vectors, as polynomials.

Errors in units of the last place (ulp), the largest over a dense sweep of float32 (measured by
tests/test_simd.py; with fused multiply-adds):

    exp      1.1 ulp for results above the smallest normal number; below it they are denormal or 0
    log      1.0 ulp; -inf at 0, NaN below
    tanh     3.2 ulp
    sigmoid  2.5 ulp where exp(-x) is finite and normal
    expm1    1.5 ulp
    log1p    1.5 ulp
    erf      1.2 ulp
    erfc     4.0 ulp
    softplus 2.0 ulp where exp(x) is normal
    power    (1.2 + 1.2 |log2(x^n)|) ulp, for x > 0

NaN stays NaN. exp and log reduce the argument as Cody and Waite (1980) do; their coefficients are
those of the Cephes library (Moshier, 1992). The two polynomials of erf were fitted for this file
(Lawson's iteration in double precision: ``erf(x) / x - 1`` in x^2 below 0.9375,
``-log(erfc(x)) / x`` up to 4).
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
    negative,
    or_ints,
    select,
    shift_left,
    shift_right,
    sub,
    sub_ints,
    to_floats,
)

_LOG2_E = 1.44269504088896341
_LN_2, _LN_2_HIGH, _LN_2_LOW = 0.69314718055994531, 0.693359375, -2.12194440e-4
ROUNDER = 12582912.0  # 1.5 * 2^23: added and subtracted, it rounds to an integer


@inlined
def exp(x):
    """e to the power x: 0 far below, infinity above 88.72."""
    x = maximum(minimum(x, broadcast(89.0)), broadcast(-104.0))
    shifted = fma(x, broadcast(_LOG2_E), broadcast(ROUNDER))
    y = add(_small_expm1(x, shifted), broadcast(1.0))
    whole, half = halves(shifted)
    return mul(mul(y, power_of_two(half)), power_of_two(sub_ints(whole, half)))


@inlined
def expm1(x):
    """exp(x) - 1, without cancellation."""
    x = maximum(minimum(x, broadcast(89.0)), broadcast(-30.0))
    shifted = fma(x, broadcast(_LOG2_E), broadcast(ROUNDER))
    y = _small_expm1(x, shifted)
    whole, half = halves(shifted)
    high, low = power_of_two(half), power_of_two(sub_ints(whole, half))
    # 2^n y + (2^n - 1), the second factor of 2^n last
    return mul(fma(y, high, sub(high, power_of_two(sub_ints(half, whole)))), low)


@inlined
def _small_expm1(x, shifted):
    """exp(r) - 1 for the r that is left of x without the whole number of ln 2 in `shifted`."""
    return _series_of_expm1(_reduced(x, shifted))


@inlined
def _reduced(x, shifted):
    n = sub(shifted, broadcast(ROUNDER))
    r = fma(n, broadcast(-_LN_2_HIGH), x)
    return fma(n, broadcast(-_LN_2_LOW), r)


@inlined
def _series_of_expm1(r):
    y = broadcast(1.9875691500e-4)
    y = fma(y, r, broadcast(1.3981999507e-3))
    y = fma(y, r, broadcast(8.3334519073e-3))
    y = fma(y, r, broadcast(4.1665795894e-2))
    y = fma(y, r, broadcast(1.6666665459e-1))
    y = fma(y, r, broadcast(5.0000001201e-1))
    return fma(mul(y, r), r, r)


@inlined
def halves(shifted):
    """The whole number n, and half of it: as two factors, 2^n stays in the range of exponents."""
    whole = sub_ints(as_ints(shifted), as_ints(broadcast(ROUNDER)))
    return whole, shift_right(whole, 1)


@inlined
def power_of_two(n):
    return as_floats(shift_left(add_ints(n, broadcast_int(127)), 23))


@inlined
def log(x):
    """The natural logarithm."""
    denormal = greater(broadcast(1.17549435e-38), x)
    e, m = _split(select(denormal, mul(x, broadcast(8388608.0)), x))
    e = select(denormal, sub(to_floats(e), broadcast(23.0)), to_floats(e))
    return with_edges_of_log(x, _log_of_parts(e, m))


@inlined
def _split(x):
    """(e, m) with x = (1 + m) 2^e, 1 + m from sqrt(1/2) to sqrt(2)."""
    offset = sub_ints(as_ints(x), broadcast_int(0x3F3504F3))
    fraction = add_ints(and_ints(offset, broadcast_int(0x007FFFFF)), broadcast_int(0x3F3504F3))
    return shift_right(offset, 23), sub(as_floats(fraction), broadcast(1.0))


@inlined
def _log_of_parts(e, m):
    """log((1 + m) 2^e)."""
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
    return fma(e, broadcast(_LN_2_HIGH), add(m, y))


@inlined
def with_edges_of_log(x, y):
    """y, or what a logarithm is where x is 0, below, infinite or NaN."""
    y = select(equal(x, broadcast(0.0)), broadcast(float("-inf")), y)
    y = select(greater(broadcast(0.0), x), broadcast(float("nan")), y)
    y = select(equal(x, broadcast(float("inf"))), x, y)
    return select(equal(x, x), y, x)


@inlined
def tanh(x):
    """The hyperbolic tangent, from e = exp(2 x) - 1 as e / (e + 2)."""
    x = maximum(minimum(x, broadcast(10.0)), broadcast(-10.0))
    shifted = fma(x, broadcast(2 * _LOG2_E), broadcast(ROUNDER))
    r = fma(sub(shifted, broadcast(ROUNDER)), broadcast(-_LN_2 / 2), x)
    # exp(2 r) - 1, by a polynomial that was fitted for |2 r| up to ln(2) / 2
    y = broadcast(64 * 1.3882488710805774e-3)
    y = fma(y, r, broadcast(32 * 8.366691879928112e-3))
    y = fma(y, r, broadcast(16 * 4.166720435023308e-2))
    y = fma(y, r, broadcast(8 * 1.6666541993618011e-1))
    y = fma(y, r, broadcast(4 * 4.999999701976776e-1))
    y = mul(fma(y, r, broadcast(2.0)), r)
    # the whole number n in the last bits of `shifted`, moved to the exponent of 1
    power = as_floats(add_ints(shift_left(as_ints(shifted), 23), as_ints(broadcast(1.0))))
    e = fma(y, power, sub(power, broadcast(1.0)))
    return div(e, add(e, broadcast(2.0)))


@inlined
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return div(broadcast(1.0), add(broadcast(1.0), exp(sub(broadcast(0.0), x))))


@inlined
def log1p(x):
    """log(1 + x), without cancellation."""
    one = broadcast(1.0)
    u = add(one, x)
    e, m = _split(u)
    half = shift_right(e, 1)
    lost = mul(sub(x, sub(u, one)), power_of_two(sub_ints(half, e)))  # by the sum
    share = power_of_two(sub_ints(broadcast_int(0), half))
    return with_edges_of_log(u, _log_of_parts(to_floats(e), fma(lost, share, m)))


@inlined
def magnitude(x):
    """|x|."""
    return as_floats(and_ints(as_ints(x), broadcast_int(0x7FFFFFFF)))


@inlined
def copysign(x, y):
    """The size of x with the sign of y."""
    sign_bit = and_ints(as_ints(y), as_ints(broadcast(-0.0)))
    return as_floats(or_ints(as_ints(magnitude(x)), sign_bit))


@inlined
def softplus(x):
    """log(1 + exp(x))."""
    return add(maximum(x, broadcast(0.0)), log1p(exp(sub(broadcast(0.0), magnitude(x)))))


@inlined
def erf(x):
    """The error function."""
    t = minimum(magnitude(x), broadcast(4.0))
    near = _near_erf(t)
    far = broadcast(1.1890390851476695e-05)
    far = fma(far, t, broadcast(-0.00032942104735411704))
    far = fma(far, t, broadcast(0.003669454250484705))
    far = fma(far, t, broadcast(-0.023819362744688988))
    far = fma(far, t, broadcast(0.10630366206169128))
    far = fma(far, t, broadcast(0.6351107954978943))
    far = fma(far, t, broadcast(1.1286585330963135))
    far = sub(broadcast(1.0), exp(sub(broadcast(0.0), mul(far, t))))
    y = select(greater(t, broadcast(0.9375)), far, near)
    y = select(greater(broadcast(0.0), x), sub(broadcast(0.0), y), y)
    return select(equal(x, x), y, x)


@inlined
def _near_erf(t):
    """The error function up to 0.9375."""
    s = mul(t, t)
    near = broadcast(8.2674618170131e-05)
    near = fma(near, s, broadcast(-0.0008118075202219188))
    near = fma(near, s, broadcast(0.005198829807341099))
    near = fma(near, s, broadcast(-0.02685849741101265))
    near = fma(near, s, broadcast(0.1128367930650711))
    near = fma(near, s, broadcast(-0.37612631916999817))
    near = fma(near, s, broadcast(0.12837916612625122))
    return fma(near, t, t)


@inlined
def erfc(x):
    """1 - erf(x), accurate where that is close to 0."""
    t = minimum(magnitude(x), broadcast(10.2))
    two = broadcast(2.0)
    w = div(sub(t, two), add(t, two))
    far = broadcast(-0.00151239021)
    far = fma(far, w, broadcast(0.00110649341))
    far = fma(far, w, broadcast(0.00876300316))
    far = fma(far, w, broadcast(-0.00801234134))
    far = fma(far, w, broadcast(-0.0542254224))
    far = fma(far, w, broadcast(0.164050147))
    far = fma(far, w, broadcast(-0.166030183))
    far = fma(far, w, broadcast(-0.0927638113))
    far = fma(far, w, broadcast(1.27697837))
    far = mul(_exp_of_minus_square(t), div(far, fma(two, t, broadcast(1.0))))
    near = sub(broadcast(1.0), _near_erf(t))
    y = select(greater(t, broadcast(0.9375)), far, near)
    y = select(greater(broadcast(0.0), x), sub(two, y), y)
    return select(equal(x, x), y, x)


@inlined
def _exp_of_minus_square(t):
    """exp(-t^2) for t up to 10.2, with what the square loses by rounding."""
    square = mul(t, t)
    lost = fma(t, t, negative(square))
    x = negative(square)
    shifted = fma(x, broadcast(_LOG2_E), broadcast(ROUNDER))
    y = add(_series_of_expm1(sub(_reduced(x, shifted), lost)), broadcast(1.0))
    whole, half = halves(shifted)
    return mul(mul(y, power_of_two(half)), power_of_two(sub_ints(whole, half)))


@inlined
def larger(x, y):
    """The larger of two, NaN if either is."""
    return select(equal(y, y), maximum(x, y), y)


@inlined
def smaller(x, y):
    """The smaller of two, NaN if either is."""
    return select(equal(y, y), minimum(x, y), y)


@inlined
def fmax(x, y):
    """The larger of two, the other if one is NaN."""
    return select(equal(x, x), select(equal(y, y), maximum(x, y), x), y)


@inlined
def fmin(x, y):
    """The smaller of two, the other if one is NaN."""
    return select(equal(x, x), select(equal(y, y), minimum(x, y), x), y)


@inlined
def sign(x):
    """-1, 0 or 1; NaN of NaN."""
    zero = broadcast(0.0)
    y = select(greater(zero, x), broadcast(-1.0), add(x, zero))
    return select(greater(x, zero), broadcast(1.0), y)


@inlined
def rint(x):
    """The nearest whole number, halves to even."""
    size, whole_from = magnitude(x), broadcast(8388608.0)
    near = sub(add(size, whole_from), whole_from)
    return copysign(select(greater(whole_from, size), near, size), x)


@inlined
def floor(x):
    """The largest whole number not above x."""
    near = rint(x)
    return select(greater(near, x), sub(near, broadcast(1.0)), near)


@inlined
def ceil(x):
    """The smallest whole number not below x."""
    return negative(floor(negative(x)))


@inlined
def trunc(x):
    """x without its fraction."""
    return copysign(floor(magnitude(x)), x)


@inlined
def whole(x):
    """The nearest whole number, for |x| up to 2^22."""
    return sub(add(x, broadcast(ROUNDER)), broadcast(ROUNDER))


@inlined
def power(x, n):
    """x to the power n, for x from 0 on; 1 for n = 0."""
    y = exp(mul(n, log(x)))
    return select(equal(n, broadcast(0.0)), broadcast(1.0), y)
