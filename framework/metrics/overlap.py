"""Overlap of what is true with what is predicted: F-scores of labels, IoU of regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from ..config.allowance import spend
from ..config.checked import SOME, Count, Natural, Positive
from ..config.serialization import register
from ..config.tracebacks import warn
from ..errors import ShapeError, unknown_name
from ..losses.base import EPSILON, aligned, array_of
from .base import Array, Metric, State, same_shape


@register("metrics")
class FBetaScore(Metric):
    """The harmonic mean of precision and recall, recall weighing beta^2 times as much.

    Args:
        average: what becomes of several classes: None (a value for each), ``"micro"`` (all counted
            together), ``"macro"`` (the mean) or ``"weighted"`` (by how many targets they have).
        beta: above 0.
        threshold: above which a prediction is positive. Default: the largest of each row is.
        name, dtype: as for `Metric`.

    Targets, one-hot or 0 and 1, and predictions have shape (N, classes).

    Raises:
        ValueError: settings out of their range.
    """

    direction = "up"
    _sums = State()

    def __init__(
        self,
        average: str | None = None,
        beta: Positive = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise unknown_name("average", average, ("micro", "macro", "weighted"))
        if not beta > 0:
            raise ValueError(f"{type(self).__name__}: beta must be above 0, received {beta!r}.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(
                f"{type(self).__name__}: threshold must lie in (0, 1], received {threshold!r}."
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: targets and predictions of shape (N, classes), a weight for each sample.

        Raises:
            ShapeError: other shapes.
        """
        who = type(self).__name__
        y_true, y_pred = same_shape(who, y_true, y_pred)
        if y_pred.ndim != 2:
            raise ShapeError(
                f"{who} expects targets and predictions of shape (N, classes), received "
                f"{y_pred.shape}."
            )
        y_true = y_true.astype(np.float64)
        if self.threshold is None:
            chosen = (y_pred >= y_pred.max(axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            chosen = y_pred > self.threshold
        weights = 1.0
        if sample_weight is not None:
            weights = aligned(y_true, array_of(sample_weight), f"{who}: ")[1]
        sums = (chosen * y_true, chosen * (1 - y_true), ~chosen * y_true, y_true)
        axis = None if self.average == "micro" else 0
        self._sums = self._sums + np.array([(s * weights).sum(axis=axis) for s in sums])

    def result(self) -> Any:
        found, wrong, missed, targets = self._sums
        precision = found / (found + wrong + EPSILON)
        recall = found / (found + missed + EPSILON)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average == "weighted":
            score = (score * (targets / (targets.sum() + EPSILON))).sum()
        elif self.average is not None:
            score = score.mean()
        return score if np.ndim(score) else float(score)

    def reset_state(self) -> None:
        self._sums = np.zeros(4) if self.average == "micro" else np.zeros((4, 1))


@register("metrics")
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall; arguments as for `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)


@register("metrics")
class IoU(Metric):
    """Intersection over union of the regions of some classes, their mean.

    Args:
        num_classes: how many classes there are.
        target_class_ids: those whose mean is taken.
        name: as for `Metric`.
        dtype: of the counts; weights are converted to it. Default: integers.
        ignore_class: a label that does not count, as 255 for pixels at the edge of an object.
        sparse_y_true, sparse_y_pred: class numbers, rather than a value for each class.
        axis: where the classes are, if they are not sparse.

    Raises:
        ValueError: a target class that there is not.
    """

    direction = "up"
    total_cm = State()

    def __init__(
        self,
        num_classes: Count,
        target_class_ids: Annotated[Sequence[Natural], SOME],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        spend(8 * num_classes**2, f"a confusion matrix of {num_classes} classes")
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        if max(self.target_class_ids) >= num_classes:
            raise ValueError(
                f"{type(self).__name__}: target_class_ids must lie in 0..{num_classes - 1}, "
                f"received {max(self.target_class_ids)}."
            )
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.reset_state()

    @property
    def dtype(self) -> str:
        return self._dtype or "int32"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: classes of shape (N, ...), or a value for each class, and weights.

        Raises:
            ShapeError: they do not fit each other.
        """
        true, predicted = array_of(y_true), array_of(y_pred)
        if not self.sparse_y_true:
            true = true.argmax(axis=self.axis)
        if not self.sparse_y_pred:
            predicted = predicted.argmax(axis=self.axis)
        if true.size != predicted.size:
            raise ShapeError(self._misfit(array_of(y_true).shape, array_of(y_pred).shape))
        weights = None if sample_weight is None else self._weights(sample_weight, true)
        t, p = (y.ravel().astype(np.dtype(self.dtype)).astype(np.int64) for y in (true, predicted))
        n = self.num_classes
        counted = (t >= 0) & (t < n) & (p >= 0) & (p < n)
        if self.ignore_class is not None:
            counted &= t != self.ignore_class
        if weights is not None:
            weights = weights[counted]
        cells = np.bincount(t[counted] * n + p[counted], weights, minlength=n * n)
        self.total_cm = self.total_cm + cells.reshape(n, n)

    def _weights(self, sample_weight: Any, true: Array) -> Array:
        weights = array_of(sample_weight)
        if weights.dtype.kind == "f" and np.dtype(self.dtype).kind in "iu":
            warn(
                f"{type(self).__name__} counts in {self.dtype}, which cuts weights off after the "
                "point. Pass dtype='float32' to weigh by fractions."
            )
        weights = weights.astype(np.dtype(self.dtype)).astype(np.float64)
        if weights.size == true.size:
            return weights.ravel()
        values, weights = aligned(true, weights, f"{type(self).__name__}: ")
        return np.broadcast_to(weights, values.shape).ravel()

    def _misfit(self, true: tuple[int, ...], predicted: tuple[int, ...]) -> str:
        hint = ""
        if self.sparse_y_pred and len(predicted) > 1 and predicted[self.axis] == self.num_classes:
            hint = " Predictions with a value for each class need sparse_y_pred=False."
        elif self.sparse_y_true and len(true) > 1 and true[self.axis] == self.num_classes:
            hint = " One-hot targets need sparse_y_true=False."
        return (
            f"{type(self).__name__} compares one class with one class: targets of shape {true} and "
            f"predictions of shape {predicted} do not fit.{hint}"
        )

    def result(self) -> float:
        shared = np.diag(self.total_cm)[self.target_class_ids]
        united = (self.total_cm.sum(axis=0) + self.total_cm.sum(axis=1))[self.target_class_ids]
        united = united - shared
        there = united > 1e-9
        overlaps = np.where(there, shared / (united + EPSILON), 0.0)
        return float(overlaps.sum() / (there.sum() + EPSILON))

    def reset_state(self) -> None:
        self.total_cm = np.zeros((self.num_classes, self.num_classes))


@register("metrics")
class BinaryIoU(IoU):
    """Intersection over union of two classes, 1 being where a prediction reaches `threshold`."""

    def __init__(
        self,
        target_class_ids: Annotated[Sequence[Natural], SOME] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, array_of(y_pred) >= self.threshold, sample_weight)


@register("metrics")
class MeanIoU(IoU):
    """Intersection over union, the mean over all classes; arguments as for `IoU`."""

    def __init__(
        self,
        num_classes: Count,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        spend(8 * num_classes**2, f"a confusion matrix of {num_classes} classes")
        every = range(num_classes)
        sparse = (sparse_y_true, sparse_y_pred)
        super().__init__(num_classes, every, name, dtype, ignore_class, *sparse, axis)


@register("metrics")
class OneHotIoU(IoU):
    """`IoU` of one-hot targets, and predictions with a value for each class."""

    def __init__(
        self,
        num_classes: Count,
        target_class_ids: Annotated[Sequence[Natural], SOME],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        sparse = (False, sparse_y_pred)
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, *sparse, axis)


@register("metrics")
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets, and predictions with a value for each class."""

    def __init__(
        self,
        num_classes: Count,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
