"""Functions of float32 vectors that pass through float64, and are rounded once.

What float32 would make inexact (powers, tails) costs two to three times as much here, and has the
series of the textbook: no coefficient needs fitting.

All of them are within 1 ulp, tails and denormal results included (tests/test_doubles.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from .native import inlined
from .simd import (
    _FLOATS,
    LANES,
    _llvm,
    _model,
    _Opaque,
    _pick,
    _splat,
    add,
    add_ints,
    and_ints,
    as_floats,
    as_ints,
    broadcast,
    broadcast_int,
    either,
    equal,
    greater,
    mul,
    negative,
    plain,
    select,
    shift_right,
    sub,
    sub_ints,
    to_floats,
    vector,
)
from .vector_math import ROUNDER, copysign, halves, magnitude, power_of_two, rint, with_edges_of_log

_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)


class _DoublesType(_Opaque):
    pass


doubles = _DoublesType(f"float64x{LANES}")
_model(_DoublesType, lambda _: _DOUBLES)


def _fused(b: Any, x: Any, y: Any, z: Any) -> Any:
    return _llvm(b, f"fmuladd.v{LANES}f64", _DOUBLES, x, y, z)


widen = plain(doubles, (vector,), lambda b, x: b.fpext(x, _DOUBLES), lambda x: x.astype(np.float64))
narrow = plain(
    vector, (doubles,), lambda b, x: b.fptrunc(x, _FLOATS), lambda x: x.astype(np.float32)
)
wide = plain(
    doubles,
    (types.float64,),
    lambda b, s: _splat(b, s, _DOUBLES),
    lambda s: np.full(LANES, s, np.float64),
)
plus = plain(doubles, (doubles,) * 2, lambda b, x, y: b.fadd(x, y), lambda x, y: x + y)
minus = plain(doubles, (doubles,) * 2, lambda b, x, y: b.fsub(x, y), lambda x, y: x - y)
times = plain(doubles, (doubles,) * 2, lambda b, x, y: b.fmul(x, y), lambda x, y: x * y)
over = plain(doubles, (doubles,) * 2, lambda b, x, y: b.fdiv(x, y), lambda x, y: x / y)
times_plus = plain(doubles, (doubles,) * 3, _fused, lambda x, y, z: x * y + z)
root_of = plain(
    doubles,
    (doubles,),
    lambda b, x: _llvm(b, f"sqrt.v{LANES}f64", _DOUBLES, x),
    lambda x: np.sqrt(x),
)
larger = plain(
    doubles,
    (doubles,) * 2,
    lambda b, x, y: _pick(b, ">", x, y),
    lambda x, y: np.where((x > y) | np.isnan(x) | np.isnan(y), x, y),
)
smaller = plain(
    doubles,
    (doubles,) * 2,
    lambda b, x, y: _pick(b, "<", x, y),
    lambda x, y: np.where((x < y) | np.isnan(x) | np.isnan(y), x, y),
)

_LN_2, _LN_10 = math.log(2), math.log(10)


@inlined
def _parts_of_exp2(p):
    """2^p as a sum of 1 and a small number, times two powers of two (which are float32)."""
    p = smaller(larger(p, wide(-200.0)), wide(200.0))
    shifted = add(narrow(p), broadcast(ROUNDER))
    r = times(minus(p, widen(sub(shifted, broadcast(ROUNDER)))), wide(_LN_2))
    y = wide(1 / 3628800)
    y = times_plus(y, r, wide(1 / 362880))
    y = times_plus(y, r, wide(1 / 40320))
    y = times_plus(y, r, wide(1 / 5040))
    y = times_plus(y, r, wide(1 / 720))
    y = times_plus(y, r, wide(1 / 120))
    y = times_plus(y, r, wide(1 / 24))
    y = times_plus(y, r, wide(1 / 6))
    y = times_plus(y, r, wide(0.5))
    y = times_plus(times(y, r), r, r)
    n, half = halves(shifted)
    return y, power_of_two(half), power_of_two(sub_ints(n, half))


@inlined
def _exp2(p):
    """2^p, in double precision."""
    y, high, low = _parts_of_exp2(p)
    return times(times(plus(y, wide(1.0)), widen(high)), widen(low))


@inlined
def _expm1(x):
    """exp(x) - 1, in double precision, without cancellation."""
    y, high, low = _parts_of_exp2(times(x, wide(1 / _LN_2)))
    scale = times(widen(high), widen(low))
    return times_plus(y, scale, minus(scale, wide(1.0)))


@inlined
def _log(x):
    """The natural logarithm of positive finite float32, in double precision."""
    denormal = greater(broadcast(1.17549435e-38), x)
    bits = as_ints(select(denormal, mul(x, broadcast(8388608.0)), x))
    offset = sub_ints(bits, broadcast_int(0x3F3504F3))  # m from sqrt(1/2) to sqrt(2)
    e = to_floats(shift_right(offset, 23))
    e = widen(select(denormal, sub(e, broadcast(23.0)), e))
    m = as_floats(add_ints(and_ints(offset, broadcast_int(0x007FFFFF)), broadcast_int(0x3F3504F3)))
    m = widen(m)
    t = over(minus(m, wide(1.0)), plus(m, wide(1.0)))
    s = times(t, t)
    y = wide(2 / 15)  # log(m) = 2 artanh(t)
    y = times_plus(y, s, wide(2 / 13))
    y = times_plus(y, s, wide(2 / 11))
    y = times_plus(y, s, wide(2 / 9))
    y = times_plus(y, s, wide(2 / 7))
    y = times_plus(y, s, wide(2 / 5))
    y = times_plus(y, s, wide(2 / 3))
    y = times_plus(y, s, wide(2.0))
    return times_plus(e, wide(_LN_2), times(y, t))


@inlined
def log2(x):
    """The logarithm to base 2."""
    return with_edges_of_log(x, narrow(times(_log(x), wide(1 / _LN_2))))


@inlined
def log10(x):
    """The logarithm to base 10."""
    return with_edges_of_log(x, narrow(times(_log(x), wide(1 / _LN_10))))


@inlined
def exp2(x):
    """2 to the power x."""
    return narrow(_exp2(widen(x)))


@inlined
def sinh(x):
    """The hyperbolic sine."""
    e = _expm1(widen(magnitude(x)))
    y = times(plus(e, over(e, plus(e, wide(1.0)))), wide(0.5))
    return copysign(narrow(y), x)


@inlined
def cosh(x):
    """The hyperbolic cosine."""
    y = _exp2(times(widen(magnitude(x)), wide(1 / _LN_2)))
    return narrow(times(plus(y, over(wide(1.0), y)), wide(0.5)))


@inlined
def hypot(x, y):
    """sqrt(x^2 + y^2); infinite if either is, though the other be NaN."""
    u, v = widen(x), widen(y)
    z = narrow(root_of(times_plus(u, u, times(v, v))))
    infinity = broadcast(float("inf"))
    z = select(equal(magnitude(x), infinity), infinity, z)
    return select(equal(magnitude(y), infinity), infinity, z)


@inlined
def cbrt(x):
    """The cube root."""
    size = magnitude(x)
    y = narrow(_exp2(times(_log(size), wide(1 / (3 * _LN_2)))))
    y = select(equal(size, broadcast(float("inf"))), size, y)
    y = select(equal(x, broadcast(0.0)), size, y)
    return select(equal(x, x), copysign(y, x), x)


@inlined
def power(x, n):
    """x to the power n, as NumPy has it: of a negative x for whole n only, 1 for n = 0."""
    zero, one, infinity = broadcast(0.0), broadcast(1.0), broadcast(float("inf"))
    size = magnitude(x)
    y = narrow(_exp2(times(times(widen(n), _log(size)), wide(1 / _LN_2))))
    rises = select(greater(n, zero), infinity, zero)  # of large numbers
    falls = select(greater(n, zero), zero, infinity)
    y = select(equal(size, zero), falls, select(equal(size, infinity), rises, y))
    endless = select(greater(size, one), rises, select(equal(size, one), one, falls))
    y = select(equal(magnitude(n), infinity), endless, y)
    is_whole, half = equal(rint(n), n), mul(n, broadcast(0.5))
    signed = select(equal(rint(half), half), y, negative(y))
    extreme = either(equal(size, zero), equal(size, infinity))
    signed = select(is_whole, signed, select(extreme, y, broadcast(float("nan"))))
    y = select(greater(zero, copysign(one, x)), signed, y)
    y = select(equal(x, x), select(equal(n, n), y, n), x)
    return select(either(equal(n, zero), equal(x, one)), one, y)
