"""Metrics: numbers to watch, accumulated over batches. Names, defaults and values are Keras 3's.

Metrics work on plain arrays; nothing here is taped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.exports import exporting
from ..config.serialization import custom_object_scope, spellings
from ..config.serialization import deserialize as _deserialize
from ..config.serialization import serialize as _serialize
from ..losses.base import by_shape, registered
from ..losses.crossentropy import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    sparse_categorical_crossentropy,
)
from ..losses.margins import categorical_hinge, hinge, squared_hinge
from ..losses.regression import (
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .auc import AUC
from .base import Mean, MeanMetricWrapper, Metric, Shape, Sum
from .confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from .means import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .overlap import BinaryIoU, F1Score, FBetaScore, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
    concordance_correlation,
    pearson_correlation,
)
from .wrapping import FunctionMetric

_CLASSES: tuple[type[Metric], ...] = (
    AUC,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    BinaryIoU,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    FalseNegatives,
    FalsePositives,
    Hinge,
    IoU,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanIoU,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    OneHotIoU,
    OneHotMeanIoU,
    PearsonCorrelation,
    Poisson,
    Precision,
    PrecisionAtRecall,
    R2Score,
    Recall,
    RecallAtPrecision,
    RootMeanSquaredError,
    SensitivityAtSpecificity,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SpecificityAtSensitivity,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
)
_SHORT = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
}
_NAMES: dict[str, Any] = {
    **spellings(_CLASSES),
    **{name: cls for short, cls in _SHORT.items() for name in (short, short.upper())},
}
#: Names that stand for a class for yes-or-no, sparse or one-hot targets, by the shapes.
_BY_SHAPE: dict[str, tuple[type[FunctionMetric], ...]] = {
    "accuracy": (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy),
    "crossentropy": (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy),
}
_BY_SHAPE |= {"acc": _BY_SHAPE["accuracy"], "ce": _BY_SHAPE["crossentropy"]}

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "FunctionMetric",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "as_metric",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]


def serialize(metric: Any) -> Any:
    """A metric or a function as plain data: see `deserialize`.

    Raises:
        TypeError: there is no way to write it down.
    """
    return _serialize(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric or function that `serialize` wrote down.

    Args:
        config: a name, or ``{"class_name": ..., "config": ...}``.
        custom_objects: classes and functions of your own by name.

    Raises:
        ValueError: an unknown name, or no configuration.
    """
    with custom_object_scope(custom_objects):
        return get(config) if isinstance(config, str) else _deserialize(config, "metric", "metrics")


def get(identifier: Any) -> Any:
    """The metric that an identifier names.

    Args:
        identifier: the name of a class in either spelling (``"SparseCategoricalAccuracy"``,
            ``"sparse_categorical_accuracy"``), a short one (``"mse"``), a configuration
            ``{"class_name": ..., "config": ...}``, a metric or a function of (y_true, y_pred).

    Returns:
        A `Metric` or that function; None for None.

    Raises:
        ValueError: an unknown name, or a metric that needs arguments.
        TypeError: it is nothing of the kind.
    """
    if isinstance(identifier, dict):
        identifier = _deserialize(identifier, "metric", "metrics")
    elif isinstance(identifier, str):
        known = [*_NAMES, *_BY_SHAPE]
        identifier = _NAMES.get(identifier) or registered(identifier, "metric", "metrics", known)
    if isinstance(identifier, type):
        try:
            identifier = identifier()
        except TypeError as error:
            raise ValueError(
                f"The metric {identifier.__name__} needs arguments, so a name is not enough: pass "
                f"gt.metrics.{identifier.__name__}(...) itself. {error}"
            ) from None
    if identifier is None or callable(identifier):
        return identifier
    raise TypeError(
        "A metric is a name, a Metric or a function of (y_true, y_pred), received "
        f"{identifier!r} of type {type(identifier).__name__}."
    )


def resolved(identifier: Any) -> Any:
    """An identifier that means the same for ever: what it names now, unless that is of the package.

    Args:
        identifier: what `as_metric` takes.
    """
    if isinstance(identifier, str):
        ours = identifier in _NAMES or identifier.lower() in _BY_SHAPE
        return identifier if ours else get(identifier)
    return get(identifier) if isinstance(identifier, dict) else identifier


def as_metric(identifier: Any, true: Shape, predicted: Shape) -> Metric:
    """A `Metric` for any identifier that `get` understands or ``"accuracy"``, as `fit` needs it.

    Args:
        identifier: what `get` takes, or ``"accuracy"`` or ``"acc"``: binary, sparse categorical or
            categorical accuracy, whichever fits the shapes; likewise ``"crossentropy"`` or
            ``"ce"``. A name becomes the metric's name.
        true, predicted: the shapes of targets and predictions.
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        return by_shape(_BY_SHAPE[identifier.lower()], true, predicted)(identifier)
    metric = get(identifier)
    if not isinstance(metric, Metric):
        metric = MeanMetricWrapper(metric)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "metric")
