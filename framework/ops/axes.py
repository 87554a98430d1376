"""How ops read an axis or a shape: negative axes counted, bad ones refused."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..errors import ShapeError


def axis_index(axis: Any, ndim: int) -> int:
    """`axis` as a number in [0, ndim).

    Raises:
        ShapeError: there is no such axis.
        TypeError: no integer at all.
    """
    index = _integer(axis, "an axis")
    if not -ndim <= index < ndim:
        raise ShapeError(
            f"Axis {index} is out of range for a tensor of rank {ndim}: expected "
            + (f"{-ndim} to {ndim - 1}." if ndim else "no axis, a scalar has none.")
        )
    return index % ndim


def axis_tuple(axis: Any, ndim: int) -> tuple[int, ...]:
    """One axis, several, or None for all, as sorted numbers in [0, ndim)."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(
        axis_index(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))
    )
    if len(set(axes)) != len(axes):
        raise ShapeError(f"An axis is repeated in {axis}.")
    return tuple(sorted(axes))


def one_axis(x: Tensor, *, axis: Any, **settings: Any) -> dict[str, Any]:
    """Resolve a setting ``axis`` of one axis (None stays)."""
    return {"axis": None if axis is None else axis_index(axis, x.ndim), **settings}


def nonempty_axis(name: str) -> Callable[..., dict[str, Any]]:
    """Resolve a setting ``axis`` of one axis, or None for all, that holds elements."""

    def resolve(x: Tensor, **settings: Any) -> dict[str, Any]:
        settings = one_axis(x, **settings)
        axis = settings["axis"]
        if not (x.size if axis is None else x.shape[axis]):
            along = "" if axis is None else f" along axis {axis}"
            raise ShapeError(f"{name}: there are no elements{along} of shape {x.shape}.")
        return settings

    return resolve


def many_axes(x: Tensor, *, axis: Any, **settings: Any) -> dict[str, Any]:
    """Resolve a setting ``axis`` of one, several or all axes."""
    return {"axis": axis_tuple(axis, x.ndim), **settings}


def shape_tuple(shape: Any) -> tuple[int, ...]:
    """A shape given as a number or a sequence of numbers."""
    sizes = shape if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    return tuple(_integer(n, "a length") for n in sizes)


def _integer(value: Any, what: str) -> int:
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"Expected {what} as an integer, received {value!r:.60}.")
    return operator.index(value)
