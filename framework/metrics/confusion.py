"""Positives and negatives, precision and recall, and the one where the other is good enough."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..config.checked import Count, Natural, Share
from ..config.serialization import register
from .base import Array
from .counting import LOWEST, Counting, Thresholds, evenly_spread, ratio, thresholds_of


class _Count(Counting):
    """One of the counts.

    Args:
        thresholds: a number from 0 to 1 or a list of them, above which a prediction is positive.
            Default: 0.5.
        name, dtype: as for `Metric`.
    """

    row: ClassVar[int]

    def __init__(
        self, thresholds: Thresholds = None, name: str | None = None, dtype: Any = None
    ) -> None:
        self._thresholds = self.init_thresholds = thresholds
        super().__init__(thresholds_of(thresholds), None, None, dtype, name)

    def result(self) -> Any:
        return self._shown(self._counts[self.row])


@register("metrics")
class TruePositives(_Count):
    """How many positive targets were predicted positive."""

    row = 0


@register("metrics")
class FalsePositives(_Count):
    """How many negative targets were predicted positive."""

    row = 1


@register("metrics")
class TrueNegatives(_Count):
    """How many negative targets were predicted negative."""

    row = 2


@register("metrics")
class FalseNegatives(_Count):
    """How many positive targets were predicted negative."""

    row = 3


def precision_of(counts: Array) -> Array:
    """Which share of the positive predictions is true."""
    return ratio(counts[0], counts[0] + counts[1])


def recall_of(counts: Array) -> Array:
    """Which share of the positive targets was found: the sensitivity."""
    return ratio(counts[0], counts[0] + counts[3])


def specificity_of(counts: Array) -> Array:
    """Which share of the negative targets was predicted negative."""
    return ratio(counts[2], counts[2] + counts[1])


class _Share(Counting):
    """A share of positives.

    Args:
        thresholds: a number from 0 to 1 or a list of them, above which a prediction is positive.
            Default: 0.5, or none at all with `top_k`.
        top_k: only the k largest predictions of a row may be positive.
        class_id: only this column counts.
        name, dtype: as for `Metric`.
    """

    direction = "up"

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: Count | None = None,
        class_id: Natural | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._thresholds = self.init_thresholds = thresholds
        levels = thresholds_of(thresholds, 0.5 if top_k is None else LOWEST)
        super().__init__(levels, class_id, top_k, dtype, name)


@register("metrics")
class Precision(_Share):
    """Which share of the positive predictions is true."""

    def result(self) -> Any:
        return self._shown(precision_of(self._counts))


@register("metrics")
class Recall(_Share):
    """Which share of the positive targets was predicted positive."""

    def result(self) -> Any:
        return self._shown(recall_of(self._counts))


class _Best(Counting):
    """The best of one number over the thresholds where another is good enough, or 0."""

    direction = "up"
    constraint: ClassVar[str]  # the argument that says what is good enough

    def __init__(
        self, value: float, num_thresholds: Count, class_id: Natural | None, name: Any, dtype: Any
    ) -> None:
        self.value = value
        self.num_thresholds = num_thresholds
        setattr(self, self.constraint, value)
        levels = [0.5] if num_thresholds == 1 else evenly_spread(num_thresholds)
        super().__init__(levels, class_id, None, dtype, name)

    def _best(self, values: Array, constrained: Array) -> float:
        return float(np.max(np.where(constrained >= self.value, values, 0), initial=0))


@register("metrics")
class SensitivityAtSpecificity(_Best):
    """The best sensitivity over the thresholds whose specificity is at least `specificity`."""

    constraint = "specificity"

    def __init__(
        self,
        specificity: Share,
        num_thresholds: Count = 200,
        class_id: Natural | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(recall_of(self._counts), specificity_of(self._counts))


@register("metrics")
class SpecificityAtSensitivity(_Best):
    """The best specificity over the thresholds whose sensitivity is at least `sensitivity`."""

    constraint = "sensitivity"

    def __init__(
        self,
        sensitivity: Share,
        num_thresholds: Count = 200,
        class_id: Natural | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(specificity_of(self._counts), recall_of(self._counts))


@register("metrics")
class PrecisionAtRecall(_Best):
    """The best precision over the thresholds whose recall is at least `recall`."""

    constraint = "recall"

    def __init__(
        self,
        recall: Share,
        num_thresholds: Count = 200,
        class_id: Natural | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(precision_of(self._counts), recall_of(self._counts))


@register("metrics")
class RecallAtPrecision(_Best):
    """The best recall over the thresholds whose precision is at least `precision`."""

    constraint = "precision"

    def __init__(
        self,
        precision: Share,
        num_thresholds: Count = 200,
        class_id: Natural | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(recall_of(self._counts), precision_of(self._counts))
