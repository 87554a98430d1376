"""Metrics: numbers to watch, accumulated over batches. Names, defaults and values are Keras 3's.

Metrics work on plain arrays; nothing here is taped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import ShapeError
from .losses.base import array_of, match_ranks, registered
from .naming import snake_case
from .serialization import deserialize, lookup, register

Array = np.ndarray
Shape = tuple[int, ...]


class Metric(ABC):
    """Base of all metrics. A subclass defines `update_state`, `result` and `reset_state`.

    Args:
        name: the key in the logs. Default: the class's name in snake case.

    Attributes:
        direction: ``"up"`` if more is better, ``"down"`` if less is, None if that is not known.
    """

    direction: str | None = None

    def __init__(self, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch."""

    @abstractmethod
    def result(self) -> Any:
        """The value over everything since `reset_state`: a float, or a dict of them."""

    @abstractmethod
    def reset_state(self) -> None:
        """Forget every batch."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch and return the value so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """A metric from what `get_config` returned."""
        return cls(**config)


@register("metrics")
class Mean(Metric):
    """The weighted mean of values. What has more than one axis counts with its mean per sample."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.reset_state()

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values of shape (N, ...) or a single one, with weights of their first axes.

        Raises:
            ShapeError: the weights do not fit the values.
        """
        values = array_of(values)
        if sample_weight is None:
            count = len(values) if values.ndim else 1
            if values.size:  # each sample counts with the mean of its own values
                self.total += float(np.sum(values, dtype=np.float64)) * count / values.size
            self.count += count
            return
        values, weights = match_ranks(values, array_of(sample_weight))
        if weights.shape != values.shape[: weights.ndim]:
            raise ShapeError(
                f"{self.name}: sample_weight of shape {weights.shape} does not fit values of "
                f"shape {values.shape}: give one weight per sample, shape {values.shape[:1]}."
            )
        values = _mean_after(values, weights.ndim)
        self.total += float(np.sum(_mean_after(values * weights, 1), dtype=np.float64))
        self.count += float(np.sum(_mean_after(weights, 1), dtype=np.float64))

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        self.total = 0.0
        self.count: float = 0


def _mean_after(values: Array, axes: int) -> Array:
    """The mean over all axes but the first few."""
    return values.mean(axis=tuple(range(axes, values.ndim))) if values.ndim > axes else values


@register("metrics")
class MeanMetricWrapper(Mean):
    """The mean of what ``fn(y_true, y_pred, **kwargs)`` says of each sample."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__))
        self._fn = fn
        self._arguments = kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch: targets and predictions of shape (N, ...), and a weight for each sample."""
        values = self._fn(array_of(y_true), array_of(y_pred), **self._arguments)
        super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        if type(self) is not MeanMetricWrapper:  # a class of its own knows its function
            return {**super().get_config(), **self._arguments}
        return {**super().get_config(), "fn": self._fn, **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        fn = config.get("fn")
        return cls(**({**config, "fn": lookup(fn, "metric")} if isinstance(fn, str) else config))


def _same_shape(name: str, y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    y_true, y_pred = match_ranks(array_of(y_true), array_of(y_pred))
    if y_true.shape != y_pred.shape:
        raise ShapeError(
            f"{name} compares arrays of one shape, received targets {y_true.shape} and "
            f"predictions {y_pred.shape}."
        )
    return y_true, y_pred


def _labels(name: str, y_true: Any, y_pred: Array) -> Array:
    """Class numbers of shape (N, ...) for predictions of shape (N, ..., classes)."""
    labels = array_of(y_true)
    if labels.shape == (*y_pred.shape[:-1], 1):
        labels = labels[..., 0]
    if labels.shape != y_pred.shape[:-1]:
        raise ShapeError(
            f"{name} expects class numbers of shape {y_pred.shape[:-1]} for predictions of shape "
            f"{y_pred.shape}, received {labels.shape}."
        )
    return labels


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """Whether a prediction is above the threshold just where its target is 1."""
    y_true, y_pred = _same_shape("binary_accuracy", y_true, y_pred)
    return y_true == (y_pred > threshold)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether the largest of the predictions is where the largest of the targets is."""
    y_true, y_pred = array_of(y_true), array_of(y_pred)
    if y_true.shape != y_pred.shape:
        raise ShapeError(
            f"categorical_accuracy expects one-hot targets of the shape {y_pred.shape} of the "
            f"predictions, received {y_true.shape}. For class numbers use "
            "sparse_categorical_accuracy."
        )
    return y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Whether the largest of the predictions is that of the target's class number."""
    y_pred = array_of(y_pred)
    return _labels("sparse_categorical_accuracy", y_true, y_pred) == y_pred.argmax(axis=-1)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Whether fewer than k predictions are larger than that of the target's class number."""
    y_pred = array_of(y_pred)
    labels = _labels("sparse_top_k_categorical_accuracy", y_true, y_pred)
    own = np.take_along_axis(y_pred, labels[..., None].astype(np.intp, copy=False), -1)
    return np.count_nonzero(~(y_pred <= own), axis=-1) < k  # NaN is not among the top


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Whether the target's class is among the k largest predictions, for one-hot targets."""
    return sparse_top_k_categorical_accuracy(array_of(y_true).argmax(axis=-1), y_pred, k)


def mean_squared_error(y_true: Any, y_pred: Any) -> Array:
    """The mean squared difference along the last axis."""
    y_true, y_pred = _same_shape("mean_squared_error", y_true, y_pred)
    return np.mean(np.square(np.subtract(y_pred, y_true, dtype=_float(y_pred))), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Array:
    """The mean absolute difference along the last axis."""
    y_true, y_pred = _same_shape("mean_absolute_error", y_true, y_pred)
    return np.mean(np.abs(np.subtract(y_pred, y_true, dtype=_float(y_pred))), axis=-1)


def _float(y_pred: Array) -> Any:
    return y_pred.dtype if y_pred.dtype.kind == "f" else np.dtype(np.float32)


@register("metrics")
class BinaryAccuracy(MeanMetricWrapper):
    """How often a prediction above `threshold` is that of a target 1, and one below that of 0."""

    direction = "up"

    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, threshold=threshold)


@register("metrics")
class CategoricalAccuracy(MeanMetricWrapper):
    """How often the class of the largest prediction is that of a one-hot target."""

    direction = "up"

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(categorical_accuracy, name)


@register("metrics")
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of the largest prediction is that of a target given as class number."""

    direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(sparse_categorical_accuracy, name)


@register("metrics")
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of a one-hot target is among the `k` largest predictions."""

    direction = "up"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy") -> None:
        super().__init__(top_k_categorical_accuracy, name, k=k)


@register("metrics")
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often a target given as class number is among the `k` largest predictions."""

    direction = "up"

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, k=k)


@register("metrics")
class MeanSquaredError(MeanMetricWrapper):
    """The mean squared difference between targets and predictions."""

    direction = "down"

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(mean_squared_error, name)


@register("metrics")
class MeanAbsoluteError(MeanMetricWrapper):
    """The mean absolute difference between targets and predictions."""

    direction = "down"

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(mean_absolute_error, name)


_CLASSES: tuple[type[Metric], ...] = (
    Mean,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    TopKCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    MeanSquaredError,
    MeanAbsoluteError,
)
_NAMES: dict[str, type[Metric]] = {}
for _class in _CLASSES:
    _NAMES[_class.__name__] = _NAMES[snake_case(_class.__name__)] = _class
for _short, _class in [("mse", MeanSquaredError), ("mae", MeanAbsoluteError)]:
    _NAMES[_short] = _NAMES[_short.upper()] = _class


def get(identifier: Any) -> Any:
    """The metric that an identifier names.

    Args:
        identifier: the name of a class in either spelling (``"SparseCategoricalAccuracy"``,
            ``"sparse_categorical_accuracy"``), ``"mse"`` or ``"mae"``, a configuration
            ``{"class_name": ..., "config": ...}``, a metric or a function of (y_true, y_pred).

    Returns:
        A `Metric` or that function; None for None.

    Raises:
        ValueError: an unknown name.
        TypeError: it is nothing of the kind.
    """
    if isinstance(identifier, dict):
        identifier = deserialize(identifier, "metric", "metrics")
    elif isinstance(identifier, str):
        known = [*_NAMES, "accuracy"]
        identifier = _NAMES.get(identifier) or registered(identifier, "metric", "metrics", known)
    if isinstance(identifier, type):
        identifier = identifier()
    if identifier is None or callable(identifier):
        return identifier
    raise TypeError(
        "A metric is a name, a Metric or a function of (y_true, y_pred), received "
        f"{identifier!r} of type {type(identifier).__name__}."
    )


def as_metric(identifier: Any, true: Shape, predicted: Shape) -> Metric:
    """A `Metric` for any identifier that `get` understands or ``"accuracy"``, as `fit` needs it.

    Args:
        identifier: what `get` takes, or ``"accuracy"`` or ``"acc"``: binary, sparse categorical or
            categorical accuracy, whichever fits the shapes. A name becomes the metric's name.
        true, predicted: the shapes of targets and predictions.
    """
    if identifier in ("accuracy", "acc"):
        if len(predicted) < 2 or predicted[-1] == 1:
            return BinaryAccuracy(identifier)
        if len(true) < len(predicted) or true[-1] == 1:
            return SparseCategoricalAccuracy(identifier)
        return CategoricalAccuracy(identifier)
    metric = get(identifier)
    if not isinstance(metric, Metric):
        metric = MeanMetricWrapper(metric)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric
