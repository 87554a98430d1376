"""Elementary functions of one array, elementwise. Angles are in radians."""

from __future__ import annotations

import numpy as np

from .. import kernels
from ..autograd.registry import op
from ..autograd.tensor import Tensor
from ..samples import WITH_TAILS, unary

Array = np.ndarray

_LN2 = float(np.log(2.0))
_LN10 = float(np.log(10.0))
_TWO_OVER_SQRT_PI = float(2.0 / np.sqrt(np.pi))


@op(
    gradients=(lambda g, out, x: -g,),
    samples=unary(),
    linear=True,
    numpy=np.negative,
    integers=True,
)
def negative(x: Array, /) -> Array:
    """-x."""
    return np.negative(x)


@op(
    gradients=(lambda g, out, x: g,),
    samples=unary(),
    linear=True,
    integers=True,
    numpy=(np.positive, np.conjugate, np.copy),
)
def copy(x: Array, /) -> Array:
    """The same values in memory of their own."""
    return np.array(x)


@op(
    gradients=(lambda g, out, x: g * sign(x),),
    samples=unary(avoid=(0.0,), scales=(1.0,)),
    integers=True,
    numpy=(np.abs, np.fabs),
)
def abs(x: Array, /) -> Array:
    """|x|; derivative 0 at 0."""
    return np.abs(x)


@op(gradients=(lambda g, out, x: 2.0 * g * x,), samples=unary(), integers=True, numpy=np.square)
def square(x: Array, /) -> Array:
    """x^2."""
    return np.square(x)


@op(
    gradients=(lambda g, out, x: 0.5 * g / out,),
    samples=unary(0.5, 3, scales=(1.0, 1e-4, 1e4)),
    numpy=np.sqrt,
)
def sqrt(x: Array, /) -> Array:
    """The square root."""
    return np.sqrt(x)


@op(
    gradients=(lambda g, out, x: g / (3.0 * out * out),),
    samples=unary(0.5, 3, scales=(1.0, -1.0, 1e-3)),
    numpy=np.cbrt,
)
def cbrt(x: Array, /) -> Array:
    """The cube root."""
    return np.cbrt(x)


@op(
    gradients=(lambda g, out, x: -g * out * out,),
    samples=unary(0.5, 2, scales=(1.0, -1.0, 10.0)),
    numpy=np.reciprocal,
)
def reciprocal(x: Array, /) -> Array:
    """1 / x."""
    return np.divide(1, x)


@op(gradients=(lambda g, out, x: g * out,), samples=unary(scales=WITH_TAILS), numpy=np.exp)
def exp(x: Array, /) -> Array:
    """e to the power x."""
    return np.exp(x)


@op(gradients=(lambda g, out, x: g * out * _LN2,), samples=unary(), numpy=np.exp2)
def exp2(x: Array, /) -> Array:
    """2 to the power x."""
    return np.exp2(x)


@op(gradients=(lambda g, out, x: g * exp(x),), samples=unary(scales=WITH_TAILS), numpy=np.expm1)
def expm1(x: Array, /) -> Array:
    """e to the power x, minus 1, exact near 0."""
    return np.expm1(x)


_positive = unary(0.5, 3, scales=(1.0, 1e-4, 1e4))


@op(gradients=(lambda g, out, x: g / x,), samples=_positive, numpy=np.log)
def log(x: Array, /) -> Array:
    """The natural logarithm."""
    return np.log(x)


@op(gradients=(lambda g, out, x: g / (x * _LN2),), samples=_positive, numpy=np.log2)
def log2(x: Array, /) -> Array:
    """The logarithm to base 2."""
    return np.log2(x)


@op(gradients=(lambda g, out, x: g / (x * _LN10),), samples=_positive, numpy=np.log10)
def log10(x: Array, /) -> Array:
    """The logarithm to base 10."""
    return np.log10(x)


@op(
    gradients=(lambda g, out, x: g / (1.0 + x),),
    samples=unary(-0.1, 3, scales=WITH_TAILS),
    numpy=np.log1p,
)
def log1p(x: Array, /) -> Array:
    """log(1 + x), exact near 0."""
    return np.log1p(x)


@op(gradients=(lambda g, out, x: g * cos(x),), samples=unary(-4, 4), numpy=np.sin)
def sin(x: Array, /) -> Array:
    """The sine."""
    return np.sin(x)


@op(gradients=(lambda g, out, x: -g * sin(x),), samples=unary(-4, 4), numpy=np.cos)
def cos(x: Array, /) -> Array:
    """The cosine."""
    return np.cos(x)


@op(gradients=(lambda g, out, x: g * (1.0 + out * out),), samples=unary(-1, 1), numpy=np.tan)
def tan(x: Array, /) -> Array:
    """The tangent."""
    return np.tan(x)


@op(
    gradients=(lambda g, out, x: g / sqrt((1.0 - x) * (1.0 + x)),),
    samples=unary(-0.8, 0.8),
    numpy=np.arcsin,
)
def arcsin(x: Array, /) -> Array:
    """The inverse sine."""
    return np.arcsin(x)


@op(
    gradients=(lambda g, out, x: -g / sqrt((1.0 - x) * (1.0 + x)),),
    samples=unary(-0.8, 0.8),
    numpy=np.arccos,
)
def arccos(x: Array, /) -> Array:
    """The inverse cosine."""
    return np.arccos(x)


@op(
    gradients=(lambda g, out, x: g / (1.0 + x * x),),
    samples=unary(scales=WITH_TAILS),
    numpy=np.arctan,
)
def arctan(x: Array, /) -> Array:
    """The inverse tangent."""
    return np.arctan(x)


@op(gradients=(lambda g, out, x: g * cosh(x),), samples=unary(), numpy=np.sinh)
def sinh(x: Array, /) -> Array:
    """The hyperbolic sine."""
    return np.sinh(x)


@op(gradients=(lambda g, out, x: g * sinh(x),), samples=unary(), numpy=np.cosh)
def cosh(x: Array, /) -> Array:
    """The hyperbolic cosine."""
    return np.cosh(x)


@op(
    gradients=(lambda g, out, x: 4.0 * g * logistic_density(2.0 * x),),
    samples=unary(scales=WITH_TAILS),
    numpy=np.tanh,
)
def tanh(x: Array, /) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


@op(gradients=(lambda g, out, x: g * logistic_density(x),), samples=unary(-4, 4, scales=WITH_TAILS))
def sigmoid(x: Array, /) -> Array:
    """1 / (1 + exp(-x)), the logistic function, without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


@op(
    gradients=(lambda g, out, x: -g * out * tanh(0.5 * x),), samples=unary(-4, 4, scales=WITH_TAILS)
)
def logistic_density(x: Array, /) -> Array:
    """sigmoid(x) sigmoid(-x), the slope of the sigmoid; accurate where the sigmoid is 1 or 0."""
    small = np.exp(-np.abs(x))
    return small / np.square(1 + small)


@op(
    gradients=(lambda g, out, x: g / cosh(out),), samples=unary(scales=WITH_TAILS), numpy=np.arcsinh
)
def arcsinh(x: Array, /) -> Array:
    """The inverse hyperbolic sine."""
    return np.arcsinh(x)


@op(
    gradients=(lambda g, out, x: g / (sqrt(x - 1.0) * sqrt(x + 1.0)),),
    samples=unary(1.2, 4, scales=(1.0, 10.0)),
    numpy=np.arccosh,
)
def arccosh(x: Array, /) -> Array:
    """The inverse hyperbolic cosine."""
    return np.arccosh(x)


@op(
    gradients=(lambda g, out, x: g / ((1.0 - x) * (1.0 + x)),),
    samples=unary(-0.8, 0.8),
    numpy=np.arctanh,
)
def arctanh(x: Array, /) -> Array:
    """The inverse hyperbolic tangent."""
    return np.arctanh(x)


@op(
    gradients=(lambda g, out, x: g * _TWO_OVER_SQRT_PI * exp(-(x * x)),),
    samples=unary(scales=WITH_TAILS),
)
def erf(x: Array, /) -> Array:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return kernels.special.erf(x)


@op(
    gradients=(lambda g, out, x: -g * _TWO_OVER_SQRT_PI * exp(-(x * x)),),
    samples=unary(scales=WITH_TAILS),
)
def erfc(x: Array, /) -> Array:
    """1 - erf(x), accurate where that is close to 0."""
    return kernels.special.erfc(x)


@op(
    gradients=(lambda g, out, x: deg2rad(g),),
    samples=unary(-180, 180),
    linear=True,
    numpy=(np.deg2rad, np.radians),
)
def deg2rad(x: Array, /) -> Array:
    """Degrees to radians."""
    return np.deg2rad(x)


@op(
    gradients=(lambda g, out, x: rad2deg(g),),
    samples=unary(-4, 4),
    linear=True,
    numpy=(np.rad2deg, np.degrees),
)
def rad2deg(x: Array, /) -> Array:
    """Radians to degrees."""
    return np.rad2deg(x)


def _zero(g: Tensor, out: Tensor, x: Tensor) -> None:
    """The gradient of a function that is constant between its jumps."""


_between_integers = unary(-1.8, 1.8, avoid=(-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5), scales=(1.0,))


@op(gradients=(_zero,), samples=_between_integers, integers=True, numpy=np.sign)
def sign(x: Array, /) -> Array:
    """-1, 0 or 1: gradient zero."""
    return np.sign(x)


@op(gradients=(_zero,), samples=_between_integers, integers=True, numpy=np.floor)
def floor(x: Array, /) -> Array:
    """The largest integer not above x: gradient zero."""
    return np.floor(x) if x.dtype.kind == "f" else x.copy()


@op(gradients=(_zero,), samples=_between_integers, integers=True, numpy=np.ceil)
def ceil(x: Array, /) -> Array:
    """The smallest integer not below x: gradient zero."""
    return np.ceil(x) if x.dtype.kind == "f" else x.copy()


@op(gradients=(_zero,), samples=_between_integers, integers=True, numpy=np.rint)
def rint(x: Array, /) -> Array:
    """The nearest integer, halves to even: gradient zero."""
    return np.rint(x) if x.dtype.kind == "f" else x.copy()


@op(gradients=(_zero,), samples=_between_integers, integers=True, numpy=np.trunc)
def trunc(x: Array, /) -> Array:
    """x without its fraction: gradient zero."""
    return np.trunc(x) if x.dtype.kind == "f" else x.copy()
