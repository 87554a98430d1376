"""Matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..registry import op
from ..samples import Generator, Sample, between
from ..tensor import Tensor
from .shape import expand_dims, squeeze, transpose

Array = np.ndarray

_any = between(-2, 2)


def _swap(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _left(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    if y.ndim == 1:
        return expand_dims(g, -1) * y
    if x.ndim == 1:
        return squeeze(matmul(y, expand_dims(g, -1)), -1)
    return matmul(g, _swap(y))


def _right(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    if x.ndim == 1:
        return expand_dims(x, -1) * expand_dims(g, -2) if y.ndim > 1 else g * x
    if y.ndim == 1:
        return squeeze(matmul(_swap(x), expand_dims(g, -1)), -1)
    return matmul(_swap(x), g)


def _check_matmul(x: Tensor, y: Tensor) -> dict[str, Any]:
    if not x.ndim or not y.ndim:
        raise ShapeError(
            f"matmul: expected tensors of rank 1 or more, received shapes {x.shape} and {y.shape}. "
            "Multiply by a scalar with *."
        )
    inner = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != inner:
        raise ShapeError(
            f"matmul: the last axis of the left tensor ({x.shape[-1]}) must equal the first of the "
            f"right matrix ({inner}), received shapes {x.shape} and {y.shape}."
        )
    return {}


_MATMULS = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((1, 1), (1, 1)),
    ((4, 2, 3), (3, 2)), ((2, 3), (4, 3, 2)), ((2, 2, 3), (2, 3, 1)), ((2, 1, 2, 3), (2, 3, 2)),
    ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((1, 17), (17, 1)),
    ((5, 9), (9, 2)),
]  # fmt: skip


def _matmul_samples(rng: Generator) -> Iterator[Sample]:
    for left, right in _MATMULS:
        for _ in range(4):
            yield Sample(_any(rng, left), _any(rng, right))
    yield Sample(_any(rng, (3, 2)).T, _any(rng, (2, 3)).T)
    yield Sample(_any(rng, (2, 6))[:, ::-2], _any(rng, (6, 2))[::2])


@op(
    gradients=(_left, _right),
    samples=_matmul_samples,
    resolve=_check_matmul,
    broadcasts=True,
    linear=True,
    numpy=np.matmul,
)
def matmul(x: Array, y: Array, /) -> Array:
    """The matrix product over the last two axes, vectors and batch axes treated as in NumPy."""
    return np.matmul(x, y)
