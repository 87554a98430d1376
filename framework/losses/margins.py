"""Hinge losses: margins between the right answer and the others."""

from __future__ import annotations

from .. import ops
from ..autograd.tensor import Tensor
from ..config.serialization import register
from .base import Array
from .checks import one_hot, same_shape
from .wrapping import FunctionLoss, loss_function


def _signs(y: Array) -> Array:
    """Targets as -1 and 1, if all of them are 0 or 1; else as they are."""
    return 2 * y - 1 if ((y == 0) | (y == 1)).all() else y


@loss_function(same_shape, prepare=_signs)
def hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(max(1 - y_true y_pred, 0)) over the last axis, y_true being -1 or 1 (or 0 or 1)."""
    return ops.mean(ops.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)


@loss_function(same_shape, prepare=_signs)
def squared_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(max(1 - y_true y_pred, 0)^2) over the last axis, y_true being -1 or 1 (or 0 or 1)."""
    return ops.mean(ops.square(ops.maximum(1.0 - y_true * y_pred, 0.0)), axis=-1)


@loss_function(one_hot)
def categorical_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """max(1 + the largest wrong prediction - the right one, 0), for one-hot targets."""
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


@register("losses")
class Hinge(FunctionLoss, of=hinge):
    """mean(max(1 - y_true y_pred, 0)) over the last axis, y_true being -1 or 1 (or 0 or 1)."""


@register("losses")
class SquaredHinge(FunctionLoss, of=squared_hinge):
    """mean(max(1 - y_true y_pred, 0)^2) over the last axis, y_true being -1 or 1 (or 0 or 1)."""


@register("losses")
class CategoricalHinge(FunctionLoss, of=categorical_hinge):
    """max(1 + the largest wrong prediction - the right one, 0), for one-hot targets."""
