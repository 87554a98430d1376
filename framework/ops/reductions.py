"""Reductions over one axis, several or all (``axis=None``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..registry import op
from ..samples import Draw, Generator, Sample, Samples, between, distinct
from ..tensor import Tensor
from .axes import many_axes
from .elementary import exp
from .shape import broadcast_to, reshape

Array = np.ndarray
Axes = tuple[int, ...]


def reductions(draw: Draw | None = None, empty: bool = True, **fixed: Any) -> Samples:
    """Samples of a reduction: every kind of axis, kept and dropped; `empty` if it may be empty."""
    draw = draw or between(-2, 2)
    cases: list[tuple[tuple[int, ...], Any]] = [
        ((), None), ((3,), None), ((3,), 0), ((1,), -1), ((2, 3), None), ((2, 3), 0), ((2, 3), 1),
        ((2, 3), (0, 1)), ((2, 3, 2), 1), ((2, 3, 2), (0, 2)), ((2, 1, 3), -2), ((9,), None),
        ((17,), 0), ((0, 3), 1), ((2, 2, 2, 2), (1, 2)),
    ]  # fmt: skip
    if empty:
        cases += [((0, 3), 0), ((0,), None)]

    def samples(rng: Generator) -> Iterator[Sample]:
        for shape, axis in cases:
            for keepdims in (False, True):
                for _ in range(2):
                    yield Sample(draw(rng, shape), axis=axis, keepdims=keepdims, **fixed)
        yield Sample(draw(rng, (3, 2)).T, axis=0, keepdims=False, **fixed)
        yield Sample(draw(rng, (2, 6))[:, ::-2], axis=1, keepdims=False, **fixed)

    return samples


def kept(x: Tensor, like: Tensor, axis: Axes) -> Tensor:
    """A reduced tensor with the reduced axes of `like` back as unit axes, ready to broadcast."""
    return reshape(x, tuple(1 if i in axis else n for i, n in enumerate(like.shape)))


def _count(x: Any, axis: Axes) -> int:
    return math.prod(x.shape[i] for i in axis)


def _refuse_empty(name: str) -> Callable[..., dict[str, Any]]:
    """Resolve axes, refusing to reduce nothing where there is no identity element."""

    def resolve(x: Tensor, **settings: Any) -> dict[str, Any]:
        settings = many_axes(x, **settings)
        if x.size == 0 and _count(x, settings["axis"]) == 0:
            raise ValueError(f"{name}: nothing to reduce along {settings['axis']} of {x.shape}.")
        return settings

    return resolve


@op(
    gradients=(lambda g, out, x, axis, keepdims: broadcast_to(kept(g, x, axis), x.shape),),
    samples=reductions(),
    resolve=many_axes,
    linear=True,
    numpy=np.sum,
)
def sum(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The sum of the elements."""
    return np.sum(x, axis=axis, keepdims=keepdims)


@op(
    gradients=(
        lambda g, out, x, axis, keepdims: broadcast_to(
            kept(g, x, axis) / float(_count(x, axis)), x.shape
        ),
    ),
    samples=reductions(empty=False),
    resolve=_refuse_empty("mean"),
    linear=True,
    numpy=np.mean,
)
def mean(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The arithmetic mean."""
    return np.mean(x, axis=axis, keepdims=keepdims)


def _deviation(x: Tensor, axis: Axes) -> Tensor:
    return x - mean(x, axis=axis, keepdims=True)


@op(
    gradients=(
        lambda g, out, x, axis, keepdims, ddof: (
            kept(g, x, axis) * _deviation(x, axis) * (2.0 / (_count(x, axis) - ddof))
        ),
    ),
    samples=lambda rng: (
        s
        for ddof in (0, 1)
        for s in reductions(empty=False, ddof=ddof)(rng)
        if _count(s.arrays[0], many_axes(s.arrays[0], axis=s.settings["axis"])["axis"]) > ddof
    ),
    resolve=_refuse_empty("var"),
    numpy=np.var,
)
def var(x: Array, /, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Array:
    """The variance: mean squared deviation, over n - ddof."""
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof)


def _shared_among_ties(g: Tensor, out: Tensor, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    chosen = (x == kept(out, x, axis)).astype(x.dtype)
    return chosen * (kept(g, x, axis) / sum(chosen, axis=axis, keepdims=True))


@op(
    gradients=(_shared_among_ties,),
    samples=reductions(distinct, empty=False),
    resolve=_refuse_empty("max"),
    numpy=np.max,
)
def max(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The maximum, NaN if any is; equal maxima share the gradient evenly."""
    return np.max(x, axis=axis, keepdims=keepdims)


@op(
    gradients=(_shared_among_ties,),
    samples=reductions(distinct, empty=False),
    resolve=_refuse_empty("min"),
    numpy=np.min,
)
def min(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The minimum, NaN if any is; equal minima share the gradient evenly."""
    return np.min(x, axis=axis, keepdims=keepdims)


@op(
    gradients=(lambda g, out, x, axis, keepdims: kept(g, x, axis) * exp(x - kept(out, x, axis)),),
    samples=reductions(empty=False),
    resolve=_refuse_empty("logsumexp"),
)
def logsumexp(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))), without overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else out.reshape([n for i, n in enumerate(x.shape) if i not in axis])
