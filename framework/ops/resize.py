"""Images at another resolution. Interpolation is linear and works an axis at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..registry import composite
from ..samples import calls
from ..tensor import Tensor, as_tensor
from .axes import shape_tuple
from .indexing import take
from .products import matmul
from .rearranging import repeat
from .shape import reshape

Array = np.ndarray

_INTERPOLATIONS = ("nearest", "bilinear")


def _centres(length: int, new_length: int) -> Array:
    """Where the centres of the new pixels lie, in widths of the old ones from the edge."""
    return (2 * np.arange(new_length) + 1) * length / (2 * new_length)


def interpolation_matrix(length: int, new_length: int) -> Array:
    """The weights (new_length, length) of linear interpolation; the edges repeat outwards."""
    centres = np.clip(_centres(length, new_length), 0.5, length - 0.5)
    return np.maximum(1 - np.abs(centres[:, None] - (np.arange(length) + 0.5)), 0)


def _interpolated(x: Tensor, axis: int, new_length: int, interpolation: str) -> Tensor:
    length = x.shape[axis]
    if length == new_length:
        return x
    if interpolation == "nearest":
        return take(x, _centres(length, new_length).astype(np.intp), axis=axis)
    weights = interpolation_matrix(length, new_length).astype(x.dtype)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    columns = reshape(x, (int(np.prod(before)), length, int(np.prod(after))))
    return reshape(matmul(weights, columns), (*before, new_length, *after))


def _checked(
    x: Any, size: Any, interpolation: str, name: str, what: str
) -> tuple[Tensor, tuple[int, int]]:
    """The images, floating, and the size as two numbers."""
    x = as_tensor(x)
    x = x if x.dtype.kind == "f" else x.astype("float32")
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"{name}: interpolation must be one of {', '.join(_INTERPOLATIONS)}, received "
            f"{interpolation!r}."
        )
    if x.ndim not in (3, 4) or 0 in x.shape[-3:-1]:
        raise ShapeError(
            f"{name}: expected images of shape (N, H, W, C) or (H, W, C), not empty in H or W, "
            f"received {x.shape}."
        )
    sizes = shape_tuple(size)
    if len(sizes) != 2 or min(sizes) < 1:
        raise ValueError(f"{name}: expected {what}, at least 1, received {size}.")
    return x, (sizes[0], sizes[1])


_CASES = [
    ((1, 2, 3, 1), (4, 6)), ((2, 3, 2, 1), (2, 5)), ((2, 2, 2), (1, 3)), ((1, 1, 4, 2), (3, 2)),
    ((0, 2, 2, 1), (3, 3)), ((1, 9, 1, 1), (4, 1)),
]  # fmt: skip


@composite(
    samples=calls(
        *(
            (shape, {"size": size, "interpolation": interpolation})
            for shape, size in _CASES
            for interpolation in _INTERPOLATIONS
        ),
        repeats=5,
    )
)
def resize(x: Any, size: Any, interpolation: str = "bilinear") -> Tensor:
    """Images interpolated to another size, as Keras and TensorFlow do it.

    Pixels are squares with their centres at half integers, edges repeat outwards, and nothing is
    smoothed before shrinking (no antialiasing).

    Args:
        x: shape (N, H, W, C) or (H, W, C).
        size: the new ``(H, W)``.
        interpolation: ``"bilinear"``, or ``"nearest"``.

    Raises:
        ValueError, ShapeError: an unknown interpolation, no two positive sizes, or no images.
    """
    x, (height, width) = _checked(x, size, interpolation, "resize", "a size (height, width)")
    x = _interpolated(x, x.ndim - 3, height, interpolation)
    return _interpolated(x, x.ndim - 2, width, interpolation)


@composite(
    samples=calls(
        *(
            (shape, {"size": size, "interpolation": interpolation})
            for shape, size in [
                ((1, 2, 3, 1), 2), ((2, 1, 2, 2), (2, 1)), ((2, 2, 1), (1, 3)), ((1, 3, 2, 1), 1),
                ((0, 2, 2, 1), 2), ((1, 9, 1, 1), (2, 1)),
            ]
            for interpolation in _INTERPOLATIONS
        ),
        repeats=5,
    )
)  # fmt: skip
def upsample(x: Any, size: Any = 2, interpolation: str = "nearest") -> Tensor:
    """Images enlarged by whole factors.

    Args:
        x: shape (N, H, W, C) or (H, W, C).
        size: the factors of ``(H, W)``, or one for both.
        interpolation: ``"nearest"`` repeats each pixel, ``"bilinear"`` interpolates as `resize`.

    Raises:
        ValueError, ShapeError: an unknown interpolation, factors below 1, or no images.
    """
    factors = size if isinstance(size, (tuple, list)) else (size, size)
    x, (down, across) = _checked(x, factors, interpolation, "upsample", "whole factors of (H, W)")
    if interpolation == "nearest":
        return repeat(repeat(x, down, x.ndim - 3), across, x.ndim - 2)
    return resize(x, (x.shape[-3] * down, x.shape[-2] * across), interpolation)
