"""Ops that repeat, reverse, sort, pad or cut elements out of a tensor.

All but `sort` are linear, and each one's gradient is the move back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.promotion import beside
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import calls, distinct
from .arithmetic import where
from .axes import axis_index, axis_tuple, shape_tuple
from .comparison import argsort
from .indexing import scatter, scatter_slices, take, take_along_axis
from .shape import broadcast_to, expand_dims, moveaxis, ravel, reshape

Array = np.ndarray

_SHAPES_AND_AXES = [
    ((), None), ((3,), None), ((3,), 0), ((1,), -1), ((2, 3), None), ((2, 3), 0), ((2, 3), -1),
    ((0, 3), 0), ((2, 3, 2), 1), ((2, 1), 1), ((9,), 0), ((1, 17), 1),
]  # fmt: skip


@composite(
    samples=calls(
        *((shape, {"axis": axis}) for shape, axis in [*_SHAPES_AND_AXES, ((2, 3, 2), (0, 2))])
    ),
    numpy=np.flip,
)
def flip(x: Any, axis: Any = None) -> Tensor:
    """Reversed along one axis, several or (None) all."""
    x = as_tensor(x)
    axes = axis_tuple(axis, x.ndim)
    return x[tuple(slice(None, None, -1 if i in axes else None) for i in range(x.ndim))]


def _resolve_roll(x: Tensor, *, shift: Any, axis: Any) -> dict[str, Any]:
    if axis is None:
        return {"shift": sum(np.atleast_1d(shift).tolist()), "axis": None}
    try:
        shifts, axes = (a.tolist() for a in np.broadcast_arrays(*map(np.atleast_1d, (shift, axis))))
    except ValueError:
        raise ShapeError(
            f"roll: as many shifts as axes, or one for all, received {shift} and {axis}."
        ) from None
    return {"shift": tuple(shifts), "axis": tuple(axis_index(a, x.ndim) for a in axes)}


@op(
    gradients=(
        lambda g, out, x, shift, axis: roll(g, shift=np.negative(shift).tolist(), axis=axis),
    ),
    samples=calls(
        *((shape, {"shift": shift, "axis": axis}) for shape, axis in _SHAPES_AND_AXES
          for shift in (1, -5)),
        ((3, 2), {"shift": (1, 1), "axis": (0, 1)}), ((3, 4), {"shift": 2, "axis": (0, 1)}),
        ((4,), {"shift": (1, 2), "axis": 0}), ((2, 3), {"shift": (2, 3), "axis": None}),
        repeats=2,
    ),
    resolve=_resolve_roll,
    linear=True,
    integers=True,
    numpy=np.roll,
)  # fmt: skip
def roll(x: Array, /, shift: Any, axis: Any = None) -> Array:
    """Moved along axes, what falls off the end coming back in front; None: in flattened order."""
    return np.roll(x, shift, axis)


@composite(
    samples=calls(
        *(
            (shape, {"repeats": repeats})
            for shape, repeats in [
                ((), 2), ((3,), 2), ((3,), (2, 2)), ((2, 3), 2), ((2, 3), (2, 1)), ((2, 1), (1, 3)),
                ((0, 2), (2, 2)), ((2,), 0), ((2, 1, 2), (2, 1, 2)), ((1, 9), (2,)),
                ((2, 2), (3, 1, 1)),
            ]
        )
    ),
    numpy=np.tile,
)  # fmt: skip
def tile(x: Any, repeats: Any) -> Tensor:
    """The whole tensor repeated along each axis; 1s are put before the shorter of the shapes."""
    x = as_tensor(x)
    counts = shape_tuple(repeats)
    rank = max(len(counts), x.ndim)
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - x.ndim) + x.shape
    x = reshape(x, tuple(n for size in shape for n in (1, size)))
    x = broadcast_to(x, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return reshape(x, tuple(count * size for count, size in zip(counts, shape, strict=True)))


@composite(
    samples=calls(
        *((shape, {"repeats": 2, "axis": axis}) for shape, axis in _SHAPES_AND_AXES),
        ((3,), {"repeats": 0, "axis": 0}), ((3,), {"repeats": (2, 0, 1), "axis": 0}),
        ((2, 2), {"repeats": (1, 2, 0, 1), "axis": None}), ((2, 3), {"repeats": [0, 3], "axis": 0}),
        repeats=4,
    ),
    numpy=np.repeat,
)  # fmt: skip
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each slice along an axis (None: each element) so often; one number, or one for each slice."""
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = axis_index(axis, x.ndim)
    shape = x.shape
    counts = shape_tuple(np.asarray(repeats).tolist())
    if len(counts) not in (1, shape[axis]) or min(counts, default=0) < 0:
        raise ShapeError(
            f"repeat: expected one count, or one not negative for each of the {shape[axis]} slices "
            f"along axis {axis} of shape {shape}, received {repeats}."
        )
    if len(counts) > 1:
        return take(x, np.repeat(np.arange(shape[axis]), counts), axis=axis)
    spread = (*shape[: axis + 1], counts[0], *shape[axis + 1 :])
    joined = (*shape[:axis], shape[axis] * counts[0], *shape[axis + 1 :])
    return reshape(broadcast_to(expand_dims(x, axis + 1), spread), joined)


_PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _resolve_pad(x: Tensor, *, pad_width: Any, mode: str, **settings: Any) -> dict[str, Any]:
    if mode not in _PAD_MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(_PAD_MODES)}, received {mode!r}.")
    try:
        pairs = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    except ValueError:
        pairs = [(-1, -1)]
    if any(n < 0 or n != int(n) for pair in pairs for n in pair):
        raise ShapeError(
            "pad: expected pad_width as a number or as a pair (before, after) for each of the "
            f"{x.ndim} axes of shape {x.shape}, none negative, received {pad_width}."
        )
    widths = tuple((int(before), int(after)) for before, after in pairs)
    return {"pad_width": widths, "mode": mode, **settings}


def _unpad(
    g: Tensor, out: Tensor, x: Tensor, pad_width: Any, mode: Any, constant_value: float
) -> Tensor:
    if mode == "constant":
        return g[tuple(slice(a, a + n) for (a, _), n in zip(pad_width, x.shape, strict=True))]
    for axis, length in enumerate(x.shape):
        if any(pad_width[axis]):
            source = np.pad(np.arange(length), pad_width[axis], mode)
            g = scatter_slices(g, source, axis=axis, length=length)
    return g


@op(
    gradients=(_unpad,),
    samples=calls(
        *(
            (shape, {"pad_width": width, "constant_value": value})
            for shape, width in [
                ((3,), ((1, 2),)), ((2, 3), ((1, 0), (0, 2))), ((2, 3), ((0, 0), (0, 0))),
                ((1, 2, 1), ((1, 1), (1, 1), (1, 1))), ((0, 2), ((1, 1), (0, 1))), ((2, 2), 1),
            ]
            for value in (0.0, 1.5)
        ),
        *(
            (shape, {"pad_width": width, "mode": mode})
            for shape, width in [
                ((3,), ((1, 2),)), ((2, 3), ((1, 0), (0, 2))), ((2, 3), (0, 1)), ((3,), 5),
                ((1, 2), 1), ((2, 0), ((1, 1), (0, 0))),
            ]
            for mode in _PAD_MODES[1:]
        ),
        repeats=2,
    ),
    resolve=_resolve_pad,
    linear=True,
    integers=True,
    numpy={np.pad: {"constant_values": "constant_value"}},
)  # fmt: skip
def pad(x: Array, /, pad_width: Any, mode: Any = "constant", constant_value: float = 0.0) -> Array:
    """Surrounded by a constant, or by its own elements.

    Args:
        pad_width: ``((before, after), ...)`` per axis, one such pair for all, or a number.
        mode: ``"constant"``; ``"edge"`` repeats the outermost element; ``"reflect"`` mirrors about
            it; ``"symmetric"`` mirrors including it; ``"wrap"`` comes back from the other side.
        constant_value: what ``"constant"`` pads with.
    """
    if mode == "constant":
        x, *numbers = beside("pad", x, *np.ravel(constant_value))
        if x.dtype.kind != "f":
            x = x.astype(np.result_type(x, *numbers))  # a bool beside 7 is an integer
            np.array(numbers, x.dtype)  # refuses what NumPy would wrap around, 300 as a uint8
        return np.pad(x, pad_width, constant_values=constant_value)
    return np.pad(x, pad_width, mode)


def _at_least_a_matrix(x: Any, name: str) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected a matrix or a stack of them, received shape {x.shape}.")
    return x


def _at_or_below(x: Tensor, k: int) -> Array:
    """Which elements of a matrix like x are on its k-th diagonal or below."""
    return np.tri(x.shape[-2], x.shape[-1], k, dtype=bool)


_matrices = calls(
    *(
        (shape, {"k": k})
        for shape in [(2, 3), (3, 2), (1, 4), (2, 2, 3), (0, 2), (3, 1)]
        for k in (0, 1, -2)
    ),
    repeats=4,
)


@composite(samples=_matrices, numpy=np.triu)
def triu(x: Any, k: int = 0) -> Tensor:
    """Matrices with zeros below the k-th diagonal."""
    x = _at_least_a_matrix(x, "triu")
    return where(_at_or_below(x, k - 1), np.zeros((), x.dtype), x)


@composite(samples=_matrices, numpy=np.tril)
def tril(x: Any, k: int = 0) -> Tensor:
    """Matrices with zeros above the k-th diagonal."""
    x = _at_least_a_matrix(x, "tril")
    return where(_at_or_below(x, k), x, np.zeros((), x.dtype))


def _diagonal_index(rows: int, columns: int, offset: int) -> tuple[Array, Array]:
    first = max(0, -offset)
    i = np.arange(first, max(first, min(rows, columns - offset)))
    return i, i + offset


@composite(
    samples=calls(
        *(
            (shape, {"offset": offset, "axis1": first, "axis2": second})
            for shape, first, second in [
                ((3, 3), 0, 1), ((2, 3), 0, 1), ((2, 3), 1, 0), ((2, 3, 2), 0, 2), ((0, 3), 0, 1),
                ((2, 3, 4), -1, -2), ((1, 5), 0, 1),
            ]
            for offset in (0, 1, -1, 4)
        ),
        repeats=2,
    ),
    numpy=np.diagonal,
)  # fmt: skip
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of the matrices on two axes, as the last axis of the result."""
    x = moveaxis(_at_least_a_matrix(x, "diagonal"), (axis1, axis2), (-2, -1))
    return x[(..., *_diagonal_index(x.shape[-2], x.shape[-1], offset))]


@composite(
    samples=calls(
        *(
            (shape, {"k": k})
            for shape in [(3,), (1,), (0,), (2, 3), (3, 3), (1, 4)]
            for k in (0, 1, -2)
        ),
        repeats=4,
    ),
    numpy=np.diag,
)  # fmt: skip
def diag(x: Any, k: int = 0) -> Tensor:
    """The square matrix with a vector on its k-th diagonal, or the k-th diagonal of a matrix."""
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag: expected a vector or a matrix, received shape {x.shape}.")
    size = len(x) + abs(k)
    out = scatter(x, index=_diagonal_index(size, size, k), shape=(size, size))
    return out.astype(x.dtype)  # of integers too: nothing was added up


@composite(
    samples=calls(
        *((shape, {"axis": axis}) for shape, axis in _SHAPES_AND_AXES if shape), draw=distinct
    ),
    numpy={np.sort: {"kind": ("quicksort", "heapsort", "mergesort", "stable"), "stable": (True,)}},
)
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """In ascending order along an axis or (None) flattened, NaN last.

    The gradient goes back to where each element came from; equal elements keep their order.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    return take_along_axis(x, argsort(x, axis), axis=axis)
