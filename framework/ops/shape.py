"""Ops that move elements without computing: reshape, transpose, broadcast, join, index.

All are linear, and each one's gradient is the move back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..registry import composite, op
from ..samples import calls, unary
from ..tensor import Tensor, as_tensor
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
    numpy=np.reshape,
)
def reshape(x: Array, /, shape: tuple[int, ...]) -> Array:
    """The same elements in row-major order under another shape; one axis may be -1 (inferred)."""
    return x.reshape(shape)


def _resolve_transpose(x: Tensor, *, axes: Any) -> dict[str, Any]:
    if axes is None:
        return {"axes": tuple(reversed(range(x.ndim)))}
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


def _part_of_concatenation(i: int, g: Tensor, out: Tensor, *xs: Tensor, axis: int) -> Tensor:
    start = sum(x.shape[axis] for x in xs[:i])
    return g[(slice(None),) * axis + (slice(start, start + xs[i].shape[axis]),)]


@op(
    gradients=_part_of_concatenation,
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
    tensors = [as_tensor(x) for x in (xs[0] if isinstance(xs[0], (list, tuple)) else xs)]
    return concatenate([expand_dims(x, axis) for x in tensors], axis=axis)


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
)
def astype(x: Array, /, dtype: Any) -> Array:
    """Converted to another dtype; the gradient is converted back."""
    return x.astype(dtype)


def _pairs(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    pairs = np.broadcast_to(np.asarray(pad_width), (ndim, 2)).tolist()
    if any(n < 0 for pair in pairs for n in pair):
        raise ShapeError(f"pad: widths must not be negative, received {pad_width}.")
    return tuple((int(a), int(b)) for a, b in pairs)


@op(
    gradients=(
        lambda g, out, x, pad_width, constant_value: g[
            tuple(slice(a, a + n) for (a, _), n in zip(pad_width, x.shape, strict=True))
        ],
    ),
    samples=calls(
        *(
            (shape, {"pad_width": width, "constant_value": value})
            for shape, width in [
                ((3,), ((1, 2),)), ((2, 3), ((1, 0), (0, 2))), ((2, 3), ((0, 0), (0, 0))),
                ((1, 2, 1), ((1, 1), (1, 1), (1, 1))), ((0, 2), ((1, 1), (0, 1))), ((2, 2), 1),
            ]
            for value in (0.0, 1.5)
        )
    ),
    resolve=lambda x, *, pad_width, constant_value: {
        "pad_width": _pairs(pad_width, x.ndim), "constant_value": constant_value
    },
    linear=True,
)  # fmt: skip
def pad(x: Array, /, pad_width: Any, constant_value: float = 0.0) -> Array:
    """Surrounded by a constant; `pad_width` is ``((before, after), ...)`` per axis or a number."""
    return np.pad(x, pad_width, constant_values=constant_value)
