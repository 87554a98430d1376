"""Losses of numbers against numbers."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..serialization import register
from ..tensor import Tensor
from .base import SameShapeLoss, match_ranks


@register("losses")
class MeanSquaredError(SameShapeLoss):
    """mean((y_true - y_pred)^2) over the last axis. Targets and predictions of one shape."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = match_ranks(y_true, y_pred)
        return ops.mean(ops.square(y_pred - y_true), axis=-1)


@register("losses")
class MeanAbsoluteError(SameShapeLoss):
    """mean(|y_true - y_pred|) over the last axis. Targets and predictions of one shape."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = match_ranks(y_true, y_pred)
        return ops.mean(ops.abs(y_pred - y_true), axis=-1)


@register("losses")
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """`MeanSquaredError` of each sample."""
    return MeanSquaredError(reduction=None)(y_true, y_pred)


@register("losses")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """`MeanAbsoluteError` of each sample."""
    return MeanAbsoluteError(reduction=None)(y_true, y_pred)
