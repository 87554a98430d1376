"""Ops that give elements another shape: reshape, transpose, broadcast, join and split.

All are linear, and each one's gradient is the move back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import calls, unary
from .axes import axis_index, axis_tuple, shape_tuple

Array = np.ndarray


def _resolve_reshape(x: Tensor, *, shape: Any) -> dict[str, Any]:
    wanted = list(shape_tuple(shape))
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise ShapeError(f"reshape: at most one axis of {tuple(wanted)} may be -1 (inferred).")
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = x.size // known if known else 0
    if math.prod(wanted) != x.size:
        raise ShapeError(
            f"reshape: cannot lay {x.size} elements of shape {x.shape} out as {shape_tuple(shape)}."
        )
    return {"shape": tuple(wanted)}


@op(
    gradients=(lambda g, out, x, shape: reshape(g, shape=x.shape),),
    samples=calls(
        *(
            (before, {"shape": after})
            for before, after in [
                ((), (1,)),
                ((1,), ()),
                ((6,), (2, 3)),
                ((2, 3), (6,)),
                ((2, 3), (-1,)),
                ((4, 3), (2, -1)),
                ((2, 3, 2), (3, 4)),
                ((0, 3), (3, 0)),
                ((2, 1, 3), (2, 3)),
                ((17,), (1, 17, 1)),
            ]
        )
    ),
    resolve=_resolve_reshape,
    linear=True,
    integers=True,
    numpy=np.reshape,
)
def reshape(x: Array, /, shape: tuple[int, ...]) -> Array:
    """The same elements in row-major order under another shape; one axis may be -1 (inferred)."""
    return x.reshape(shape)


def _resolve_transpose(x: Tensor, *, axes: Any) -> dict[str, Any]:
    if axes is None:
        return {"axes": tuple(reversed(range(x.ndim)))}
    axes = axes if isinstance(axes, (tuple, list, np.ndarray)) else (axes,)
    order = tuple(axis_index(a, x.ndim) for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"transpose: axes {tuple(axes)} is no permutation of {x.ndim} axes.")
    return {"axes": order}


@op(
    gradients=(lambda g, out, x, axes: transpose(g, axes=tuple(np.argsort(axes).tolist())),),
    samples=calls(
        *(
            (shape, {"axes": axes})
            for shape, axes in [
                ((), None),
                ((3,), None),
                ((2, 3), None),
                ((2, 3), (1, 0)),
                ((2, 3), (0, 1)),
                ((2, 3, 4), (2, 0, 1)),
                ((2, 3, 4), (0, -1, 1)),
                ((2, 1, 3, 2), (3, 1, 0, 2)),
                ((0, 2), None),
                ((1, 5), (1, 0)),
                ((2, 2, 3), None),
            ]
        )
    ),
    resolve=_resolve_transpose,
    linear=True,
    integers=True,
    numpy=np.transpose,
)
def transpose(x: Array, /, axes: Sequence[int] | None = None) -> Array:
    """The axes in another order; None reverses them."""
    return x.transpose(axes)


def _resolve_broadcast(x: Tensor, *, shape: Any) -> dict[str, Any]:
    shape = shape_tuple(shape)
    padded = (1,) * (len(shape) - x.ndim) + x.shape
    if len(padded) > len(shape) or any(a not in (1, b) for a, b in zip(padded, shape, strict=True)):
        raise ShapeError(
            f"broadcast_to: shape {x.shape} does not broadcast to {shape}: aligned from the "
            "right, every axis must be equal or 1."
        )
    return {"shape": shape}


_BROADCASTS = [
    ((), (3,)), ((), ()), ((1,), (4,)), ((3,), (2, 3)), ((2, 1), (2, 3)), ((1, 1), (2, 3)),
    ((2, 3), (2, 3)), ((1, 3, 1), (2, 3, 2)), ((3,), (0, 3)), ((1,), (0,)), ((2, 1), (4, 2, 3)),
]  # fmt: skip


@op(
    gradients=(lambda g, out, x, shape: sum_to(g, shape=x.shape),),
    samples=calls(*((a, {"shape": b}) for a, b in _BROADCASTS)),
    resolve=_resolve_broadcast,
    linear=True,
    integers=True,
    numpy=np.broadcast_to,
)
def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """Repeated along unit and missing axes to a larger shape."""
    return np.broadcast_to(x, shape)


def _resolve_sum_to(x: Tensor, *, shape: Any) -> dict[str, Any]:
    shape = shape_tuple(shape)
    padded = (1,) * (x.ndim - len(shape)) + shape
    if len(padded) != x.ndim or any(a not in (1, b) for a, b in zip(padded, x.shape, strict=True)):
        raise ShapeError(f"sum_to: shape {x.shape} is no broadcast of {shape}.")
    return {"shape": shape}


@op(
    gradients=(lambda g, out, x, shape: broadcast_to(g, shape=x.shape),),
    samples=calls(*((b, {"shape": a}) for a, b in _BROADCASTS)),
    resolve=_resolve_sum_to,
    linear=True,
    integers=True,
)
def sum_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """Summed over the axes along which `shape` would broadcast to x; undoes `broadcast_to`."""
    lead = x.ndim - len(shape)
    axes = tuple(i for i in range(x.ndim) if i < lead or (shape[i - lead] == 1 != x.shape[i]))
    return x.sum(axis=axes).reshape(shape)


def _resolve_concatenate(*xs: Tensor, axis: Any) -> dict[str, Any]:
    if not xs:
        raise ShapeError("concatenate: expected at least one tensor, received none.")
    axis = axis_index(axis, xs[0].ndim)
    fixed = [x.shape[:axis] + x.shape[axis + 1 :] for x in xs]
    if any(f != fixed[0] or x.ndim != xs[0].ndim for f, x in zip(fixed, xs, strict=True)):
        raise ShapeError(
            f"concatenate: shapes must agree on every axis but {axis}, received "
            f"{', '.join(str(x.shape) for x in xs)}."
        )
    return {"axis": axis}


def _parts_of_concatenation(g: Tensor, out: Tensor, *xs: Tensor, axis: int) -> Iterator[Tensor]:
    start = 0
    for x in xs:
        stop = start + x.shape[axis]
        yield g[(slice(None),) * axis + (slice(start, stop),)]
        start = stop


@op(
    gradients=_parts_of_concatenation,
    samples=calls(
        ((2,), (3,), {"axis": 0}),
        ((2, 3), (1, 3), {"axis": 0}),
        ((2, 3), (2, 1), (2, 2), {"axis": 1}),
        ((2, 3), (2, 2), {"axis": -1}),
        ((0, 2), (3, 2), {"axis": 0}),
        ((2, 2, 1), (2, 2, 3), {"axis": 2}),
        ((4,), {"axis": 0}),
        ((2, 1, 2), (2, 4, 2), (2, 1, 2), {"axis": 1}),
        ((1,), (17,), (9,), {"axis": 0}),
    ),
    resolve=_resolve_concatenate,
    linear=True,
    integers=True,
    numpy=np.concatenate,
)
def concatenate(*xs: Array, axis: int = 0) -> Array:
    """A sequence of tensors joined along an existing axis: ``concatenate([x, y], axis=1)``."""
    return np.concatenate(xs, axis=axis)


@composite(
    samples=calls(
        *(
            (*[shape] * n, {"axis": axis})
            for shape, axis in [
                ((), 0),
                ((2,), 0),
                ((2,), 1),
                ((2, 3), -1),
                ((2, 3), 1),
                ((0, 2), 0),
            ]
            for n in (1, 2, 3)
        )
    ),
    numpy=np.stack,
)
def stack(*xs: Any, axis: int = 0) -> Tensor:
    """A sequence of tensors of one shape joined along a new axis."""
    return concatenate([expand_dims(x, axis) for x in _sequence(xs)], axis=axis)


def _sequence(xs: tuple[Any, ...]) -> list[Tensor]:
    """The tensors of a call ``f([x, y])`` or ``f(x, y)``."""
    return [as_tensor(x) for x in (xs[0] if xs and isinstance(xs[0], (list, tuple)) else xs)]


@composite(
    samples=calls(
        ((), {}), ((), (), {}), ((3,), {}), ((2,), (3,), {}), ((2, 1), (2, 3), {}),
        ((1, 2), (1, 0), (1, 3), {}), ((2, 2, 2), (2, 1, 2), {}), ((9,), (1,), (7,), {}),
        ((0,), (4,), {}),
    ),
    numpy=np.hstack,
)  # fmt: skip
def hstack(*xs: Any) -> Tensor:
    """A sequence of tensors joined along axis 1, vectors and scalars along axis 0."""
    tensors = [x if x.ndim else reshape(x, (1,)) for x in _sequence(xs)]
    return concatenate(tensors, axis=1 if tensors and tensors[0].ndim > 1 else 0)


@composite(
    samples=calls(
        ((), {}), ((), (), {}), ((3,), {}), ((3,), (3,), {}), ((3,), (2, 3), {}),
        ((2, 1), (1, 1), (3, 1), {}), ((0, 2), (2,), {}), ((1, 2, 2), (2, 2, 2), {}),
        ((17,), (1, 17), {}),
    ),
    numpy=np.vstack,
)  # fmt: skip
def vstack(*xs: Any) -> Tensor:
    """A sequence of tensors joined along axis 0, each vector as one row."""
    tensors = [x if x.ndim > 1 else reshape(x, (1, x.size)) for x in _sequence(xs)]
    return concatenate(tensors, axis=0)


@composite(
    samples=calls(
        *(
            (shape, {"indices_or_sections": where, "axis": axis})
            for shape, where, axis in [
                ((4,), 2, 0), ((3,), 3, 0), ((3,), 1, -1), ((2, 6), 3, 1), ((4, 3), 2, -2),
                ((0, 2), 2, 0), ((5,), (2, 3), 0), ((2, 5), [1, 1, 4], 1), ((3, 2), (-1,), 0),
                ((2, 2, 9), (7,), 2),
            ]
        )
    ),
    numpy=np.split,
)  # fmt: skip
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """A list of the parts along an axis: so many equal ones, or those between given positions."""
    x = as_tensor(x)
    axis = axis_index(axis, x.ndim)
    length = x.shape[axis]
    if isinstance(indices_or_sections, (list, tuple, np.ndarray)):
        cuts = list(shape_tuple(list(indices_or_sections)))
    else:
        (count,) = shape_tuple(indices_or_sections)
        if count < 1 or length % count:
            raise ShapeError(
                f"split: axis {axis} of shape {x.shape} does not divide into {count} equal parts. "
                "Pass the positions to cut at, as in (2, 5), for parts of other lengths."
            )
        cuts = [i * (length // count) for i in range(1, count)]
    return [
        x[(slice(None),) * axis + (slice(start, stop),)]
        for start, stop in zip([0, *cuts], [*cuts, length], strict=True)
    ]


@composite(
    samples=lambda rng: (
        s for axis in (0, -1, (0, -1)) for s in unary(axis=(axis,), scales=(1.0,))(rng)
    ),
    numpy=np.expand_dims,
)
def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Tensor:
    """With unit axes inserted, at these positions of the result."""
    x = as_tensor(x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = axis_tuple(axis, x.ndim + count)
    old = iter(x.shape)
    return reshape(x, tuple(1 if i in axes else next(old) for i in range(x.ndim + count)))


@composite(
    samples=calls(
        *(
            (shape, {"axis": axis})
            for shape, axis in [
                ((1,), None), ((1, 3), 0), ((2, 1), -1), ((1, 2, 1), None), ((1, 2, 1), (0, 2)),
                ((2, 3), None), ((0, 1), 1), ((1, 1), (0, -1)), ((1, 17, 1), 2),
            ]
        )
    ),
    numpy=np.squeeze,
)  # fmt: skip
def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """With unit axes removed: these, or (None) all."""
    x = as_tensor(x)
    axes = (
        [i for i, n in enumerate(x.shape) if n == 1] if axis is None else axis_tuple(axis, x.ndim)
    )
    if any(x.shape[i] != 1 for i in axes):
        raise ShapeError(f"squeeze: axis {axis} of shape {x.shape} is not 1.")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@composite(
    samples=calls(
        *(
            (shape, {"source": source, "destination": destination})
            for shape, source, destination in [
                ((3,), 0, 0), ((2, 3), 0, 1), ((2, 3, 4), 0, -1), ((2, 3, 4), -1, 0),
                ((2, 1, 3), 1, 1), ((2, 3, 2), (0, 1), (-1, 0)), ((0, 2, 3), 2, 0),
                ((1, 2, 1, 3), [3, 0], [1, 2]), ((1, 9), 1, 0),
            ]
        )
    ),
    numpy=np.moveaxis,
)  # fmt: skip
def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Some axes at other positions, the rest in their old order."""
    x = as_tensor(x)
    old = _positions(source, x.ndim)
    new = _positions(destination, x.ndim)
    if len(old) != len(new):
        raise ShapeError(
            f"moveaxis: as many axes must leave as arrive, received {source} and {destination}."
        )
    order = [i for i in range(x.ndim) if i not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return transpose(x, order)


def _positions(axes: Any, ndim: int) -> list[int]:
    axis_tuple(axes, ndim)  # refuses what repeats or does not exist
    return [axis_index(a, ndim) for a in (axes if isinstance(axes, (tuple, list)) else (axes,))]


@composite(
    samples=calls(
        *(
            (shape, {"axis1": first, "axis2": second})
            for shape, first, second in [
                ((3,), 0, 0), ((2, 3), 0, 1), ((2, 3), -1, -2), ((2, 3, 4), 0, 2),
                ((2, 1, 3), 1, 2), ((0, 3), 0, 1), ((2, 2, 2, 2), 1, -1), ((1, 17), 1, 0),
                ((9, 2), 0, -1),
            ]
        )
    ),
    numpy=np.swapaxes,
)  # fmt: skip
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    i, j = axis_index(axis1, x.ndim), axis_index(axis2, x.ndim)
    order[i], order[j] = j, i
    return transpose(x, order)


@composite(samples=unary(), numpy=np.ravel)
def ravel(x: Any) -> Tensor:
    """All elements in row-major order on one axis."""
    x = as_tensor(x)
    return reshape(x, (x.size,))


def _resolve_astype(x: Tensor, *, dtype: Any) -> dict[str, Any]:
    dtype = np.dtype(dtype)
    if dtype.kind not in "biuf" or dtype in (np.float16, np.longdouble):
        raise TypeError(f"astype: a tensor holds float32, float64, integers or bools, not {dtype}.")
    return {"dtype": dtype}


@op(
    gradients=(lambda g, out, x, dtype: astype(g, dtype=x.dtype),),
    samples=unary(dtype=("float64",)),
    resolve=_resolve_astype,
    linear=True,
    integers=True,
)
def astype(x: Array, /, dtype: Any) -> Array:
    """Converted to another dtype; the gradient is converted back."""
    return x.astype(dtype)
