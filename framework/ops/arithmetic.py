"""Elementwise arithmetic and selection between arrays, which broadcast as in NumPy.

The engine sums gradients back to an input's shape, so no rule here mentions broadcasting. Where a
function has a kink, its docstring says which derivative is taken there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..registry import op
from ..samples import Generator, Sample, between, binary, unary
from ..tensor import Tensor
from .elementary import floor, log, sign, trunc

Array = np.ndarray


@op(
    gradients=(lambda g, out, x, y: g, lambda g, out, x, y: g),
    samples=binary(),
    broadcasts=True,
    linear=True,
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
        lambda g, out, x, y: g * y * x ** where(y == 0, 1.0, y - 1),
        lambda g, out, x, y: g * out * log(where(x == 0, 1.0, x)),
    ),
    samples=_power_samples,
    broadcasts=True,
    numpy=np.power,
)
def power(x: Array, y: Array, /) -> Array:
    """x to the power y. The derivative by y is taken as 0 where x is 0, and is NaN where x < 0."""
    if y.ndim == 0 and y == 2:
        return np.square(x)
    return np.power(x, y)


@op(
    gradients=(lambda g, out, x, y: g, lambda g, out, x, y: -g * floor(x / y)),
    samples=lambda rng: _away_from_jumps(rng, np.floor),
    broadcasts=True,
    numpy=np.mod,
)
def mod(x: Array, y: Array, /) -> Array:
    """Remainder of floor division, with the sign of y; the derivative beside the jumps."""
    return np.mod(x, y)


@op(
    gradients=(lambda g, out, x, y: g, lambda g, out, x, y: -g * trunc(x / y)),
    samples=lambda rng: _away_from_jumps(rng, np.trunc),
    broadcasts=True,
    numpy=np.fmod,
)
def fmod(x: Array, y: Array, /) -> Array:
    """Remainder of truncated division, with the sign of x; the derivative beside the jumps."""
    return np.fmod(x, y)


@op(
    gradients=(lambda g, out, x, y: None, lambda g, out, x, y: None),
    samples=lambda rng: _away_from_jumps(rng, np.floor),
    broadcasts=True,
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
        yield Sample((whole + fraction) * y, np.asarray(y * sign_of_y))


def _half_at_tie(g: Tensor, chosen: Tensor, tie: Tensor) -> Tensor:
    return where(tie, 0.5 * g, where(chosen, g, 0.0))


@op(
    gradients=(
        lambda g, out, x, y: _half_at_tie(g, x > y, x == y),
        lambda g, out, x, y: _half_at_tie(g, y > x, x == y),
    ),
    samples=binary(apart=True),
    broadcasts=True,
    numpy=np.maximum,
)
def maximum(x: Array, y: Array, /) -> Array:
    """The larger of x and y, NaN if either is; at a tie each gets half the gradient."""
    return np.maximum(x, y)


@op(
    gradients=(
        lambda g, out, x, y: _half_at_tie(g, x < y, x == y),
        lambda g, out, x, y: _half_at_tie(g, y < x, x == y),
    ),
    samples=binary(apart=True),
    broadcasts=True,
    numpy=np.minimum,
)
def minimum(x: Array, y: Array, /) -> Array:
    """The smaller of x and y, NaN if either is; at a tie each gets half the gradient."""
    return np.minimum(x, y)


@op(
    gradients=(
        lambda g, out, x, y: g * y / (x * x + y * y),
        lambda g, out, x, y: -g * x / (x * x + y * y),
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
    numpy=np.where,
)
def where(condition: Array, x: Array, y: Array, /) -> Array:
    """x where the condition holds, y elsewhere."""
    return np.where(condition, x, y)


@op(
    gradients=(lambda g, out, x, low, high: where((x >= _low(low)) & (x <= _high(high)), g, 0.0),),
    samples=unary(avoid=(-1.0, 0.5), scales=(1.0,), low=(None, -1.0), high=(None, 0.5)),
    numpy=np.clip,
)
def clip(x: Array, /, low: float | None = None, high: float | None = None) -> Array:
    """x held between two numbers (None: no bound); at a bound the gradient passes."""
    return np.clip(x, _low(low), _high(high))


def _low(bound: float | None) -> float:
    return -np.inf if bound is None else bound


def _high(bound: float | None) -> float:
    return np.inf if bound is None else bound
