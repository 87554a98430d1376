"""Losses of predicted probabilities, or their logits, against classes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..serialization import register
from ..tensor import Tensor, as_tensor
from .base import Array, Loss, SameShapeLoss, Shape, array_of, match_ranks

#: How far predicted probabilities are kept from 0 and 1 before their logarithm is taken.
EPSILON = 1e-7


class _Crossentropy(Loss):
    """What the cross-entropies share: logits or probabilities."""

    from_logits = False
    activation = "softmax"  # what turns logits into the probabilities it expects

    def check_predictions(self, y_pred: Array, output: str = "the predictions") -> None:
        name = type(self).__name__
        low, high = float(np.min(y_pred)), float(np.max(y_pred))
        if not self.from_logits and (low < 0 or high > 1 + 1e-3):
            warnings.warn(
                f"{name} expects probabilities, but {output} range from {low:.3g} to {high:.3g}. "
                f"Use {name}(from_logits=True), or end the model with a {self.activation}.",
                stacklevel=4,
            )
        if (
            self.from_logits
            and self.activation == "softmax"
            and y_pred.shape[-1] > 1
            and low >= 0
            and np.allclose(y_pred.sum(axis=-1), 1, atol=1e-3)
        ):
            warnings.warn(
                f"{name}(from_logits=True) takes the softmax itself, but {output} look like "
                "probabilities already. Leave out the model's softmax, or from_logits=True.",
                stacklevel=4,
            )


def _first(bad: Array) -> tuple[Any, Any]:
    """Where the first True is: as an index, and as it is written."""
    where = tuple(np.argwhere(bad)[0].tolist())
    return where, where[0] if len(where) == 1 else where


class _DenseCrossentropy(_Crossentropy, SameShapeLoss):
    """A cross-entropy whose targets have the shape of the predictions, and may be smoothed."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie in [0, 1], received {label_smoothing}.")
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        own = {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }
        return {**super().get_config(), **own}


@register("losses")
class CategoricalCrossentropy(_DenseCrossentropy):
    """-sum(y_true log(y_pred)) over the classes, for one-hot (or soft) targets.

    Args:
        from_logits: `y_pred` are logits rather than probabilities. Probabilities are divided by
            their sum and kept 1e-7 away from 0 and 1.
        label_smoothing: how much of each target is spread evenly over all classes, 0 to 1
            (Szegedy et al., 2016, section 7).
        axis: where the classes are.
        reduction, name: as for `Loss`.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if self.label_smoothing:
            even = self.label_smoothing / y_true.shape[-1]
            y_true = y_true * (1.0 - self.label_smoothing) + even
        if self.from_logits:
            logs = ops.log_softmax(y_pred, axis=self.axis)
        else:
            share = y_pred / ops.sum(y_pred, axis=self.axis, keepdims=True)
            logs = ops.log(ops.clip(share, EPSILON, 1 - EPSILON))
        return -ops.sum(y_true * logs, axis=self.axis)

    def check(self, y_true: Any, shape: Shape, output: str = "the predictions") -> None:
        target = array_of(y_true)
        if target.shape != shape:
            raise ShapeError(
                f"CategoricalCrossentropy expects one-hot targets of shape {shape}, the shape of "
                f"{output}; received shape {target.shape}.{self._hint(target, shape)}"
            )

    def check_predictions(self, y_pred: Array, output: str = "the predictions") -> None:
        super().check_predictions(y_pred, output)
        if y_pred.shape[-1:] == (1,):
            warnings.warn(
                f"CategoricalCrossentropy of one class is always 0, but {output} has shape "
                f"{y_pred.shape}. For two classes use BinaryCrossentropy.",
                stacklevel=4,
            )

    def _hint(self, target: Array, shape: Shape) -> str:
        if target.shape in (shape[:-1], (*shape[:-1], 1)):
            return (
                " They look like class numbers: use SparseCategoricalCrossentropy, or "
                f"gt.utils.to_categorical(y, {shape[-1]})."
            )
        return super()._hint(target, shape)


@register("losses")
class SparseCategoricalCrossentropy(_Crossentropy):
    """-log(y_pred[label]), for targets that are class numbers.

    Args:
        from_logits: `y_pred` are logits rather than probabilities. Probabilities are divided by
            their sum and kept 1e-7 away from 0 and 1.
        reduction, name: as for `Loss`.

    Targets are integers of shape (N, ...) or (N, ..., 1), predictions of shape (N, ..., classes).
    """

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = from_logits

    def _targets(self, y_true: Any, dtype: Any) -> Tensor:
        return as_tensor(array_of(y_true).astype(np.intp, copy=False))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels = y_true.reshape(y_pred.shape[:-1])
        if self.from_logits:
            return ops.sparse_softmax_cross_entropy(y_pred, labels)
        chosen = ops.take_along_axis(y_pred, labels.reshape((*labels.shape, 1)), axis=-1)
        share = (chosen / ops.sum(y_pred, axis=-1, keepdims=True)).reshape(labels.shape)
        return -ops.log(ops.clip(share, EPSILON, 1 - EPSILON))

    def check(self, y_true: Any, shape: Shape, output: str = "the predictions") -> None:
        labels = array_of(y_true)
        expected = (
            f"SparseCategoricalCrossentropy expects class numbers of shape {shape[:-1]} for "
            f"{output} of shape {shape}"
        )
        if labels.shape not in (shape[:-1], (*shape[:-1], 1)):
            hint = (
                " These look like one-hot targets: use CategoricalCrossentropy, or "
                "y.argmax(axis=-1)."
                if labels.shape == shape
                else ""
            )
            raise ShapeError(f"{expected}; received targets of shape {labels.shape}.{hint}")
        if labels.dtype.kind not in "biu":
            whole = labels.dtype.kind == "f" and bool(np.all(labels == np.rint(labels)))
            fix = "Convert them with y.astype('int64')." if whole else (
                "For targets that are probabilities use CategoricalCrossentropy."
            )  # fmt: skip
            raise TypeError(f"{expected}; received dtype {labels.dtype}. {fix}")
        classes = shape[-1]
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            where, written = _first((labels < 0) | (labels >= classes))
            raise ValueError(
                f"{expected}, from 0 to {classes - 1}; received {labels[where]} at index "
                f"{written}. {_label_fix(labels, classes)}"
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}


def _label_fix(labels: Array, classes: int) -> str:
    low, high = int(labels.min()), int(labels.max())
    if classes == 1:
        return "For two classes and one output use BinaryCrossentropy."
    if low == 1 and high == classes:
        return "Do they count from 1? Subtract 1."
    if low < 0:
        return "Negative numbers are not classes: relabel or drop those samples."
    return f"Give the last layer {high + 1} units, or check the labels."


@register("losses")
class BinaryCrossentropy(_DenseCrossentropy):
    """-(y log(p) + (1 - y) log(1 - p)), the mean over an axis, for yes-or-no targets.

    Args:
        from_logits: `y_pred` are logits rather than probabilities. Probabilities are kept 1e-7
            away from 0 and 1.
        label_smoothing: how far targets are squeezed towards 0.5, 0 to 1.
        axis: what the mean of a sample is taken over.
        reduction, name: as for `Loss`.

    Targets lie in [0, 1] and have the shape of the predictions.
    """

    activation = "sigmoid"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = match_ranks(y_true, y_pred)
        if self.label_smoothing:
            y_true = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        if self.from_logits:
            values = ops.sigmoid_cross_entropy(y_pred, y_true)
        else:
            p = ops.clip(y_pred, EPSILON, 1 - EPSILON)
            values = -(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p))
        return ops.mean(values, axis=self.axis)

    def check(self, y_true: Any, shape: Shape, output: str = "the predictions") -> None:
        super().check(y_true, shape, output)
        target = array_of(y_true)
        if target.size and (target.min() < 0 or target.max() > 1):
            where, written = _first((target < 0) | (target > 1))
            fix = (
                "Map -1 and 1 to 0 and 1 with (y + 1) / 2."
                if set(np.unique(target[:1000]).tolist()) <= {-1, 1}
                else "For more than two classes use SparseCategoricalCrossentropy."
            )
            raise ValueError(
                f"BinaryCrossentropy expects targets from 0 to 1, received {target[where]} at "
                f"index {written}. {fix}"
            )

    def _hint(self, target: Array, shape: Shape) -> str:
        if target.shape in (shape[:-1], (*shape[:-1], 1)) and shape[-1] > 1:
            return (
                " For class numbers use SparseCategoricalCrossentropy; for a yes or no end the "
                "model with one unit."
            )
        return super()._hint(target, shape)


@register("losses")
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """`CategoricalCrossentropy` of each sample."""
    return CategoricalCrossentropy(from_logits, label_smoothing, axis, None)(y_true, y_pred)


@register("losses")
def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """`SparseCategoricalCrossentropy` of each sample."""
    return SparseCategoricalCrossentropy(from_logits, None)(y_true, y_pred)


@register("losses")
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """`BinaryCrossentropy` of each sample."""
    return BinaryCrossentropy(from_logits, label_smoothing, axis, None)(y_true, y_pred)
