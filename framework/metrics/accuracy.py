"""How often a prediction is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config.checked import Count
from ..config.serialization import register
from ..errors import ShapeError
from ..losses.base import array_of
from .base import Array, MeanMetricWrapper, Shape, same_shape
from .wrapping import FunctionMetric


def _labels(name: str, y_true: Any, rows: Shape, shape: Shape) -> Array:
    """Class numbers of shape (N, ...) for predictions of shape (N, ..., classes)."""
    labels = array_of(y_true)
    if labels.shape == rows:
        return labels
    if labels.shape == (*rows, 1):
        return labels[..., 0]
    hint = (
        f" These look like one-hot targets: use {name.replace('sparse_', '')}."
        if labels.shape == shape
        else ""
    )
    raise ShapeError(
        f"{name} expects class numbers of shape {rows} for predictions of shape {shape}, received "
        f"{labels.shape}.{hint}"
    )


def _one_hot(name: str, y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    y_true, y_pred = array_of(y_true), array_of(y_pred)
    if y_true.shape != y_pred.shape:
        raise ShapeError(
            f"{name} expects one-hot targets of the shape {y_pred.shape} of the predictions, "
            f"received {y_true.shape}. For class numbers use sparse_{name}."
        )
    return y_true, y_pred


@register("metrics")
def accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether a prediction equals its target."""
    y_true, y_pred = same_shape("accuracy", y_true, y_pred)
    return y_true.astype(y_pred.dtype) == y_pred


@register("metrics")
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """Whether a prediction is above the threshold just where its target is 1."""
    y_true, y_pred = same_shape("binary_accuracy", y_true, y_pred)
    return y_true == (y_pred > threshold)


@register("metrics")
def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether the largest of the predictions is where the largest of the targets is."""
    y_true, y_pred = _one_hot("categorical_accuracy", y_true, y_pred)
    return y_true.argmax(-1) == y_pred.argmax(-1)


@register("metrics")
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether the largest of the predictions is that of the target's class number."""
    y_pred = array_of(y_pred)
    best = y_pred.argmax(-1)
    return _labels("sparse_categorical_accuracy", y_true, best.shape, y_pred.shape) == best


@register("metrics")
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: Count = 5, from_sorted_ids: bool = False
) -> Array:
    """Whether fewer than k predictions are larger than that of the target's class number.

    With `from_sorted_ids`, predictions are class numbers, the best first: whether the target is
    among the first k.
    """
    y_pred, name = array_of(y_pred), "sparse_top_k_categorical_accuracy"
    labels = _labels(name, y_true, y_pred.shape[:-1], y_pred.shape)[..., None]
    if from_sorted_ids:
        return (y_pred[..., :k] == labels).any(axis=-1)
    classes, chosen = y_pred.shape[-1], labels.astype(np.intp, copy=False)
    there = (chosen >= 0) & (chosen < classes)
    own = np.take_along_axis(y_pred, np.where(there, chosen, 0), -1)
    # NaN is not among the top, nor is a class that the predictions have not.
    return (np.count_nonzero(~(y_pred <= own), axis=-1) < k) & there[..., 0]


@register("metrics")
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: Count = 5) -> Array:
    """Whether the target's class is among the k largest predictions, for one-hot targets."""
    y_true, y_pred = _one_hot("top_k_categorical_accuracy", y_true, y_pred)
    return sparse_top_k_categorical_accuracy(y_true.argmax(-1), y_pred, k)


@register("metrics")
class Accuracy(FunctionMetric, of=accuracy, direction="up"):
    """How often a prediction equals its target, both being class numbers."""


@register("metrics")
class BinaryAccuracy(
    FunctionMetric, of=binary_accuracy, settings={"threshold": 0.5}, direction="up"
):
    """How often a prediction above `threshold` is that of a target 1, and one below that of 0."""


@register("metrics")
class CategoricalAccuracy(FunctionMetric, of=categorical_accuracy, direction="up"):
    """How often the class of the largest prediction is that of a one-hot target."""


@register("metrics")
class SparseCategoricalAccuracy(FunctionMetric, of=sparse_categorical_accuracy, direction="up"):
    """How often the class of the largest prediction is that of a target given as class number."""


@register("metrics")
class TopKCategoricalAccuracy(
    FunctionMetric,
    of=top_k_categorical_accuracy,
    settings={"k": 5},
    arguments=("k", "name", "dtype"),
    direction="up",
):
    """How often the class of a one-hot target is among the `k` largest predictions."""


@register("metrics")
class SparseTopKCategoricalAccuracy(
    FunctionMetric,
    of=sparse_top_k_categorical_accuracy,
    settings={"k": 5, "from_sorted_ids": False},
    arguments=("k", "name", "dtype", "from_sorted_ids"),
    direction="up",
):
    """How often a target given as class number is among the `k` largest predictions.

    With `from_sorted_ids`, predictions are class numbers already, the best first.
    """


#: What says of each sample whether it is right.
_COUNTING = (accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy)


def counts(metric: Any) -> bool:
    """Whether a metric is the share of the samples that are right, and nothing else."""
    return isinstance(metric, MeanMetricWrapper) and metric._fn in _COUNTING
