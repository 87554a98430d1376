"""Metrics under Keras's names have Keras's arguments, defaults and values, batch by batch."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Array = np.ndarray
RTOL, ATOL = 1e-5, 2e-6  # Keras counts in float32
N, CLASSES = 24, 4

_LEVELS = [{}, {"thresholds": 0.3}, {"thresholds": [0.7, 0.2]}, {"thresholds": [0, 0.5, 1]}]
_SHARES = [*_LEVELS, {"top_k": 2}, {"class_id": 1}, {"top_k": 1, "class_id": 2, "thresholds": 0.6}]
_F = [
    {},
    {"average": "micro"},
    {"average": "macro", "threshold": 0.5},
    {"average": "weighted", "threshold": 0.3},
]
_AREAS = [
    {"num_thresholds": 20, "curve": curve, "summation_method": method}
    for curve in ("ROC", "PR", "PRGAIN")
    for method in ("interpolation", "minoring", "majoring")
]
_AXES = [{}, {"axis": 0}]

#: For each metric the kind of data it takes, and settings to compare it with.
CASES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "Accuracy": ("classes", [{}]),
    "BinaryAccuracy": ("binary", [{}, {"threshold": 0.3}]),
    "CategoricalAccuracy": ("one_hot", [{}]),
    "SparseCategoricalAccuracy": ("labels", [{}]),
    "TopKCategoricalAccuracy": ("one_hot", [{"k": 2}, {"k": 1}]),
    "SparseTopKCategoricalAccuracy": ("labels", [{"k": 2}, {"k": 3}]),
    "TruePositives": ("binary", _LEVELS),
    "FalsePositives": ("binary", _LEVELS),
    "TrueNegatives": ("binary", _LEVELS),
    "FalseNegatives": ("binary", _LEVELS),
    "Precision": ("binary", _SHARES),
    "Recall": ("binary", _SHARES),
    "SensitivityAtSpecificity": (
        "binary",
        [{"specificity": 0.6}, {"specificity": 0.2, "num_thresholds": 1}],
    ),
    "SpecificityAtSensitivity": (
        "binary",
        [{"sensitivity": 0.6}, {"sensitivity": 0.3, "class_id": 1}],
    ),
    "PrecisionAtRecall": ("binary", [{"recall": 0.5}, {"recall": 0.5, "num_thresholds": 7}]),
    "RecallAtPrecision": ("binary", [{"precision": 0.5}, {"precision": 0.99}]),
    "AUC": (
        "binary",
        [
            {},
            *_AREAS,
            {"thresholds": [0.1, 0.5, 0.9]},
            {"thresholds": [0.3, 0.2], "curve": "PR"},
            {"multi_label": True},
            {"multi_label": True, "num_labels": CLASSES, "label_weights": [1.0, 2, 3, 4]},
            {"multi_label": True, "curve": "PR", "label_weights": [1.0, 2, 0, 4]},
            {"multi_label": True, "thresholds": [0.4, 0.7]},
            {"label_weights": [1.0, 2, 0, 4]},
            {"from_logits": True},
        ],
    ),
    "F1Score": ("one_hot", _F),
    "FBetaScore": (
        "one_hot",
        [{**s, "beta": beta} for s, beta in zip(_F, (0.5, 2.0, 1.0, 3.0), strict=True)],
    ),
    "IoU": (
        "classes",
        [
            {"num_classes": CLASSES, "target_class_ids": [0, 2]},
            {
                "num_classes": CLASSES,
                "target_class_ids": [1],
                "ignore_class": 2,
                "dtype": "float32",
            },
            {"num_classes": 2, "target_class_ids": [1]},
        ],
    ),
    "MeanIoU": (
        "classes",
        [{"num_classes": CLASSES}, {"num_classes": 7, "ignore_class": 0, "dtype": "float32"}],
    ),
    "BinaryIoU": ("binary", [{}, {"target_class_ids": [1], "threshold": 0.3}]),
    "OneHotIoU": ("one_hot", [{"num_classes": CLASSES, "target_class_ids": [0, 3]}]),
    "OneHotMeanIoU": ("one_hot", [{"num_classes": CLASSES, "ignore_class": 1, "dtype": "float32"}]),
    "MeanSquaredError": ("real", [{}]),
    "RootMeanSquaredError": ("real", [{}]),
    "MeanAbsoluteError": ("real", [{}]),
    "MeanAbsolutePercentageError": ("real", [{}]),
    "MeanSquaredLogarithmicError": ("real", [{}]),
    "CosineSimilarity": ("real", _AXES),
    "LogCoshError": ("real", [{}]),
    "R2Score": (
        "real",
        [
            {},
            {"class_aggregation": None},
            {"class_aggregation": "variance_weighted_average"},
            {"num_regressors": 3},
        ],
    ),
    "PearsonCorrelation": ("real", _AXES),
    "ConcordanceCorrelation": ("real", _AXES),
    "Poisson": ("positive", [{}]),
    "KLDivergence": ("distributions", [{}]),
    "Hinge": ("binary", [{}]),
    "SquaredHinge": ("binary", [{}]),
    "CategoricalHinge": ("one_hot", [{}]),
    "BinaryCrossentropy": ("binary", [{}, {"from_logits": True}, {"label_smoothing": 0.2}]),
    "CategoricalCrossentropy": ("one_hot", [{}, {"from_logits": True, "label_smoothing": 0.2}]),
    "SparseCategoricalCrossentropy": (
        "labels",
        [{}, {"from_logits": True}, {"ignore_class": 2}],
    ),
}
NAMED = [(name, settings) for name, (_, choices) in CASES.items() for settings in choices]


def data_of(kind: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Targets and predictions of N samples."""
    p = rng.uniform(0.02, 1, (N, CLASSES)).astype(np.float32)
    p[0, :2] = 0, 1  # where thresholds end
    p[1] = 0.5
    labels = rng.integers(0, CLASSES, N)
    if kind == "classes":
        return labels, rng.integers(0, CLASSES, N)
    if kind == "binary":
        return rng.integers(0, 2, (N, CLASSES)), p
    if kind == "one_hot":
        p[1, 0] = 0.6
        return np.eye(CLASSES, dtype=np.float32)[labels], p
    if kind == "real":
        return tuple(rng.normal(size=(N, CLASSES)).astype(np.float32) for _ in range(2))
    if kind == "positive":
        return rng.poisson(2, p.shape), 3 * p
    if kind == "distributions":
        q = rng.uniform(0, 1, p.shape).astype(np.float32)
        return q / q.sum(-1, keepdims=True), p / p.sum(-1, keepdims=True)
    return labels, p / p.sum(-1, keepdims=True)


def stream(metric: Any, y: Array, p: Array, weights: Array | None, size: int) -> list[Any]:
    """What a metric says after each batch, and after all again from the start."""
    seen = []
    for start in [*range(0, N, size), None]:
        if start is None:
            metric.reset_state()
            start, size = 0, N
        part = slice(start, start + size)
        w = None if weights is None else weights[part]
        metric.update_state(y[part], p[part], w)
        result = metric.result()
        seen.append(keras.ops.convert_to_numpy(result) if keras.ops.is_tensor(result) else result)
    return seen


def weights_of(name: str, settings: dict[str, Any], rng: np.random.Generator) -> list[Array | None]:
    one = rng.uniform(0, 2, N).astype(np.float32)
    if "IoU" in name and "dtype" not in settings:
        return [None, rng.integers(0, 3, N if name != "BinaryIoU" else (N, CLASSES))]
    if name == "BinaryIoU":
        return [None, rng.uniform(0, 2, (N, CLASSES))]
    if name in ("CosineSimilarity", "PearsonCorrelation", "ConcordanceCorrelation"):
        return [None] if settings.get("axis") == 0 else [None, one]
    if name in ("F1Score", "FBetaScore") or "IoU" in name or CASES[name][0] == "classes":
        return [None, one]
    if settings.get("multi_label") and "thresholds" in settings:
        return [None]  # Keras cannot weigh these
    columns = [one[:, None]] if settings == CASES[name][1][0] else []
    return [None, one, *columns]


@pytest.mark.parametrize(("name", "settings"), NAMED, ids=str)
def test_value(name: str, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    y, p = data_of(CASES[name][0], rng)
    if settings.get("from_logits"):
        p = 4 * p - 2
    for weights in weights_of(name, settings, rng):
        ours, theirs = (getattr(m.metrics, name)(**settings) for m in (gt, keras))
        seen = [stream(metric, y, p, weights, 16) for metric in (ours, theirs)]
        for a, b in zip(*seen, strict=True):
            np.testing.assert_allclose(a, b, RTOL, ATOL * max(1, np.abs(b).max()))


@pytest.mark.parametrize("name", [*CASES, "Mean", "Sum", "MeanMetricWrapper", "Metric"])
def test_arguments_and_defaults(name: str) -> None:
    ours, theirs = (
        [
            (p.name, p.default)
            for p in inspect.signature(getattr(m.metrics, name)).parameters.values()
        ]
        for m in (gt, keras)
    )
    assert ours == theirs


def test_every_name_of_keras_is_here() -> None:
    names = {n for n in dir(keras.metrics) if not n.startswith("_")}
    assert names <= set(gt.metrics.__all__)
    losses = {n for n in dir(keras.losses) if not n.startswith("_")}
    assert losses - set(gt.losses.__all__) == {"CTC", "ctc"}  # of sequences of labels


@pytest.mark.parametrize(
    "name", ["binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy",
             "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy",
             "pearson_correlation", "concordance_correlation"],
)  # fmt: skip
def test_function(name: str) -> None:
    ours, theirs = (getattr(m.metrics, name) for m in (gt, keras))
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    kind = "labels" if name.startswith("sparse") else "real" if "corr" in name else "one_hot"
    y, p = data_of(kind, np.random.default_rng(1))
    settings = {"k": 2} if "top_k" in name else {}
    expected = keras.ops.convert_to_numpy(theirs(y, p, **settings))
    np.testing.assert_allclose(ours(y, p, **settings), expected, RTOL, ATOL)


def test_sorted_ids() -> None:
    y, ids = np.array([3, 1, 0]), np.array([[3, 1, 2], [0, 2, 1], [2, 3, 1]])
    for k in (1, 2, 3):
        ours, theirs = (
            m.metrics.SparseTopKCategoricalAccuracy(k, from_sorted_ids=True)(y, ids)
            for m in (gt, keras)
        )
        assert ours == pytest.approx(float(theirs))


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_mean_and_sum_of_values_and_weights_of_any_rank(name: str) -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(6, 3, 2)).astype(np.float32)
    given = [(2.0, None), (values, None), (values[0, 0], None), (values[:, 0, 0], values[:, :1, 0])]
    for shape in [(6,), (6, 1), (6, 3), (6, 1, 2), (6, 3, 2), (6, 3, 2, 1)]:
        given.append((values, rng.uniform(size=shape).astype(np.float32)))
    ours, theirs = (getattr(m.metrics, name)() for m in (gt, keras))
    for v, w in given:
        ours.update_state(v, w)
        theirs.update_state(v, w)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)


def test_names_and_aliases() -> None:
    for name in CASES:
        try:
            theirs = keras.metrics.get(keras.src.utils.naming.to_snake_case(name))
        except TypeError:  # it has arguments without default
            continue
        ours = gt.metrics.get(keras.src.utils.naming.to_snake_case(name))
        assert type(ours).__name__ == type(theirs).__name__
        assert ours.name.rstrip("_0123456789") == theirs.name.rstrip("_0123456789")
        assert ours.direction == getattr(theirs, "_direction", None), name
    for short in ("mse", "MAE", "mape", "MSLE", "bce"):
        assert type(gt.metrics.get(short)).__name__ == type(keras.metrics.get(short)).__name__


@pytest.mark.parametrize(
    ("true", "predicted"),
    [((8,), (8, 10)), ((8, 1), (8, 10)), ((8, 10), (8, 10)), ((8, 1), (8, 1)), ((8,), (8, 1)),
     ((8, 4), (8, 4, 10)), ((8, 4, 10), (8, 4, 10)), ((8, 4, 1), (8, 4, 10))],
)  # fmt: skip
def test_accuracy_and_crossentropy_are_chosen_alike(true: Any, predicted: Any) -> None:
    from keras.src.trainers.compile_utils import get_loss, get_metric

    y, p = np.zeros(true), np.full(predicted, 0.5)
    for name in ("accuracy", "acc", "Accuracy"):
        ours = gt.metrics.as_metric(name, true, predicted)
        assert type(ours).__name__ == type(get_metric(name, y, p)).__name__
        assert ours.name == name
    loss = gt.losses.as_loss("crossentropy").chosen(true, predicted)
    assert loss.function.__name__ == get_loss("crossentropy", y, p).fn.__name__
