"""Reading elements by position. Each read's gradient scatters back into zeros, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.promotion import total_dtype
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Generator, Sample, between
from .axes import axis_index, one_axis

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
    integers=True,
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
    integers=True,
)
def scatter(x: Array, /, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at `index`; positions that repeat add up."""
    if _is_basic(index):
        out = np.zeros(shape, x.dtype)
        out[index] = x
    else:
        out = np.zeros(shape, total_dtype(x))
        np.add.at(out, index, x)
    return out


def _along_samples(rng: Generator) -> Iterator[Sample]:
    for shape, count, axis in [((4,), 3, 0), ((3, 4), 2, 1), ((3, 4), 5, 0), ((2, 3, 2), 2, -2),
                               ((1, 3), 1, -1), ((0, 3), 2, 1)]:  # fmt: skip
        for _ in range(9):
            taken = list(shape)
            taken[axis] = count
            yield Sample(_any(rng, shape), rng.integers(0, shape[axis], taken), axis=axis)


def _one_given_axis(x: Tensor, *_: Tensor, axis: Any, **settings: Any) -> dict[str, Any]:
    return {"axis": axis_index(axis, x.ndim), **settings}


@op(
    gradients=(
        lambda g, out, x, i, axis: scatter_along_axis(g, i, axis=axis, length=x.shape[axis]),
        None,
    ),
    samples=_along_samples,
    resolve=_one_given_axis,
    linear=True,
    integers=True,
    numpy=np.take_along_axis,
)
def take_along_axis(x: Array, indices: Array, /, axis: int = -1) -> Array:
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
    integers=True,
)
def scatter_along_axis(x: Array, indices: Array, /, axis: int, length: int) -> Array:
    """Zeros of `length` along `axis` with x added at `indices`; undoes `take_along_axis`."""
    shape = list(x.shape)
    shape[axis] = length
    out = np.zeros(shape, total_dtype(x))
    grid = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    grid[axis] = indices
    np.add.at(out, tuple(grid), x)
    return out


def _slice_samples(rng: Generator) -> Iterator[Sample]:
    for shape, wanted, axis in [((4,), (3,), 0), ((3, 4), (2, 2), 1), ((3, 2), (5,), 0),
                                ((2, 3, 2), (4,), -2), ((2, 3), (), 1), ((0, 3), (2,), 1),
                                ((3, 2), (0,), 0), ((9, 1), (17,), 0),
                                ((1, 2), (3,), 0)]:  # fmt: skip
        for _ in range(6):
            indices = rng.integers(-shape[axis], shape[axis], wanted)
            yield Sample(_any(rng, shape), indices.T, axis=axis)


def _take_samples(rng: Generator) -> Iterator[Sample]:
    yield from _slice_samples(rng)
    for shape in ((4,), (2, 3), (2, 1, 2)):
        for _ in range(3):
            yield Sample(_any(rng, shape), rng.integers(0, 3, (2, 2)), axis=None)


@op(
    gradients=(
        lambda g, out, x, i, axis: (
            scatter_slices(g, i, axis=axis, length=x.shape[axis])
            if axis is not None
            else scatter_slices(g, i, axis=0, length=x.size).reshape(x.shape)
        ),
        None,
    ),
    samples=_take_samples,
    resolve=lambda x, indices, *, axis: one_axis(x, axis=axis),
    linear=True,
    integers=True,
    numpy=np.take,
)
def take(x: Array, indices: Array, /, axis: int | None = None) -> Array:
    """The slices of x at `indices` along an axis, or (None) elements of the flattened array.

    Args:
        x: shape (..., n, ...).
        indices: integers in [-n, n), of any shape, which takes the place of the axis.
        axis: the axis of length n.

    Raises:
        IndexError: an index is out of range.
    """
    return np.take(x, indices, axis=axis)


def _scatter_slices_samples(rng: Generator) -> Iterator[Sample]:
    for sample in _slice_samples(rng):
        x, indices = sample.arrays
        axis = sample.settings["axis"] % x.ndim
        taken = _any(rng, np.take(x, indices, axis).shape)
        yield Sample(taken, indices, axis=axis, length=x.shape[axis])


@op(
    gradients=(lambda g, out, x, i, axis, length: take(g, i, axis=axis), None),
    samples=_scatter_slices_samples,
    linear=True,
    integers=True,
)
def scatter_slices(x: Array, indices: Array, /, axis: int, length: int) -> Array:
    """Zeros of `length` along `axis` with slices of x added at `indices`; undoes `take`."""
    out = np.zeros((*x.shape[:axis], length, *x.shape[axis + indices.ndim :]), total_dtype(x))
    index: Any = (*(slice(None),) * axis, indices)
    np.add.at(out, index, x)
    return out


def _embedding_samples(rng: Generator) -> Iterator[Sample]:
    for table, wanted in [((4, 3), (2,)), ((5, 2), (2, 3)), ((1, 4), (3, 1)), ((3, 1), ()),
                          ((2, 3), (0,)), ((9, 2), (17,)), ((3, 2, 2), (4,))]:  # fmt: skip
        for _ in range(8):
            yield Sample(_any(rng, table), rng.integers(0, table[0], wanted))
    yield Sample(_any(rng, (4, 2)), rng.integers(0, 4, (3, 4)).T[::-2])


@composite(samples=_embedding_samples)
def embedding(table: Any, indices: Any) -> Tensor:
    """The row of a table for each index.

    Args:
        table: shape (rows, ...).
        indices: integers in [0, rows), of any shape; an index that repeats adds up its gradients.

    Returns:
        Shape (*indices.shape, ...).

    Raises:
        TypeError, ShapeError, ValueError: indices that are no integers, a table without rows, or an
            index that is not a row.
    """
    table, indices = as_tensor(table), as_tensor(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"embedding: indices must be integers, received dtype {indices.dtype}.")
    if not table.ndim:
        raise ShapeError("embedding: expected a table of shape (rows, ...), received a scalar.")
    rows = table.shape[0]
    bad = indices.data[(indices.data < 0) | (indices.data >= rows)]
    if bad.size:
        raise ValueError(
            f"embedding: indices must lie in 0..{rows - 1}, the rows of the table of shape "
            f"{table.shape}, received {bad[0]}. Was it made for another vocabulary?"
        )
    return take(table, indices, axis=0)
