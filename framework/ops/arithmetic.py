"""Elementwise arithmetic and selection between arrays, which broadcast as in NumPy.

The engine sums gradients back to an input's shape, so no rule here mentions broadcasting. Where a
function has a kink, its docstring says which derivative is taken there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.promotion import as_floats, beside
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor
from ..samples import Generator, Sample, between, binary, unary
from .comparison import isinf
from .elementary import exp, exp2, log, rint, sign

Array = np.ndarray


@op(
    gradients=(lambda g, out, x, y: g, lambda g, out, x, y: g),
    samples=binary(),
    broadcasts=True,
    linear=True,
    integers=True,
    numpy=np.add,
)
def add(x: Array, y: Array, /) -> Array:
    """x + y."""
    return np.add(x, y)


@op(
    gradients=(lambda g, out, x, y: g, lambda g, out, x, y: -g),
    samples=binary(),
    broadcasts=True,
    linear=True,
    integers=True,
    numpy=np.subtract,
)
def subtract(x: Array, y: Array, /) -> Array:
    """x - y."""
    return np.subtract(x, y)


@op(
    gradients=(lambda g, out, x, y: g * y, lambda g, out, x, y: g * x),
    samples=binary(),
    broadcasts=True,
    linear=True,
    integers=True,
    numpy=np.multiply,
)
def multiply(x: Array, y: Array, /) -> Array:
    """x * y."""
    return np.multiply(x, y)


@op(
    gradients=(lambda g, out, x, y: g / y, lambda g, out, x, y: -(g * out) / y),
    samples=binary(between(-2, 2), between(0.5, 2)),
    broadcasts=True,
    numpy=np.divide,
)
def divide(x: Array, y: Array, /) -> Array:
    """x / y."""
    return np.divide(x, y)


def _power_samples(rng: Generator) -> Iterator[Sample]:
    yield from binary(between(0.5, 2), between(-2, 3))(rng)
    for exponent in (0.0, 1.0, 2.0, 3.0, -1.0):  # a negative base has only integer exponents
        yield Sample(between(-2, -0.5)(rng, (3,)), np.full(3, exponent)).without_gradient(1)
    for exponent in (1.0, 2.0, 3.0):
        yield Sample(np.zeros(2), np.full(2, exponent)).without_gradient(1)


@op(
    gradients=(
        lambda g, out, x, y: g * where(y == 0, 0.0, y * x ** where(y == 0, 1.0, y - 1)),
        lambda g, out, x, y: g * where(x == 0, 0.0, out) * log(where(x == 0, 1.0, x)),
    ),
    samples=_power_samples,
    broadcasts=True,
    integers=True,
    numpy=np.power,
)
def power(x: Array, y: Array, /) -> Array:
    """x to the power y. The derivative by y is taken as 0 where x is 0, and is NaN where x < 0."""
    if y.ndim == 0 and y == 2:
        return np.square(x)
    return np.power(x, y)


@composite(samples=binary(between(0.5, 2), between(-2, 3)), numpy=np.float_power)
def float_power(x: Any, y: Any) -> Tensor:
    """x to the power y like `power`, integers converted to floats first."""
    return power(_floating(x), _floating(y))


def _floating(x: Any) -> Any:
    """An array of integers or bools as floats; a Python number as it is, it takes any dtype."""
    return float(x) if isinstance(x, (int, float)) else as_floats("float_power", x)


@op(
    gradients=(lambda g, out, x, exponents: ldexp(g, exponents), None),
    samples=lambda rng: (
        Sample(s.arrays[0], rng.integers(-3, 4, s.arrays[1].shape)) for s in binary()(rng)
    ),
    broadcasts=True,
    linear=True,
    numpy=np.ldexp,
)
def ldexp(x: Array, exponents: Array, /) -> Array:
    """x * 2^exponents, for integer exponents."""
    return np.ldexp(x, exponents)


@op(
    gradients=(lambda g, out, x, y: g, lambda g, out, x, y: -g * floor_divide(x, y)),
    samples=lambda rng: _away_from_jumps(rng, np.floor),
    broadcasts=True,
    integers=True,
    numpy=np.mod,
)
def mod(x: Array, y: Array, /) -> Array:
    """Remainder of floor division, with the sign of y; the derivative beside the jumps."""
    return np.mod(x, y)


@op(
    gradients=(lambda g, out, x, y: g, lambda g, out, x, y: -g * rint((x - out) / y)),
    samples=lambda rng: _away_from_jumps(rng, np.trunc),
    broadcasts=True,
    integers=True,
    numpy=np.fmod,
)
def fmod(x: Array, y: Array, /) -> Array:
    """Remainder of truncated division, with the sign of x; the derivative beside the jumps."""
    return np.fmod(x, y)


@op(
    gradients=(lambda g, out, x, y: None, lambda g, out, x, y: None),
    samples=lambda rng: _away_from_jumps(rng, np.floor),
    broadcasts=True,
    integers=True,
    numpy=np.floor_divide,
)
def floor_divide(x: Array, y: Array, /) -> Array:
    """The floor of x / y: gradient zero."""
    return np.floor_divide(x, y)


def _away_from_jumps(rng: Generator, rounding: Any) -> Iterator[Sample]:
    """x / y between 0.1 and 0.9 beyond an integer."""
    for sample in binary(between(0.1, 0.9), between(0.5, 2))(rng):
        fraction, y = sample.arrays
        whole = rng.integers(-3, 3, np.broadcast_shapes(fraction.shape, y.shape))
        sign_of_y = rng.choice([-1.0, 1.0], y.shape)
        yield Sample((whole + fraction) * y, np.asarray(y * sign_of_y)).unaliased()
    for shape in ((), (1,), (3,)):
        yield Sample(np.full(shape, 1.3), rng.uniform(0.75, 1.2, (2, 3))).unaliased()


def _share(g: Tensor, out: Tensor, mine: Tensor, other: Tensor) -> Tensor:
    """The gradient of the one that was chosen as the output, halved if both are equal."""
    return where(mine == out, where(other == out, 0.5 * g, g), 0.0)


_shares = (
    lambda g, out, x, y: _share(g, out, x, y),
    lambda g, out, x, y: _share(g, out, y, x),
)


@op(gradients=_shares, samples=binary(apart=True), broadcasts=True, integers=True, numpy=np.maximum)
def maximum(x: Array, y: Array, /) -> Array:
    """The larger of x and y, NaN if either is; at a tie each gets half the gradient."""
    return np.maximum(x, y)


@op(gradients=_shares, samples=binary(apart=True), broadcasts=True, integers=True, numpy=np.minimum)
def minimum(x: Array, y: Array, /) -> Array:
    """The smaller of x and y, NaN if either is; at a tie each gets half the gradient."""
    return np.minimum(x, y)


@op(gradients=_shares, samples=binary(apart=True), broadcasts=True, integers=True, numpy=np.fmax)
def fmax(x: Array, y: Array, /) -> Array:
    """The larger of x and y, the other if one is NaN; at a tie each gets half the gradient."""
    return np.fmax(x, y)


@op(gradients=_shares, samples=binary(apart=True), broadcasts=True, integers=True, numpy=np.fmin)
def fmin(x: Array, y: Array, /) -> Array:
    """The smaller of x and y, the other if one is NaN; at a tie each gets half the gradient."""
    return np.fmin(x, y)


def _behind(x: Tensor, y: Tensor) -> Tensor:
    """y - x, and 0 rather than NaN between equal infinities."""
    return where((x == y) & isinf(x), 0.0, y - x)


@op(
    gradients=(
        lambda g, out, x, y: g * exp(-logaddexp(_behind(x, y), 0.0)),
        lambda g, out, x, y: g * exp(-logaddexp(_behind(y, x), 0.0)),
    ),
    samples=binary(),
    broadcasts=True,
    numpy=np.logaddexp,
)
def logaddexp(x: Array, y: Array, /) -> Array:
    """log(exp(x) + exp(y)), without overflow; equal infinities get half the gradient each."""
    return np.logaddexp(x, y)


@op(
    gradients=(
        lambda g, out, x, y: g * exp2(-logaddexp2(_behind(x, y), 0.0)),
        lambda g, out, x, y: g * exp2(-logaddexp2(_behind(y, x), 0.0)),
    ),
    samples=binary(),
    broadcasts=True,
    numpy=np.logaddexp2,
)
def logaddexp2(x: Array, y: Array, /) -> Array:
    """log2(2^x + 2^y), without overflow; equal infinities get half the gradient each."""
    return np.logaddexp2(x, y)


def _heaviside_samples(rng: Generator) -> Iterator[Sample]:
    yield from binary(between(-2, 2, avoid=(0.0,)))(rng)
    for x, y in (((), (3,)), ((3,), (3,)), ((2, 1), (3,)), ((2, 3), (1,))):
        steps = rng.integers(-1, 2, x) * (rng.random(x) < 0.5)  # at the jump only y counts
        yield Sample(steps.astype(np.float64), rng.normal(size=y)).without_gradient(0).unaliased()


@op(
    gradients=(lambda g, out, x, y: None, lambda g, out, x, y: where(x == 0, g, 0.0)),
    samples=_heaviside_samples,
    broadcasts=True,
    numpy=np.heaviside,
)
def heaviside(x: Array, y: Array, /) -> Array:
    """0 below 0, 1 above, y at 0: gradient zero for x, and for y where x is not 0."""
    return np.heaviside(x, y)


@op(
    gradients=(
        lambda g, out, x, y: g * (y / hypot(x, y)) / hypot(x, y),
        lambda g, out, x, y: -g * (x / hypot(x, y)) / hypot(x, y),
    ),
    samples=binary(between(0.5, 2), between(-2, 2)),
    broadcasts=True,
    numpy=np.arctan2,
)
def arctan2(x: Array, y: Array, /) -> Array:
    """The angle of the point with ordinate x and abscissa y, in radians, in (-pi, pi]."""
    return np.arctan2(x, y)


@op(
    gradients=(lambda g, out, x, y: g * x / out, lambda g, out, x, y: g * y / out),
    samples=binary(between(0.5, 2), between(-2, 2)),
    broadcasts=True,
    numpy=np.hypot,
)
def hypot(x: Array, y: Array, /) -> Array:
    """sqrt(x^2 + y^2) without overflow; not differentiable at the origin (NaN)."""
    return np.hypot(x, y)


@op(
    gradients=(
        lambda g, out, x, y: g * where(sign(x) == sign(out), 1.0, -1.0),
        lambda g, out, x, y: None,
    ),
    samples=binary(between(-2, 2, avoid=(0.0,))),
    broadcasts=True,
    numpy=np.copysign,
)
def copysign(x: Array, y: Array, /) -> Array:
    """The size of x with the sign of y: gradient zero for y."""
    return np.copysign(x, y)


@op(
    gradients=(
        None,
        lambda g, out, condition, x, y: where(condition, g, 0.0),
        lambda g, out, condition, x, y: where(condition, 0.0, g),
    ),
    samples=lambda rng: (
        Sample(rng.random(s.arrays[0].shape) < 0.5, *s.arrays) for s in binary()(rng)
    ),
    broadcasts=True,
    linear=True,
    integers=True,
    numpy=np.where,
)
def where(condition: Array, x: Array, y: Array, /) -> Array:
    """x where the condition holds, y elsewhere."""
    return np.where(condition, x, y)


def _resolve_clip(x: Tensor, **bounds: Any) -> dict[str, Any]:
    for name, bound in bounds.items():
        if bound is not None and type(bound) not in (int, float):
            array = np.asarray(bound)
            if array.ndim or array.dtype.kind not in "biuf":
                raise TypeError(
                    f"clip: {name} must be a number or None, received {bound!r:.60}. Use "
                    "gt.ops.maximum and gt.ops.minimum for bounds that differ by element."
                )
            bounds[name] = array.item()
    return bounds


@op(
    gradients=(lambda g, out, x, low, high: where((x >= _low(low)) & (x <= _high(high)), g, 0.0),),
    samples=unary(avoid=(-1.0, 0.5), scales=(1.0,), low=(None, -1.0), high=(None, 0.5)),
    resolve=_resolve_clip,
    integers=True,
    numpy={
        np.clip: {"a_min": "low", "min": "low", "a_max": "high", "max": "high", "dtype": ()},
    },
)
def clip(x: Array, /, low: float | None = None, high: float | None = None) -> Array:
    """x held between two numbers (None: no bound); at a bound the gradient passes."""
    return held(*beside("clip", x, low, high))


def held(x: Array, low: Any, high: Any) -> Array:
    """x between two numbers or None; of integers, numbers beyond their dtype are no bound."""
    if x.dtype.kind in "iu":
        ends = np.iinfo(x.dtype)
        low = None if low is None or low <= ends.min else low
        high = None if high is None or high >= ends.max else high
    return x.copy() if low is None and high is None else np.clip(x, low, high)


def _low(bound: float | None) -> float:
    return -np.inf if bound is None else bound


def _high(bound: float | None) -> float:
    return np.inf if bound is None else bound
