"""Metrics: streams of batches against the same formula on all of them at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt

Array = np.ndarray
TOLERANCE = 1e-6  # float32 predictions
N, CLASSES = 23, 6


@pytest.fixture
def data() -> dict[str, Array]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, CLASSES, N)
    return {
        "labels": labels,
        "one_hot": np.eye(CLASSES, dtype=np.float32)[labels],
        "p": rng.uniform(0, 1, (N, CLASSES)).astype(np.float32),
        "yes": rng.integers(0, 2, (N, CLASSES)),
        "w": rng.uniform(0, 2, N),
    }


def top(p: Array, labels: Array, k: int) -> Array:
    """Whether the label is among the k best, by sorting."""
    return (np.argsort(-p, axis=-1)[:, :k] == labels[:, None]).any(axis=-1)


def cases(d: dict[str, Array]) -> list[tuple[gt.metrics.Metric, Array, Array]]:
    """Metric, its targets, and its value for each sample."""
    right = d["p"].argmax(axis=1) == d["labels"]
    difference = d["p"].astype(np.float64) - d["one_hot"]
    m = gt.metrics
    return [
        (m.SparseCategoricalAccuracy(), d["labels"], right),
        (m.SparseCategoricalAccuracy(), d["labels"][:, None], right),
        (m.CategoricalAccuracy(), d["one_hot"], right),
        (m.BinaryAccuracy(), d["yes"], (d["yes"] == (d["p"] > 0.5)).mean(axis=1)),
        (m.BinaryAccuracy(threshold=0.2), d["yes"], (d["yes"] == (d["p"] > 0.2)).mean(axis=1)),
        (m.SparseTopKCategoricalAccuracy(k=2), d["labels"], top(d["p"], d["labels"], 2)),
        (m.TopKCategoricalAccuracy(k=3), d["one_hot"], top(d["p"], d["labels"], 3)),
        (m.TopKCategoricalAccuracy(), d["one_hot"], top(d["p"], d["labels"], 5)),
        (m.MeanSquaredError(), d["one_hot"], np.square(difference).mean(axis=1)),
        (m.MeanAbsoluteError(), d["one_hot"], np.abs(difference).mean(axis=1)),
    ]


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("batch", [1, 4, N])
def test_stream_equals_the_formula_on_everything(
    data: dict[str, Array], number: int, batch: int
) -> None:
    metric, y, values = cases(data)[number]
    for weights in (None, data["w"]):
        metric.reset_state()
        for i in range(0, N, batch):
            w = None if weights is None else weights[i : i + batch]
            metric.update_state(y[i : i + batch], data["p"][i : i + batch], w)
        expected = np.average(values, weights=weights)
        assert metric.result() == pytest.approx(expected, rel=TOLERANCE)
        assert isinstance(metric.result(), float)


def test_mean_of_values_with_more_axes_and_weights() -> None:
    rng = np.random.default_rng(4)
    values, w = rng.uniform(size=(5, 3)), rng.uniform(size=5)
    mean = gt.metrics.Mean()
    mean.update_state(values)
    mean.update_state(7.0)
    assert mean.result() == pytest.approx((values.mean(axis=1).sum() + 7) / 6)
    mean.reset_state()
    mean.update_state(values, w)
    assert mean.result() == pytest.approx(np.average(values.mean(axis=1), weights=w))
    mean.reset_state()
    fine = rng.uniform(size=(5, 3))
    mean.update_state(values, fine)  # a sample counts with the mean of its weights
    expected = (values * fine).mean(axis=1).sum() / fine.mean(axis=1).sum()
    assert mean.result() == pytest.approx(expected)
    with pytest.raises(gt.errors.ShapeError, match=r"\(4,\)"):
        mean.update_state(values, np.ones(4))


def test_nothing_seen_is_zero() -> None:
    assert gt.metrics.SparseCategoricalAccuracy().result() == 0.0
    assert gt.metrics.MeanSquaredError().result() == 0.0


def test_calling_a_metric_adds_and_returns() -> None:
    metric = gt.metrics.BinaryAccuracy()
    assert metric(np.array([1, 0]), np.array([[0.9], [0.8]])) == 0.5
    assert metric(gt.tensor([[1.0]]), gt.tensor([[0.9]], requires_grad=True)) == pytest.approx(
        2 / 3
    )


def test_labels_with_more_axes() -> None:
    rng = np.random.default_rng(8)
    labels, p = rng.integers(0, 3, (4, 5)), rng.uniform(size=(4, 5, 3))
    for metric in (gt.metrics.SparseCategoricalAccuracy(), gt.metrics.TopKCategoricalAccuracy(1)):
        y = labels if metric.name.startswith("sparse") else np.eye(3)[labels]
        metric.update_state(y, p)
        assert metric.result() == pytest.approx((p.argmax(-1) == labels).mean())


def test_ties_count_and_nan_does_not_among_the_top() -> None:
    metric = gt.metrics.SparseTopKCategoricalAccuracy(k=1)
    assert metric(np.array([1]), np.array([[0.5, 0.5, 0.0]])) == 1.0
    metric.reset_state()
    assert metric(np.array([1]), np.array([[0.5, np.nan, 0.0]])) == 0.0


@pytest.mark.parametrize(
    ("metric", "y", "p"),
    [
        ("SparseCategoricalAccuracy", np.zeros(3, int), np.zeros((2, 4))),
        ("SparseTopKCategoricalAccuracy", np.zeros((2, 4), int), np.zeros((2, 4))),
        ("CategoricalAccuracy", np.zeros(2, int), np.zeros((2, 4))),
        ("BinaryAccuracy", np.zeros(2), np.zeros((2, 2))),
        ("MeanSquaredError", np.zeros((2, 3)), np.zeros((2, 4))),
    ],
)
def test_shapes_that_do_not_fit_are_refused(metric: str, y: Array, p: Array) -> None:
    with pytest.raises(gt.errors.ShapeError) as caught:
        getattr(gt.metrics, metric)().update_state(y, p)
    assert str(y.shape) in str(caught.value) and str(p.shape) in str(caught.value)


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ((8,), (8, 10), gt.metrics.SparseCategoricalAccuracy),
        ((8, 1), (8, 10), gt.metrics.SparseCategoricalAccuracy),
        ((8, 10), (8, 10), gt.metrics.CategoricalAccuracy),
        ((8, 1), (8, 1), gt.metrics.BinaryAccuracy),
        ((8,), (8, 1), gt.metrics.BinaryAccuracy),
        ((8,), (8,), gt.metrics.BinaryAccuracy),
        ((8, 4), (8, 4, 10), gt.metrics.SparseCategoricalAccuracy),
    ],
)
def test_accuracy_is_chosen_by_the_shapes(
    true: tuple[int, ...], predicted: tuple[int, ...], expected: type
) -> None:
    for name in ("accuracy", "acc"):
        metric = gt.metrics.as_metric(name, true, predicted)
        assert type(metric) is expected
        assert metric.name == name


def test_names_and_aliases() -> None:
    for name in ("sparse_categorical_accuracy", "SparseCategoricalAccuracy"):
        assert isinstance(gt.metrics.get(name), gt.metrics.SparseCategoricalAccuracy)
    assert isinstance(gt.metrics.get("mse"), gt.metrics.MeanSquaredError)
    assert gt.metrics.as_metric("mse", (1,), (1,)).name == "mse"
    assert gt.metrics.as_metric(gt.metrics.Mean("m"), (1,), (1,)).name == "m"
    assert gt.metrics.get(None) is None
    with pytest.raises(ValueError, match=r"Unknown metric 'acuracy'.*Did you mean 'accuracy'"):
        gt.metrics.get("acuracy")
    with pytest.raises(TypeError, match="received 1 of type int"):
        gt.metrics.get(1)


#: A metric of every class, with settings that are not the defaults.
EVERY: list[gt.metrics.Metric] = [
    gt.metrics.BinaryAccuracy(threshold=0.25, name="b"),
    gt.metrics.TopKCategoricalAccuracy(k=2),
    gt.metrics.SparseTopKCategoricalAccuracy(k=4, from_sorted_ids=True),
    gt.metrics.Mean("m", dtype="float64"),
    gt.metrics.Sum(),
    gt.metrics.Precision([0.2, 0.6], class_id=1),
    gt.metrics.Recall(top_k=2),
    gt.metrics.SensitivityAtSpecificity(0.5, num_thresholds=20),
    gt.metrics.SpecificityAtSensitivity(0.5, class_id=1),
    gt.metrics.PrecisionAtRecall(0.4),
    gt.metrics.RecallAtPrecision(0.4, name="r"),
    gt.metrics.AUC(50, "PR", "majoring", multi_label=True, label_weights=[1, 2, 0, 1, 1, 1]),
    gt.metrics.AUC(thresholds=[0.5, 0.2], from_logits=True),
    gt.metrics.F1Score("macro", 0.4),
    gt.metrics.FBetaScore(beta=2.0),
    gt.metrics.IoU(6, [1, 2], ignore_class=0, sparse_y_true=False, sparse_y_pred=False, axis=1),
    gt.metrics.MeanIoU(6, dtype="float32", sparse_y_true=False, sparse_y_pred=False),
    gt.metrics.BinaryIoU([1], 0.3),
    gt.metrics.OneHotIoU(6, [2]),
    gt.metrics.OneHotMeanIoU(6, ignore_class=2),
    gt.metrics.R2Score(None, 2),
    gt.metrics.CosineSimilarity(axis=0),
    gt.metrics.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
    gt.metrics.SparseCategoricalCrossentropy(ignore_class=1),
    *(
        getattr(gt.metrics, name)()
        for name in [
            "Accuracy",
            "CategoricalAccuracy",
            "SparseCategoricalAccuracy",
            "TruePositives",
            "TrueNegatives",
            "FalsePositives",
            "FalseNegatives",
            "MeanSquaredError",
            "RootMeanSquaredError",
            "MeanAbsoluteError",
            "MeanAbsolutePercentageError",
            "MeanSquaredLogarithmicError",
            "LogCoshError",
            "Poisson",
            "KLDivergence",
            "PearsonCorrelation",
            "ConcordanceCorrelation",
            "Hinge",
            "SquaredHinge",
            "CategoricalHinge",
            "CategoricalCrossentropy",
        ]
    ),
]


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: type(metric).__name__)
def test_configuration_makes_the_same_metric(
    metric: gt.metrics.Metric, data: dict[str, Array]
) -> None:
    again = gt.metrics.get(gt.metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    name = type(metric).__name__
    y, p = data["one_hot"], data["p"]
    if "Sparse" in name or name == "Accuracy":
        y, p = data["labels"], data["labels"][:, None] if "Sorted" in name else data["p"]
    if name == "Accuracy":
        p = data["labels"] // 2
    given = (p,) if name in ("Mean", "Sum") else (y, p)
    first = metric(*given)
    np.testing.assert_array_equal(again(*given), first)
    metric.reset_state()
    np.testing.assert_array_equal(metric(*given), first)


def test_every_class_is_among_those_tested() -> None:
    classes = {n for n in gt.metrics.__all__ if n[0].isupper()}
    assert classes - {"Metric", "MeanMetricWrapper", "FunctionMetric"} == {
        type(metric).__name__ for metric in EVERY
    }


def test_metric_of_ones_own_keeps_its_state_in_variables() -> None:
    class Longest(gt.metrics.Metric):
        def __init__(self, name: str = "longest", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.error = self.add_weight(name="error")
            self.count = self.add_variable(shape=(), initializer="zeros", name="count")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.error.assign(gt.ops.maximum(self.error, gt.ops.max(gt.ops.abs(y_true - y_pred))))
            self.count.assign_add(len(y_true))

        def result(self) -> Any:
            return self.error

    metric = Longest(dtype="float64")
    assert metric(np.zeros(3), np.array([1.0, -4.0, 2.0])).item() == 4
    assert [v.name for v in metric.variables] == ["error", "count"]
    assert metric.count.item() == 3 and metric.error.dtype == np.float64
    metric.reset_state()
    assert metric.result().item() == 0


@pytest.mark.parametrize(
    ("name", "y", "p", "expected"),
    [
        ("Accuracy", [1, 2, 3], [1, 0, 3], 2 / 3),
        ("RootMeanSquaredError", [[0.0], [0.0]], [[3.0], [1.0]], np.sqrt(5)),
        ("MeanAbsolutePercentageError", [[2.0, 4.0]], [[1.0, 5.0]], 37.5),
        ("LogCoshError", [[0.0]], [[1.0]], np.log(np.cosh(1))),
        ("CosineSimilarity", [[3.0, 4.0]], [[4.0, 3.0]], 0.96),
        ("PearsonCorrelation", [[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]], 1.0),
        ("ConcordanceCorrelation", [[0.0, 2.0]], [[1.0, 3.0]], 2 / 3),
        ("R2Score", [[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]], 0.5),
        ("SquaredHinge", [[-1, 1]], [[0.5, 0.5]], 1.25),
        ("BinaryCrossentropy", [[1.0]], [[0.5]], np.log(2)),
    ],
)
def test_value_by_hand(name: str, y: Any, p: Any, expected: float) -> None:
    metric = getattr(gt.metrics, name)()
    assert metric(np.array(y), np.array(p)) == pytest.approx(expected, abs=1e-6)


def test_ignored_labels_count_as_in_keras() -> None:
    p = np.array([[0.5, 0.5], [0.25, 0.75]])
    for weights, expected in [(None, np.log(2) / 2), (np.ones(2), np.log(2))]:
        metric = gt.metrics.SparseCategoricalCrossentropy(ignore_class=-1)
        metric.update_state(np.array([0, -1]), p, weights)
        assert metric.result() == pytest.approx(expected)


def test_r2_score_by_output_and_adjusted() -> None:
    y = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 4.0]])
    p = np.array([[1.0, 1.0], [2.0, 1.0], [4.0, 3.0]])
    each = gt.metrics.R2Score(None)(y, p)
    np.testing.assert_allclose(each, [0.5, 1 - 3 / (32 / 3)])
    adjusted = gt.metrics.R2Score(num_regressors=2)(y, p)
    assert adjusted == pytest.approx(1 - (1 - each.mean()) * 5 / 3)
    with pytest.warns(UserWarning, match="more than 7 values"):
        gt.metrics.R2Score(num_regressors=6)(y, p)


def test_names_that_need_arguments_or_miss_something_say_so() -> None:
    with pytest.raises(ValueError, match=r"MeanIoU needs arguments.*gt\.metrics\.MeanIoU"):
        gt.metrics.get("mean_io_u")
    with pytest.raises(TypeError, match=r"argument of BinaryAccuracy 'treshold'.*'threshold'"):
        gt.metrics.BinaryAccuracy(treshold=0.2)
    with pytest.raises(ValueError, match="class_aggregation 'mean'"):
        gt.metrics.R2Score("mean")
    with pytest.raises(gt.errors.ShapeError, match=r"one-hot targets: use top_k_cat"):
        gt.metrics.SparseTopKCategoricalAccuracy()(np.eye(3), np.eye(3))
    with pytest.raises(gt.errors.ShapeError, match=r"class numbers: use a sparse metric"):
        gt.metrics.MeanSquaredError()(np.zeros(3), np.eye(3))


def test_function_of_arrays_is_a_metric() -> None:
    def largest(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred).max(axis=-1)

    metric = gt.metrics.as_metric(largest, (2, 2), (2, 2))
    metric.update_state(np.zeros((2, 2)), np.array([[1.0, 3.0], [5.0, 2.0]]))
    assert metric.name == "largest"
    assert metric.result() == 4.0
    with gt.saving.custom_object_scope({"largest": largest}):
        again = gt.metrics.get(gt.saving.serialize(metric))
    assert again(np.zeros((1, 2)), np.array([[1.0, 3.0]])) == 3.0
