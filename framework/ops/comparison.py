"""Comparison, logic and searching: results are bools or positions, so there are no gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.registry import op
from ..samples import between, binary, unary
from .axes import nonempty_axis, one_axis

Array = np.ndarray

_some_equal = binary(lambda rng, shape: np.round(between(-2, 2)(rng, shape)))


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.equal)
def equal(x: Array, y: Array, /) -> Array:
    """Whether x == y."""
    return np.equal(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.not_equal)
def not_equal(x: Array, y: Array, /) -> Array:
    """Whether x != y."""
    return np.not_equal(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.less)
def less(x: Array, y: Array, /) -> Array:
    """Whether x < y."""
    return np.less(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.less_equal)
def less_equal(x: Array, y: Array, /) -> Array:
    """Whether x <= y."""
    return np.less_equal(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.greater)
def greater(x: Array, y: Array, /) -> Array:
    """Whether x > y."""
    return np.greater(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.greater_equal)
def greater_equal(x: Array, y: Array, /) -> Array:
    """Whether x >= y."""
    return np.greater_equal(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.logical_and)
def logical_and(x: Array, y: Array, /) -> Array:
    """Whether both are non-zero."""
    return np.logical_and(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.logical_or)
def logical_or(x: Array, y: Array, /) -> Array:
    """Whether either is non-zero."""
    return np.logical_or(x, y)


@op(gradients=(None, None), samples=_some_equal, broadcasts=True, numpy=np.logical_xor)
def logical_xor(x: Array, y: Array, /) -> Array:
    """Whether exactly one is non-zero."""
    return np.logical_xor(x, y)


@op(gradients=(None,), samples=unary(), numpy=np.logical_not)
def logical_not(x: Array, /) -> Array:
    """Whether x is zero."""
    return np.logical_not(x)


@op(gradients=(None,), samples=unary(), numpy=np.isfinite)
def isfinite(x: Array, /) -> Array:
    """Whether x is neither infinite nor NaN."""
    return np.isfinite(x)


@op(gradients=(None,), samples=unary(), numpy=np.isnan)
def isnan(x: Array, /) -> Array:
    """Whether x is NaN."""
    return np.isnan(x)


@op(gradients=(None,), samples=unary(), numpy=np.isinf)
def isinf(x: Array, /) -> Array:
    """Whether x is infinite, of either sign."""
    return np.isinf(x)


@op(gradients=(None,), samples=unary(), numpy=np.signbit)
def signbit(x: Array, /) -> Array:
    """Whether the sign of x is minus, also that of -0."""
    return np.signbit(x)


def _search_samples(rng: np.random.Generator) -> Any:
    return (s for s in unary(axis=(None, 0, -1))(rng) if s.arrays[0].size and s.arrays[0].ndim)


@op(gradients=(None,), samples=_search_samples, resolve=nonempty_axis("argmax"), numpy=np.argmax)
def argmax(x: Array, /, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first maximum, along an axis or (None) in the flattened array."""
    return np.argmax(x, axis=axis, keepdims=keepdims)


@op(gradients=(None,), samples=_search_samples, resolve=nonempty_axis("argmin"), numpy=np.argmin)
def argmin(x: Array, /, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first minimum, along an axis or (None) in the flattened array."""
    return np.argmin(x, axis=axis, keepdims=keepdims)


@op(
    gradients=(None,),
    samples=_search_samples,
    resolve=one_axis,
    numpy={np.argsort: {"kind": ("stable", "mergesort"), "stable": (True,)}},
)
def argsort(x: Array, /, axis: int | None = -1) -> Array:
    """The positions that sort x in ascending order, along an axis or (None) in the flattened array.

    NaN comes last; equal elements keep their order.
    """
    return np.argsort(x, axis=axis, kind="stable")
