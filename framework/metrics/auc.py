"""Areas under the curves that thresholds draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from ..config.checked import SOME, Count, NotNegative, Share
from ..config.serialization import register
from ..errors import ShapeError, unknown_name
from ..losses.base import EPSILON
from .base import Array
from .confusion import precision_of, recall_of
from .counting import Counting, count_above, evenly_spread, ratio

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "minoring", "majoring")


@register("metrics")
class AUC(Counting):
    """The area under the ROC or the precision-recall curve, drawn through many thresholds.

    Args:
        num_thresholds: how many thresholds, at least 2.
        curve: ``"ROC"``, ``"PR"`` or ``"PRGAIN"`` (Flach and Kull, 2015).
        summation_method: the height between two points: ``"interpolation"`` (their mean; for the
            PR curve see Davis and Goadrich, 2006), ``"minoring"`` or ``"majoring"``.
        name, dtype: as for `Metric`.
        thresholds: numbers from 0 to 1 to use instead; 0 and 1 are added.
        multi_label: each column is a problem of its own, and the result the mean over them.
        num_labels: how many columns there are, with `multi_label`.
        label_weights: one for each column: of its area with `multi_label`, else of its counts.
        from_logits: predictions are logits rather than probabilities.

    Raises:
        ValueError: settings out of their range.
    """

    direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Annotated[Sequence[Share], SOME] | None = None,
        multi_label: bool = False,
        num_labels: Count | None = None,
        label_weights: Annotated[Sequence[NotNegative], SOME] | None = None,
        from_logits: bool = False,
    ) -> None:
        if str(curve).upper() not in CURVES:
            raise unknown_name("curve", curve, CURVES)
        if str(summation_method).lower() not in SUMMATIONS:
            raise unknown_name("summation_method", summation_method, SUMMATIONS)
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2, received {num_thresholds}.")
        if num_labels and not multi_label:
            raise ValueError("AUC: num_labels goes with multi_label=True only.")
        self._thresholds = given = None if thresholds is None else sorted(thresholds)
        inner = evenly_spread(num_thresholds)[1:-1] if given is None else given
        levels = [-EPSILON, *inner, 1 + EPSILON]
        self.num_thresholds = len(levels)
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else np.asarray(label_weights, float)
        self.from_logits = from_logits
        super().__init__(levels, None, None, dtype, name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: targets that are 0 or 1, predictions of the same shape, and weights.

        Raises:
            ShapeError: they do not fit each other, or `num_labels`.
        """
        y_true, y_pred, weights = self._prepared(y_true, y_pred, sample_weight)
        columns = y_pred.shape[-1] if self.multi_label and y_pred.ndim == 2 else 1
        if self.multi_label and (y_pred.ndim != 2 or (self.num_labels or columns) != columns):
            expected = self.num_labels or "labels"
            raise ShapeError(
                f"AUC(multi_label=True) expects predictions of shape (N, {expected}), received "
                f"{y_pred.shape}."
            )
        if self.from_logits:
            with np.errstate(over="ignore"):
                y_pred = 1 / (1 + np.exp(-y_pred))
        if self.label_weights is not None and not self.multi_label:
            weights = np.broadcast_to(self.label_weights, y_pred.shape) * (
                1 if weights is None else weights
            )
        self._counts = self._counts + count_above(y_true, y_pred, self.thresholds, weights, columns)

    def reset_state(self) -> None:
        self._counts = np.zeros((4, len(self.thresholds), 1))

    def result(self) -> float:
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated(self._counts)
        else:
            x, y = self._points()
            heights = {
                "interpolation": (y[:-1] + y[1:]) / 2,
                "minoring": np.minimum(y[:-1], y[1:]),
                "majoring": np.maximum(y[:-1], y[1:]),
            }[self.summation_method]
            areas = (x[:-1] - x[1:]) * heights
        by_label = areas.sum(axis=0)
        if self.label_weights is None or not self.multi_label:
            return float(by_label.mean())
        return float(ratio((by_label * self.label_weights).sum(), self.label_weights.sum()))

    def _points(self) -> tuple[Array, Array]:
        """The curve, x falling as the threshold rises."""
        tp, fp, tn, fn = self._counts
        if self.curve == "ROC":
            return ratio(fp, fp + tn), recall_of(self._counts)
        if self.curve == "PR":
            return recall_of(self._counts), precision_of(self._counts)
        odds = ratio(tp + fn, tn + fp)
        recall_gain = np.where(tp == 0, 0.0, 1 - odds * ratio(fn, tp))
        precision_gain = np.where(tp == 0, 1.0, 1 - odds * ratio(fp, tp))
        return np.maximum(recall_gain, 0.0), precision_gain


def _interpolated(counts: Array) -> Array:
    """Areas under the PR curve whose counts grow in proportion from one threshold to the next.

    Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", 2006. With
    positives p = tp + fp, precision is (slope p + intercept) / p, which integrates to a logarithm.
    """
    tp, fp, _, fn = counts
    p = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = ratio(gained, np.maximum(p[:-1] - p[1:], 0))
    intercept = tp[1:] - slope * p[1:]
    grown = np.where((p[:-1] > 0) & (p[1:] > 0), ratio(p[:-1], p[1:]), 1.0)
    return ratio(slope * (gained + intercept * np.log(grown)), tp[1:] + fn[1:])
