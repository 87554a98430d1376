"""Reading elements by position. Each read's gradient scatters back into zeros, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..registry import op
from ..samples import Generator, Sample, between

Array = np.ndarray

_any = between(-2, 2)

_INDICES: list[tuple[tuple[int, ...], Any]] = [
    ((3,), 0), ((3,), -1), ((3,), slice(None)), ((5,), slice(1, 4)), ((5,), slice(None, None, -2)),
    ((5,), slice(4, 0, -1)), ((2, 3), 1), ((2, 3), (1, 2)), ((2, 3), (slice(None), 1)),
    ((2, 3), (Ellipsis, slice(0, 2))), ((2, 3), (None, 0)), ((2, 3), (slice(None), None)),
    ((3,), np.array([0, 2, 0])), ((3,), np.array([[1, 1], [2, -1]])), ((3, 2), np.array([0, 0])),
    ((2, 3), (np.array([0, 1, 1]), np.array([2, 0, 0]))), ((2, 3), (slice(None), np.array([2, 2]))),
    ((2, 3), (0, np.array([1, 2]))), ((4,), np.array([True, False, True, False])),
    ((2, 2), np.array([[True, False], [True, True]])), ((3,), np.array([], dtype=np.int64)),
    ((0, 2), slice(None)), ((2, 3, 2), (np.array([0, 1]), slice(None), np.array([1, 1]))), ((), ()),
]  # fmt: skip


def _getitem_samples(rng: Generator) -> Iterator[Sample]:
    for shape, index in _INDICES:
        for _ in range(3):
            yield Sample(_any(rng, shape), index=index)
    yield Sample(_any(rng, (3, 2)).T, index=(slice(None), 1))


@op(
    gradients=(lambda g, out, x, index: scatter(g, index=index, shape=x.shape),),
    samples=_getitem_samples,
    linear=True,
)
def getitem(x: Array, /, index: Any) -> Array:
    """x[index], with NumPy's basic and advanced indexing."""
    return x[index]


def _scatter_samples(rng: Generator) -> Iterator[Sample]:
    for shape, index in _INDICES:
        for _ in range(3):
            yield Sample(_any(rng, np.empty(shape)[index].shape), index=index, shape=shape)


def _is_basic(index: Any) -> bool:
    """Whether an index selects each element at most once."""
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(p, (list, np.ndarray)) for p in parts)


@op(
    gradients=(lambda g, out, x, index, shape: g[index],),
    samples=_scatter_samples,
    linear=True,
)
def scatter(x: Array, /, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at `index`; positions that repeat add up."""
    out = np.zeros(shape, x.dtype)
    if _is_basic(index):
        out[index] = x
    else:
        np.add.at(out, index, x)
    return out


def _along_samples(rng: Generator) -> Iterator[Sample]:
    for shape, count, axis in [((4,), 3, 0), ((3, 4), 2, 1), ((3, 4), 5, 0), ((2, 3, 2), 2, -2),
                               ((1, 3), 1, -1), ((0, 3), 2, 1)]:  # fmt: skip
        for _ in range(9):
            taken = list(shape)
            taken[axis] = count
            yield Sample(_any(rng, shape), rng.integers(0, shape[axis], taken), axis=axis)


@op(
    gradients=(
        lambda g, out, x, i, axis: scatter_along_axis(g, i, axis=axis, length=x.shape[axis]),
        None,
    ),
    samples=_along_samples,
    linear=True,
    numpy=np.take_along_axis,
)
def take_along_axis(x: Array, indices: Array, /, axis: int) -> Array:
    """For each position along the other axes, the elements of x at `indices` along `axis`."""
    return np.take_along_axis(x, indices, axis)


def _scatter_along_samples(rng: Generator) -> Iterator[Sample]:
    for sample in _along_samples(rng):
        x, indices = sample.arrays
        axis = sample.settings["axis"]
        yield Sample(_any(rng, indices.shape), indices, axis=axis, length=x.shape[axis])


@op(
    gradients=(lambda g, out, x, i, axis, length: take_along_axis(g, i, axis=axis), None),
    samples=_scatter_along_samples,
    linear=True,
)
def scatter_along_axis(x: Array, indices: Array, /, axis: int, length: int) -> Array:
    """Zeros of `length` along `axis` with x added at `indices`; undoes `take_along_axis`."""
    shape = list(x.shape)
    shape[axis] = length
    out = np.zeros(shape, x.dtype)
    grid = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    grid[axis] = indices
    np.add.at(out, tuple(grid), x)
    return out
