"""Losses of numbers against numbers: functions to the values of the samples, and their classes.

All compare arrays of one shape (N, ..., d) and reduce the last axis.
"""

from __future__ import annotations

import math

from .. import ops
from ..autograd.tensor import Tensor
from ..config.checked import Positive
from ..config.serialization import register
from .base import EPSILON
from .checks import same_shape
from .wrapping import FunctionLoss, loss_function


@loss_function(same_shape)
def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean((y_true - y_pred)^2) over the last axis."""
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


@loss_function(same_shape)
def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(|y_true - y_pred|) over the last axis."""
    return ops.mean(ops.abs(y_pred - y_true), axis=-1)


@loss_function(same_shape)
def mean_absolute_percentage_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """100 mean(|y_true - y_pred| / max(|y_true|, 1e-7)) over the last axis."""
    share = ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), EPSILON))
    return 100.0 * ops.mean(share, axis=-1)


@loss_function(same_shape)
def mean_squared_logarithmic_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean((log(1 + y_true) - log(1 + y_pred))^2) over the last axis, for numbers above 0."""
    y_true, y_pred = (ops.maximum(y, EPSILON) for y in (y_true, y_pred))
    logarithm = ops.log1p((y_pred - y_true) / (1.0 + y_true))  # of (1 + y_pred) / (1 + y_true)
    return ops.mean(ops.square(logarithm), axis=-1)


@loss_function(same_shape)
def cosine_similarity(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between y_true and y_pred: -1 where they are parallel."""
    return -ops.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x: Tensor, axis: int) -> Tensor:
    """x over its length, which counts as 1e-7 at least."""
    square = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(square, EPSILON**2))


@loss_function(same_shape)
def huber(y_true: Tensor, y_pred: Tensor, delta: Positive = 1.0) -> Tensor:
    """mean of e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2, over the last axis.

    Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    size = ops.abs(y_pred - y_true)
    near = ops.minimum(size, delta)
    return ops.mean(near * (size - 0.5 * near), axis=-1)


@loss_function(same_shape)
def log_cosh(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(log(cosh(y_pred - y_true))) over the last axis."""
    error = y_pred - y_true
    size = ops.abs(error)
    near = 0.5 * ops.log1p(ops.square(ops.sinh(ops.where(size < 1.0, error, 0.0))))
    far = size + ops.softplus(-2.0 * size) - math.log(2)  # which cancels near 0
    return ops.mean(ops.where(size < 1.0, near, far), axis=-1)


@loss_function(same_shape)
def poisson(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(y_pred - y_true log(y_pred + 1e-7)) over the last axis: counts against their rate."""
    return ops.mean(y_pred - y_true * ops.log(y_pred + EPSILON), axis=-1)


@loss_function(same_shape)
def kl_divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """sum(y_true log(y_true / y_pred)) over the last axis, both kept within [1e-7, 1]."""
    y_true, y_pred = (ops.clip(y, EPSILON, 1.0) for y in (y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@register("losses")
class MeanSquaredError(FunctionLoss, of=mean_squared_error):
    """mean((y_true - y_pred)^2) over the last axis. Targets and predictions of one shape."""


@register("losses")
class MeanAbsoluteError(FunctionLoss, of=mean_absolute_error):
    """mean(|y_true - y_pred|) over the last axis. Targets and predictions of one shape."""


@register("losses")
class MeanAbsolutePercentageError(FunctionLoss, of=mean_absolute_percentage_error):
    """100 mean(|y_true - y_pred| / max(|y_true|, 1e-7)) over the last axis."""


@register("losses")
class MeanSquaredLogarithmicError(FunctionLoss, of=mean_squared_logarithmic_error):
    """mean((log(1 + y_true) - log(1 + y_pred))^2) over the last axis, for numbers above 0."""


@register("losses")
class CosineSimilarity(FunctionLoss, of=cosine_similarity):
    """Minus the cosine of the angle between targets and predictions along `axis`."""


@register("losses")
class Huber(FunctionLoss, of=huber, called="huber_loss"):
    """Squared error up to `delta`, absolute error beyond: the mean over the last axis."""


@register("losses")
class LogCosh(FunctionLoss, of=log_cosh):
    """mean(log(cosh(y_pred - y_true))) over the last axis."""


@register("losses")
class Poisson(FunctionLoss, of=poisson):
    """mean(y_pred - y_true log(y_pred)) over the last axis: counts against their rate."""


@register("losses")
class KLDivergence(FunctionLoss, of=kl_divergence):
    """sum(y_true log(y_true / y_pred)) over the last axis, of two distributions."""
