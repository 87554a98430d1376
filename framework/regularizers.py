"""Regularizers: what a weight adds to the loss, so that it stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import ops
from .autograd.tensor import Tensor, as_tensor
from .config.checked import NotNegative
from .config.configured import Configured
from .config.exports import exporting
from .config.serialization import deserializer, register, resolve, serialize, spellings

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1",
           "l1_l2", "l2", "orthogonal_regularizer", "serialize"]  # fmt: skip


class Regularizer(Configured):
    """Base of all regularizers: a function of a weight to one number."""

    def __call__(self, x: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, x).")


@register("regularizers")
class L1L2(Regularizer):
    """``l1 * sum(abs(x)) + l2 * sum(x ** 2)`` (the lasso and ridge penalties together).

    Args:
        l1, l2: factors, 0 or more.

    Raises:
        ValueError: a factor that is negative or not finite.
    """

    def __init__(self, l1: NotNegative | None = 0.0, l2: NotNegative | None = 0.0) -> None:
        self.l1, self.l2 = float(l1 or 0), float(l2 or 0)  # None as in Keras

    def __call__(self, x: Any) -> Tensor:
        x = as_tensor(x)
        parts = []
        if self.l1:
            parts.append(ops.sum(ops.abs(x)) * self.l1)
        if self.l2:
            parts.append(ops.sum(ops.square(x)) * self.l2)
        if not parts:
            return as_tensor(0.0, x.dtype)
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


@register("regularizers")
class L1(L1L2):
    """``l1 * sum(abs(x))``: drives weights to exactly 0.

    Args:
        l1: a factor, 0 or more.
    """

    def __init__(self, l1: NotNegative | None = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)


@register("regularizers")
class L2(L1L2):
    """``l2 * sum(x ** 2)``: weight decay, twice as strong as the ``l2 / 2`` of some papers.

    Args:
        l2: a factor, 0 or more.
    """

    def __init__(self, l2: NotNegative | None = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)


@register("regularizers")
class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean size of the cosines between the rows of a matrix, or its columns.

    That is 0 if they are at right angles (Brock et al., 2017, penalise their squares).

    Args:
        factor: 0 or more.
        mode: ``"rows"`` or ``"columns"``.

    Raises:
        ValueError: a factor that is negative or not finite, another mode; when called, a weight
            that is no matrix.
    """

    def __init__(self, factor: NotNegative = 0.01, mode: str = "rows") -> None:
        self.factor = float(factor)
        if mode not in ("rows", "columns"):
            raise ValueError(f"mode must be 'rows' or 'columns', received {mode!r}.")
        self.mode = mode

    def __call__(self, x: Any) -> Tensor:
        x = as_tensor(x)
        if x.ndim != 2:
            raise ValueError(
                f"OrthogonalRegularizer takes matrices, received a weight of shape {x.shape}."
            )
        rows = x if self.mode == "rows" else ops.transpose(x)
        size = rows.shape[0]
        squares = ops.sum(ops.square(rows), axis=1, keepdims=True)
        rows = rows / ops.sqrt(ops.maximum(squares, 1e-24))
        cosines = ops.matmul(rows, ops.transpose(rows)) * (1 - np.eye(size, dtype=x.dtype))
        pairs = max(size * (size - 1), 1)
        return ops.sum(ops.abs(cosines)) * (self.factor / pairs)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
_table: dict[str, Any] = spellings([L1, L2, L1L2, OrthogonalRegularizer])
_table |= {"l1": L1, "l2": L2, "l1l2": L1L2, "l1_l2": L1L2}


def get(identifier: Any) -> Any:
    """The regularizer meant by a name (``"l2"``), a configuration, or any function of a weight.

    None means none.

    Raises:
        ValueError: an unknown name, or something that is not callable.
    """
    return resolve(identifier, "regularizer", "regularizers", _table)


deserialize = deserializer(get)


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "regularizer")
