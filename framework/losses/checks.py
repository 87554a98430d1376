"""What targets must look like: refusals in words, with the loss that was probably meant.

Each check takes who asks, the targets as an array, the shape of the predictions, what those are
called, and the settings of the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from .base import Array, Shape, match_shapes

Check = Callable[[str, Array, Shape, str, dict[str, Any]], None]


def same_shape(who: str, target: Array, shape: Shape, output: str, settings: Any) -> None:
    """Targets of the shape of the predictions, but for a last axis of 1."""
    true, predicted = match_shapes(target.shape, shape)
    if true != predicted:
        raise ShapeError(
            f"{who} compares arrays of one shape: {output} has shape {shape}, the targets have "
            f"{target.shape}.{_fix(target, shape)}"
        )


def _fix(target: Array, shape: Shape) -> str:
    """The likely fix for targets of the wrong shape."""
    if not target.ndim or not shape or len(target) != shape[0]:
        return " Targets and predictions must be of the same samples."
    return (
        " Give the last layer as many units as a target has values."
        if target.ndim == len(shape)
        else " Reshape the targets, or the output."
    )


def _looks_sparse(target: Array, shape: Shape) -> bool:
    return bool(shape) and shape[-1] > 1 and target.shape in (shape[:-1], (*shape[:-1], 1))


def one_hot(who: str, target: Array, shape: Shape, output: str, settings: Any) -> None:
    """Targets with a value for each class."""
    if target.shape == shape:
        return
    fix, axis = _fix(target, shape), settings.get("axis", -1)
    if shape and target.shape in _of_labels(shape, axis):
        one_hot = f"gt.utils.to_categorical(y, {shape[axis]})"
        if axis not in (-1, len(shape) - 1):
            one_hot = f"np.moveaxis({one_hot}, -1, {axis})"
        fix = f" They look like class numbers: use SparseCategoricalCrossentropy, or {one_hot}."
    raise ShapeError(
        f"{who} expects one-hot targets of shape {shape}, the shape of {output}; received shape "
        f"{target.shape}.{fix}"
    )


def yes_or_no(who: str, target: Array, shape: Shape, output: str, settings: Any) -> None:
    """Targets from 0 to 1, of the shape of the predictions."""
    if _looks_sparse(target, shape) and match_shapes(target.shape, shape)[0] != shape:
        raise ShapeError(
            f"{who} compares arrays of one shape: {output} has shape {shape}, the targets have "
            f"{target.shape}. For class numbers use SparseCategoricalCrossentropy; for a yes or no "
            "end the model with one unit."
        )
    same_shape(who, target, shape, output, settings)
    if target.size and (target.min() < 0 or target.max() > 1):
        where, written = first((target < 0) | (target > 1))
        fix = (
            "Map -1 and 1 to 0 and 1 with (y + 1) / 2."
            if set(np.unique(target[:1000]).tolist()) <= {-1, 1}
            else "For more than two classes use SparseCategoricalCrossentropy."
        )
        raise ValueError(
            f"{who} expects targets from 0 to 1, received {target[where]} at index {written}. {fix}"
        )


def labels(who: str, target: Array, shape: Shape, output: str, settings: Any) -> None:
    """Class numbers, one for each row of predictions."""
    axis = settings.get("axis", -1)
    of_labels, classes = _of_labels(shape, axis), shape[axis]
    expected = f"{who} expects class numbers of shape {of_labels[0]} for {output} of shape {shape}"
    if target.shape not in of_labels:
        hint = (
            f" These look like one-hot targets: use CategoricalCrossentropy, or y.argmax({axis})."
            if target.shape == shape
            else ""
        )
        raise ShapeError(f"{expected}; received targets of shape {target.shape}.{hint}")
    if target.dtype.kind not in "biu" and not (
        target.dtype.kind == "f"
        and np.isfinite(target).all()
        and np.array_equal(target, np.rint(target))
    ):
        raise TypeError(
            f"{expected}; received dtype {target.dtype} that are no whole numbers. For targets "
            "that are probabilities use CategoricalCrossentropy."
        )
    outside = (target < 0) | (target >= classes)
    if settings.get("ignore_class") is not None:
        outside &= target != settings["ignore_class"]
    if outside.any():
        where, written = first(outside)
        raise ValueError(
            f"{expected}, from 0 to {classes - 1}; received {target[where]:g} at index {written}. "
            f"{_label_fix(target, classes)}"
        )


def _label_fix(target: Array, classes: int) -> str:
    low, high = int(target.min()), int(target.max())
    if classes == 1:
        return "For two classes and one output use BinaryCrossentropy."
    if low == 1 and high == classes:
        return "Do they count from 1? Subtract 1."
    if low < 0:
        return (
            "Negative numbers are not classes: relabel or drop those samples, or ignore them with "
            f"ignore_class={low}."
        )
    return f"Give the last layer {high + 1} units, or check the labels."


def _of_labels(shape: Shape, axis: int) -> tuple[Shape, Shape]:
    """The shapes of class numbers for predictions of this shape: without the axis, or with 1."""
    axis %= len(shape)
    return (*shape[:axis], *shape[axis + 1 :]), (*shape[:axis], 1, *shape[axis + 1 :])


def groups(who: str, target: Array, shape: Shape, output: str, settings: Any) -> None:
    """A class number for each embedding."""
    if len(shape) != 2 or target.shape not in ((shape[0],), (shape[0], 1)):
        raise ShapeError(
            f"{who} expects embeddings of shape (N, features) and class numbers of shape (N,); "
            f"{output} has shape {shape}, the targets have {target.shape}."
        )


def first(bad: Array) -> tuple[Any, Any]:
    """Where the first True is: as an index, and as it is written."""
    where = tuple(np.argwhere(bad)[0].tolist())
    return where, where[0] if len(where) == 1 else where
