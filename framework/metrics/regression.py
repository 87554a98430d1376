"""How well numbers are predicted: errors, angles, correlations, and the share of the variance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..config.checked import Natural
from ..config.serialization import register
from ..config.tracebacks import warn
from ..errors import ShapeError, unknown_name
from ..losses import regression as losses
from ..losses.base import EPSILON, aligned, array_of
from .base import Array, Mean, Metric, State, same_shape
from .wrapping import FunctionMetric


@register("metrics")
class RootMeanSquaredError(Mean):
    """The square root of the mean squared difference between targets and predictions."""

    direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch: targets and predictions of shape (N, ...), and a weight for each sample."""
        y_true, y_pred = same_shape("RootMeanSquaredError", y_true, y_pred)
        super().update_state(np.square(np.subtract(y_pred, y_true, dtype=float)), sample_weight)

    def result(self) -> float:
        return math.sqrt(super().result())


@register("metrics")
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """The cosine of the angle between targets and predictions."""
    return -array_of(losses.cosine_similarity(y_true, y_pred, axis))


def _centred(name: str, y_true: Any, y_pred: Any, axis: int) -> tuple[list[Array], list[Array]]:
    """The means of targets and predictions along the axis, and how far they are from these."""
    both = [y.astype(np.float64) for y in same_shape(name, y_true, y_pred)]
    means = [y.mean(axis=axis, keepdims=True) for y in both]
    return means, [y - mean for y, mean in zip(both, means, strict=True)]


@register("metrics")
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """Pearson's correlation of targets and predictions along an axis; NaN where one is constant."""
    _, (true, predicted) = _centred("pearson_correlation", y_true, y_pred, axis)
    with np.errstate(invalid="ignore"):
        scaled = [y / y.std(axis=axis, keepdims=True) for y in (true, predicted)]
        return (scaled[0] * scaled[1]).mean(axis=axis)


@register("metrics")
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """The concordance correlation coefficient along an axis: 1 only where both are equal.

    Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", 1989.
    """
    means, (true, predicted) = _centred("concordance_correlation", y_true, y_pred, axis)
    variances = [np.square(y).mean(axis=axis, keepdims=True) for y in (true, predicted)]
    spread = variances[0] + variances[1] + np.square(means[0] - means[1])
    return (2 * true * predicted / (spread + EPSILON)).mean(axis=axis)


@register("metrics")
class CosineSimilarity(FunctionMetric, of=cosine_similarity, settings={"axis": -1}, direction="up"):
    """The cosine of the angle between targets and predictions, the mean."""


@register("metrics")
class PearsonCorrelation(
    FunctionMetric, of=pearson_correlation, settings={"axis": -1}, direction="up"
):
    """Pearson's correlation of targets and predictions, along an axis of each batch."""


@register("metrics")
class ConcordanceCorrelation(
    FunctionMetric, of=concordance_correlation, settings={"axis": -1}, direction="up"
):
    """Lin's concordance correlation coefficient, along an axis of each batch."""


@register("metrics")
class R2Score(Metric):
    """The share of the variance of targets that predictions explain: 1 if all of it.

    Args:
        class_aggregation: what becomes of several outputs: ``"uniform_average"``,
            ``"variance_weighted_average"``, or None (one value for each).
        num_regressors: how many inputs the predictions were made from, for the adjusted score;
            0 for the plain one.
        name, dtype: as for `Metric`.

    Targets and predictions have shape (N, outputs).

    Raises:
        ValueError: an unknown aggregation, or a negative number of regressors.
    """

    direction = "up"
    _sums, _values = State(), State()

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: Natural = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        known = ("uniform_average", "variance_weighted_average")
        if class_aggregation is not None and class_aggregation not in known:
            raise unknown_name("class_aggregation", class_aggregation, known)
        if num_regressors < 0:
            raise ValueError(f"num_regressors must not be negative, received {num_regressors}.")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: targets and predictions of shape (N, outputs), a weight for each sample.

        Raises:
            ShapeError: other shapes.
        """
        y_true, y_pred = (y.astype(float) for y in same_shape("R2Score", y_true, y_pred))
        if y_true.ndim != 2:
            raise ShapeError(
                "R2Score expects targets and predictions of shape (N, outputs), received "
                f"{y_true.shape}."
            )
        given = 1.0 if sample_weight is None else array_of(sample_weight)
        weights = aligned(y_true, np.asarray(given, np.float64), "R2Score: ")[1]
        weights = np.broadcast_to(weights, y_true.shape)
        sums = (weights, weights * y_true, weights * y_true**2, weights * (y_true - y_pred) ** 2)
        self._sums = self._sums + np.array([s.sum(axis=0) for s in sums])
        self._values += y_true.size

    def result(self) -> Any:
        count, total, squares, residual = self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = squares - total * total / count
            scores = 1 - residual / variance
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                scores = scores.mean()
            elif self.class_aggregation is not None:
                scores = (variance * scores).sum() / variance.sum()
        spare = self._values - self.num_regressors - 1
        if self.num_regressors and spare > 0:
            scores = 1 - (1 - scores) * (self._values - 1) / spare
        elif self.num_regressors:
            warn(
                f"The adjusted R2 score of {self.num_regressors} regressors needs more than "
                f"{self.num_regressors + 1} values, there are {self._values}: this is the plain "
                "score."
            )
        return scores if np.ndim(scores) else float(scores)

    def reset_state(self) -> None:
        self._sums = np.zeros((4, 1))
        self._values = 0
