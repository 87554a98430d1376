"""Counts of true and false, positive and negative predictions at many thresholds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from ..config.allowance import spend
from ..config.checked import SOME, Count, Natural, Share
from ..errors import ShapeError
from ..losses.base import EPSILON, aligned, array_of
from .base import Array, Metric, State, same_shape

#: One threshold, or several.
Thresholds = Share | Annotated[Sequence[Share], SOME] | None
#: Stands for minus infinity: below any prediction.
LOWEST = -1e10


def thresholds_of(given: Any, default: float = 0.5) -> list[float]:
    """Thresholds from one number or several."""
    if given is None:
        return [default]
    return list(given) if isinstance(given, list) else [given]


def evenly_spread(count: int) -> list[float]:
    """Thresholds from 0 to 1, both included."""
    spend(150 * count, f"{count} thresholds")
    return [i / (count - 1) for i in range(count)]


def ratio(x: Array, y: Array) -> Array:
    """x / y, and 0 where y is 0."""
    return np.divide(x, y, out=np.zeros(np.shape(x)), where=np.asarray(y) != 0)


def _passed(y_pred: Array, thresholds: Array) -> Array:
    """How many of the thresholds each prediction is above, in rising order."""
    count = len(thresholds)
    even = np.arange(count, dtype=np.float32) / max(count - 1, 1)
    if count > 2 and np.allclose(thresholds, even, atol=EPSILON):
        passed = np.ceil(np.clip(np.nan_to_num(y_pred), 0, 1) * np.float32(count - 1))
        if thresholds[0] < 0:  # everything is above the first
            passed = np.maximum(passed, 1)
        return passed.astype(np.intp)
    passed = np.searchsorted(thresholds, y_pred, side="left")
    return np.where(np.isnan(y_pred), 0, passed)


def count_above(
    y_true: Array, y_pred: Array, thresholds: Any, weights: Array | None, columns: int
) -> Array:
    """Weights of true positives, false positives, true negatives and false negatives.

    Args:
        y_true: what is not 0 is positive; any shape.
        y_pred: positive where it is above the threshold; the same shape.
        thresholds: any numbers.
        weights: the same shape, or None.
        columns: 1, or the length of the last axis, to count each of its columns by itself.

    Returns:
        Shape (4, thresholds, columns).
    """
    levels = np.asarray(thresholds, np.float32)
    order = np.argsort(levels, kind="stable")
    cells = _passed(y_pred.astype(np.float32).reshape(-1, columns), levels[order])
    cells = cells * columns + np.arange(columns)
    positive = y_true.reshape(-1, columns) != 0
    each = np.ones(positive.shape) if weights is None else weights.reshape(-1, columns)
    counts = np.empty((4, len(levels), columns))
    for row, chosen in enumerate((positive, ~positive)):
        held = np.bincount(
            cells.ravel(), (each * chosen).ravel(), minlength=(len(levels) + 1) * columns
        ).reshape(-1, columns)
        above = held[::-1].cumsum(axis=0)[::-1]  # of those that passed so many thresholds, or more
        counts[row, order] = above[1:]
        counts[3 - row, order] = above[0] - above[1:]
    return counts


class Counting(Metric):
    """Base of the metrics that are made of counts at thresholds.

    Attributes:
        thresholds: the list of them.
        true_positives, false_positives, true_negatives, false_negatives: weights counted so far,
            one for each threshold.
    """

    _counts = State()

    def __init__(
        self,
        thresholds: list[float],
        class_id: Natural | None,
        top_k: Count | None,
        dtype: Any,
        name: Any,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = thresholds
        self.class_id = class_id
        self.top_k = top_k
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: targets that are 0 or 1, predictions of the same shape, and weights.

        Raises:
            ShapeError: targets, predictions or weights that do not fit each other.
        """
        y_true, y_pred, weights = self._prepared(y_true, y_pred, sample_weight)
        self._counts += count_above(y_true, y_pred, self.thresholds, weights, 1)[..., 0]

    def _prepared(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Targets, predictions and weights (or None) of one shape, of the class that counts."""
        who = type(self).__name__
        y_true, y_pred = same_shape(who, y_true, y_pred)
        weights = None
        if sample_weight is not None:
            _, weights = aligned(y_pred, array_of(sample_weight), f"{who}: ")
        if self.top_k is not None:
            y_pred = _top(y_pred, self.top_k)
        if self.class_id is not None:
            if y_pred.ndim < 2 or not -1 < self.class_id < y_pred.shape[-1]:
                raise ShapeError(
                    f"{who} counts class {self.class_id}, so predictions must have shape "
                    f"(N, classes) with more classes than that, received {y_pred.shape}."
                )
            one = slice(self.class_id, self.class_id + 1)
            y_true, y_pred = y_true[..., one], y_pred[..., one]
            if weights is not None and weights.shape[-1:] != (1,):
                weights = weights[..., one]
        if weights is not None:
            weights = np.broadcast_to(weights.reshape(_padded(weights, y_pred)), y_pred.shape)
        return y_true, y_pred, weights

    true_positives = property(lambda self: self._counts[0])
    false_positives = property(lambda self: self._counts[1])
    true_negatives = property(lambda self: self._counts[2])
    false_negatives = property(lambda self: self._counts[3])

    def reset_state(self) -> None:
        self._counts = np.zeros((4, len(self.thresholds)))

    def _shown(self, values: Array) -> Any:
        """The only value, or all of them."""
        return float(values[0]) if len(values) == 1 else values.copy()


def _padded(weights: Array, y_pred: Array) -> tuple[int, ...]:
    """The shape of the weights with as many axes as the predictions."""
    if weights.ndim > y_pred.ndim:
        return weights.shape[:-1]
    return (*weights.shape, *[1] * (y_pred.ndim - weights.ndim))


def _top(y_pred: Array, k: Count) -> Array:
    """Predictions, those that are not among the k largest of their row being out of reach."""
    best = np.argsort(-y_pred, axis=-1, kind="stable")[..., :k]
    kept = np.full(y_pred.shape, np.float32(LOWEST))
    np.put_along_axis(kept, best, np.take_along_axis(y_pred, best, -1), -1)
    return kept
