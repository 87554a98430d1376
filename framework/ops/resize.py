"""Images at another resolution. Interpolation is a weighted mean and works an axis at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.promotion import as_floats
from ..autograd.registry import composite
from ..autograd.tensor import Tensor
from ..errors import ShapeError
from ..samples import calls
from .axes import shape_tuple
from .indexing import take
from .products import matmul
from .rearranging import repeat
from .shape import reshape

Array = np.ndarray

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


def _centres(length: int, new_length: int) -> Array:
    """Where the centres of the new pixels lie, in widths of the old ones from the edge."""
    return (2 * np.arange(new_length) + 1) * length / (2 * new_length)


def _tent(x: Array) -> Array:
    """The weight of a pixel at distance x: linear interpolation."""
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: Array, a: float) -> Array:
    """The same for cubic convolution (Keys, 1981), whose slope at distance 1 is a."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def interpolation_matrix(
    length: int, new_length: int, interpolation: str = "bilinear", antialias: bool = False
) -> Array:
    """The weights (new_length, length) of interpolation along an axis.

    The edges repeat outwards. With `antialias`, shrinking widens the window to all pixels that a
    new one covers, and what lies outside counts for nothing.

    The slope of the cubic is that of PyTorch and of Keras on it: -0.75, or -0.5 with `antialias`.
    """
    centres = _centres(length, new_length)[:, None]
    if antialias:
        width = max(length / new_length, 1.0)
        distance = (centres - (np.arange(length) + 0.5)) / width
        weights = _tent(distance) if interpolation == "bilinear" else _cubic(distance, -0.5)
        return weights / weights.sum(axis=1, keepdims=True)
    beyond = 2  # pixels on either side that a window may reach past the edge
    distance = centres - (np.arange(-beyond, length + beyond) + 0.5)
    wide = _tent(distance) if interpolation == "bilinear" else _cubic(distance, -0.75)
    weights = wide[:, beyond : beyond + length].copy()
    weights[:, 0] += wide[:, :beyond].sum(axis=1)
    weights[:, -1] += wide[:, beyond + length :].sum(axis=1)
    return weights


def _interpolated(
    x: Tensor, axis: int, new_length: int, interpolation: str, antialias: bool
) -> Tensor:
    length = x.shape[axis]
    if length == new_length:
        return x
    if interpolation == "nearest":
        return take(x, _centres(length, new_length).astype(np.intp), axis=axis)
    weights = interpolation_matrix(length, new_length, interpolation, antialias).astype(x.dtype)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    columns = reshape(x, (int(np.prod(before)), length, int(np.prod(after))))
    return reshape(matmul(weights, columns), (*before, new_length, *after))


def _checked(
    x: Any, size: Any, interpolation: str, name: str, what: str
) -> tuple[Tensor, tuple[int, int]]:
    """The images, floating, and the size as two numbers."""
    x = as_floats(name, x)
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
            (shape, {"size": size, "interpolation": interpolation, "antialias": antialias})
            for shape, size in _CASES
            for interpolation in _INTERPOLATIONS
            for antialias in (False, True)
        ),
        repeats=3,
    )
)
def resize(x: Any, size: Any, interpolation: str = "bilinear", antialias: bool = False) -> Tensor:
    """Images interpolated to another size, as Keras and TensorFlow do it.

    Pixels are squares with their centres at half integers, and edges repeat outwards.

    Args:
        x: shape (N, H, W, C) or (H, W, C).
        size: the new ``(H, W)``.
        interpolation: ``"bilinear"``, ``"bicubic"`` or ``"nearest"``.
        antialias: whether a pixel of a smaller image is a mean of all pixels that it covers, rather
            than of those around its centre. It changes nothing about ``"nearest"``.

    Raises:
        ValueError, ShapeError: an unknown interpolation, no two positive sizes, or no images.
    """
    x, (height, width) = _checked(x, size, interpolation, "resize", "a size (height, width)")
    x = _interpolated(x, x.ndim - 3, height, interpolation, antialias)
    return _interpolated(x, x.ndim - 2, width, interpolation, antialias)


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
        interpolation: ``"nearest"`` repeats each pixel, ``"bilinear"`` and ``"bicubic"``
            interpolate as `resize`.

    Raises:
        ValueError, ShapeError: an unknown interpolation, factors below 1, or no images.
    """
    factors = size if isinstance(size, (tuple, list)) else (size, size)
    x, (down, across) = _checked(x, factors, interpolation, "upsample", "whole factors of (H, W)")
    if interpolation == "nearest":
        return repeat(repeat(x, down, x.ndim - 3), across, x.ndim - 2)
    return resize(x, (x.shape[-3] * down, x.shape[-2] * across), interpolation)
