"""Losses: values against formulas written out in NumPy, gradients, and what they refuse."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gradtape as gt

Array = np.ndarray
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}
N, CLASSES = 7, 5


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def clipped(p: Array) -> Array:
    """Probabilities 1e-7 away from 0 and 1, in their own precision as the loss keeps them."""
    return np.clip(p, 1e-7, 1 - 1e-7).astype(np.float64)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(17)


@pytest.fixture(params=["float32", "float64"])
def data(request: pytest.FixtureRequest, rng: np.random.Generator) -> dict[str, Any]:
    dtype = request.param
    p = rng.uniform(0, 1, (N, CLASSES))
    p[0] /= p[0].sum()
    p[1] = [0, 0, 0, 0, 1]  # certain, and wrong
    labels = rng.integers(0, CLASSES, N)
    labels[1] = 2
    return {
        "p": p.astype(dtype),
        "z": (3 * rng.normal(size=(N, CLASSES))).astype(dtype),
        "labels": labels,
        "one_hot": np.eye(CLASSES)[labels],
        "yes": rng.integers(0, 2, (N, CLASSES)),
        "w": rng.uniform(0, 2, N),
        "tolerance": TOLERANCE[dtype],
    }


def close(result: gt.Tensor, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(result.numpy(), expected, rtol=10 * tolerance, atol=tolerance)


def expected_values(name: str, d: dict[str, Any], logits: bool, smoothing: float = 0.0) -> Array:
    """The loss of each sample, in float64."""
    p = d["p"] / d["p"].sum(axis=-1, keepdims=True)
    z = d["z"].astype(np.float64)
    if name == "binary_crossentropy":
        y = d["yes"] * (1 - smoothing) + smoothing / 2
        q = sigmoid(z) if logits else clipped(d["p"])
        return -(y * np.log(q) + (1 - y) * np.log(1 - q)).mean(axis=-1)
    y = d["one_hot"] * (1 - smoothing) + smoothing / CLASSES
    q = softmax(z) if logits else clipped(p)
    return -(y * np.log(q)).sum(axis=-1)


@pytest.mark.parametrize("logits", [False, True])
def test_sparse_categorical_crossentropy_is_the_log_of_the_label(data: Any, logits: bool) -> None:
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=logits, reduction=None)
    expected = expected_values("sparse", data, logits)
    out = loss(data["labels"], data["z" if logits else "p"])
    close(out, expected, data["tolerance"])
    assert out.dtype == data["p"].dtype
    close(loss(data["labels"][:, None], data["z" if logits else "p"]), expected, data["tolerance"])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("logits", [False, True])
def test_categorical_crossentropy_is_the_cross_entropy_of_rows(
    data: Any, logits: bool, smoothing: float
) -> None:
    loss = gt.losses.CategoricalCrossentropy(logits, smoothing, reduction=None)
    out = loss(data["one_hot"], data["z" if logits else "p"])
    close(out, expected_values("categorical", data, logits, smoothing), data["tolerance"])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("logits", [False, True])
def test_binary_crossentropy_is_the_mean_over_outputs(
    data: Any, logits: bool, smoothing: float
) -> None:
    loss = gt.losses.BinaryCrossentropy(logits, smoothing, reduction=None)
    out = loss(data["yes"], data["z" if logits else "p"])
    expected = expected_values("binary_crossentropy", data, logits, smoothing)
    close(out, expected, data["tolerance"])


def test_regression_losses_are_means_over_the_last_axis(data: Any) -> None:
    difference = data["z"].astype(np.float64) - data["one_hot"]
    for loss, expected in [
        (gt.losses.MeanSquaredError(None), np.square(difference).mean(axis=-1)),
        (gt.losses.MeanAbsoluteError(None), np.abs(difference).mean(axis=-1)),
    ]:
        close(loss(data["one_hot"], data["z"]), expected, data["tolerance"])


def test_values_are_those_that_keras_documents() -> None:
    p = [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]
    sparse = gt.losses.sparse_categorical_crossentropy([1, 2], p).numpy()
    np.testing.assert_allclose(sparse, [0.0513, 2.303], atol=5e-4)
    dense = gt.losses.categorical_crossentropy([[0, 1, 0], [0, 0, 1]], p).numpy()
    np.testing.assert_allclose(dense, [0.0513, 2.303], atol=5e-4)
    binary = gt.losses.binary_crossentropy([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]).numpy()
    np.testing.assert_allclose(binary, [0.916, 0.714], atol=5e-4)


def test_zero_probability_costs_the_log_of_epsilon() -> None:
    loss = gt.losses.SparseCategoricalCrossentropy()
    assert loss([0], np.array([[0.0, 1.0]])).item() == pytest.approx(-np.log(1e-7), rel=1e-12)


def test_reductions(data: Any) -> None:
    values = expected_values("sparse", data, logits=True)
    w, tolerance = data["w"], data["tolerance"]
    for reduction, plain, weighted in [
        ("sum_over_batch_size", values.mean(), (values * w).mean()),
        ("mean", values.mean(), (values * w).mean()),
        ("sum", values.sum(), (values * w).sum()),
        ("mean_with_sample_weight", values.mean(), (values * w).sum() / w.sum()),
        ("none", values, values * w),
        (None, values, values * w),
    ]:
        loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        close(loss(data["labels"], data["z"]), plain, 10 * tolerance)
        close(loss(data["labels"], data["z"], w), weighted, 10 * tolerance)
        column = loss(data["labels"], data["z"], w[:, None]).numpy()
        np.testing.assert_allclose(column.ravel(), np.ravel(weighted), rtol=20 * tolerance)


def test_all_weights_zero_give_zero_and_not_nan() -> None:
    loss = gt.losses.MeanSquaredError("mean_with_sample_weight")
    assert loss(np.ones((2, 1)), np.zeros((2, 1)), np.zeros(2)).item() == 0


def test_weights_of_samples_reach_values_with_more_axes(rng: np.random.Generator) -> None:
    z, labels, w = rng.normal(size=(3, 4, 2)), rng.integers(0, 2, (3, 4)), np.array([1.0, 0.0, 2.0])
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    picked = -np.log(np.take_along_axis(softmax(z), labels[..., None], -1))[..., 0]
    close(loss(labels, z, w), (picked * w[:, None]).mean(), 1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        gt.losses.SparseCategoricalCrossentropy(),
        gt.losses.SparseCategoricalCrossentropy(from_logits=True),
        gt.losses.CategoricalCrossentropy(label_smoothing=0.1),
        gt.losses.CategoricalCrossentropy(from_logits=True, reduction="sum"),
        gt.losses.BinaryCrossentropy(label_smoothing=0.1),
        gt.losses.BinaryCrossentropy(from_logits=True),
        gt.losses.MeanSquaredError(),
        gt.losses.MeanAbsoluteError("mean_with_sample_weight"),
    ],
    ids=lambda loss: f"{loss.name}-{getattr(loss, 'from_logits', '')}",
)
def test_gradients_are_right(loss: gt.losses.Loss, rng: np.random.Generator) -> None:
    p, w = rng.uniform(0.1, 0.9, (4, 3)), rng.uniform(0.5, 2, 4)
    sparse = isinstance(loss, gt.losses.SparseCategoricalCrossentropy)
    y: Array = rng.integers(0, 3, 4) if sparse else np.eye(3)[rng.integers(0, 3, 4)]
    assert gt.gradcheck(lambda q: loss(y, q, w), p) < 1e-5


@pytest.mark.parametrize(
    ("loss", "unit"),
    [(gt.losses.MeanSquaredError(None), 9.0), (gt.losses.BinaryCrossentropy(reduction=None), None)],
    ids=lambda v: getattr(v, "name", ""),
)
def test_one_unit_axis_never_becomes_n_by_n(loss: gt.losses.Loss, unit: float | None) -> None:
    y, p = np.array([0.0, 1.0, 1.0]), np.array([[0.2], [0.7], [0.9]])
    expected = loss(y[:, None], p).numpy()
    assert expected.shape == (3,)
    np.testing.assert_array_equal(loss(y, p).numpy(), expected)
    np.testing.assert_array_equal(loss(y[:, None], p[:, 0]).numpy(), expected)
    with pytest.raises(gt.errors.ShapeError, match="one shape"):
        loss(y, np.tile(p, 3))


def test_integer_targets_do_not_wrap_around() -> None:
    y, p = np.array([[255], [0]], np.uint8), np.array([[256.0], [-1.0]], np.float32)
    assert gt.losses.MeanSquaredError()(y, p).item() == 1.0
    assert gt.losses.MeanSquaredError()(y, p).dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        (np.array([0, 1, 5, 2]), ValueError, ["received 5 at index 2", "0 to 4", "6 units"]),
        (np.array([0, -1, 0, 2]), ValueError, ["received -1 at index 1", "Negative"]),
        (np.array([1, 5, 2, 3]), ValueError, ["received 5 at index 1", "Subtract 1"]),
        (np.array([[0], [1], [7], [2]]), ValueError, ["received 7 at index (2, 0)"]),
        (np.array([0.5, 1, 2, 1]), TypeError, ["float64", "whole", "CategoricalCrossentropy"]),
        (np.eye(5)[:4], ValueError, ["(4, 5)", "one-hot", "CategoricalCrossentropy", "argmax"]),
        (np.array([0, 1, 2]), ValueError, ["(4,)", "(3,)"]),
    ],
)
def test_sparse_loss_refuses_other_targets(labels: Array, error: Any, words: list[str]) -> None:
    with pytest.raises(error) as caught:
        gt.losses.SparseCategoricalCrossentropy()(labels, np.full((4, 5), 0.2))
    for word in ["SparseCategoricalCrossentropy", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "y", "shape", "words"),
    [
        (
            "CategoricalCrossentropy",
            np.array([0, 1]),
            (2, 3),
            ["class numbers", "to_categ"],
        ),
        ("CategoricalCrossentropy", np.array([[0], [1]]), (2, 3), ["class numbers"]),
        ("CategoricalCrossentropy", np.eye(3)[:2], (2, 4), ["(2, 4)", "(2, 3)", "units"]),
        ("BinaryCrossentropy", np.array([0, 1]), (2, 3), ["SparseCategorical", "one unit"]),
        ("BinaryCrossentropy", np.array([0, 2]), (2, 1), ["received 2 at index 1", "Sparse"]),
        ("BinaryCrossentropy", np.array([1, -1]), (2, 1), ["received -1 at index 1", "(y + 1)"]),
        ("MeanSquaredError", np.zeros((2, 3)), (2, 4), ["(2, 3)", "(2, 4)", "units"]),
        ("MeanSquaredError", np.zeros((3, 4)), (2, 4), ["same samples"]),
        ("MeanAbsoluteError", np.zeros((2, 2, 4)), (2, 4), ["Reshape"]),
    ],
)
def test_dense_losses_refuse_other_targets(
    loss: str, y: Array, shape: tuple[int, ...], words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:
        getattr(gt.losses, loss)()(y, np.full(shape, 0.5))
    for word in [loss, *words]:
        assert word in str(caught.value)


def test_weights_that_fit_nothing_are_refused() -> None:
    with pytest.raises(gt.errors.ShapeError, match=r"\(3,\).*\(2,\)"):
        gt.losses.MeanSquaredError()(np.zeros((2, 1)), np.zeros((2, 1)), np.ones(3))
    with pytest.raises(gt.errors.ShapeError, match=r"\(2, 3\).*\(2, 4\)"):
        gt.losses.MeanSquaredError()(np.zeros((2, 4, 5)), np.zeros((2, 4, 5)), np.ones((2, 3)))


def test_weights_of_any_rank_that_broadcasts_are_taken(rng: np.random.Generator) -> None:
    y, p = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5))
    values = np.square(y - p).mean(axis=-1)
    loss = gt.losses.MeanSquaredError("sum")
    for shape in [(), (1,), (2,), (2, 1), (2, 3), (2, 1, 4), (2, 3, 4), (2, 3, 4, 1), (1, 3, 1)]:
        w = rng.uniform(size=shape)
        left = w.reshape((*shape, *[1] * (3 - len(shape)))) if len(shape) < 4 else w[..., 0]
        assert loss(y, p, w).item() == pytest.approx((values * left).sum())


def test_loss_of_the_whole_batch_is_weighted_as_a_whole() -> None:
    total = gt.losses.as_loss(lambda y_true, y_pred: gt.ops.sum(y_pred - y_true))
    assert total(np.zeros((2, 1)), np.ones((2, 1)), np.array([1.0, 3.0])).item() == 4.0


def test_misread_predictions_are_warned_of() -> None:
    sparse = gt.losses.SparseCategoricalCrossentropy
    with pytest.warns(UserWarning, match=r"from_logits=True\), or end the model with a softmax"):
        sparse().check_predictions(np.array([[-1.0, 3.0]]))
    with pytest.warns(UserWarning, match="probabilities already"):
        sparse(from_logits=True).check_predictions(np.array([[0.25, 0.75], [0.5, 0.5]]))
    with pytest.warns(UserWarning, match="end the model with a sigmoid"):
        gt.losses.BinaryCrossentropy().check_predictions(np.array([[2.0]]))
    with pytest.warns(UserWarning, match="always 0.*BinaryCrossentropy"):
        gt.losses.CategoricalCrossentropy().check_predictions(np.array([[1.0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sparse().check_predictions(np.array([[0.25, 0.75]]))
        sparse(from_logits=True).check_predictions(np.array([[-1.0, 3.0]]))
        gt.losses.BinaryCrossentropy(from_logits=True).check_predictions(np.array([[0.5, 0.5]]))


def test_names_and_aliases() -> None:
    for alias in ("mse", "MSE", "mean_squared_error"):
        assert gt.losses.get(alias) is gt.losses.mean_squared_error
    assert gt.losses.get("mae") is gt.losses.mean_absolute_error
    assert gt.losses.get("bce") is gt.losses.binary_crossentropy
    assert isinstance(gt.losses.get("MeanSquaredError"), gt.losses.MeanSquaredError)
    assert gt.losses.get(None) is None
    with pytest.raises(ValueError, match=r"Unknown loss 'categorical_crosentropy'.*Did you mean"):
        gt.losses.get("categorical_crosentropy")
    with pytest.raises(TypeError, match="received 3 of type int"):
        gt.losses.get(3)
    with pytest.raises(ValueError, match="Unknown reduction 'avg'"):
        gt.losses.MeanSquaredError(reduction="avg")
    with pytest.raises(ValueError, match=r"label_smoothing must be a number from 0 to 1"):
        gt.losses.BinaryCrossentropy(label_smoothing=2)


@pytest.mark.parametrize(
    "loss",
    [
        gt.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum", name="n"),
        gt.losses.CategoricalCrossentropy(label_smoothing=0.25, axis=1),
        gt.losses.BinaryCrossentropy(from_logits=True),
        gt.losses.MeanSquaredError(reduction="sum"),
        gt.losses.MeanAbsoluteError(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_configuration_makes_the_same_loss(loss: gt.losses.Loss) -> None:
    again = gt.losses.get(gt.saving.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


def test_function_of_tensors_is_a_loss() -> None:
    def cubic(y_true: gt.Tensor, y_pred: gt.Tensor, power: int = 3) -> gt.Tensor:
        return gt.ops.mean(gt.ops.abs(y_true - y_pred) ** power, axis=-1)

    loss = gt.losses.as_loss(cubic)
    y, p = np.array([[0], [1]]), np.array([[2.0], [2.0]])
    assert loss.name == "cubic"
    assert loss(y, p).item() == pytest.approx((8 + 1) / 2)
    assert gt.losses.LossFunctionWrapper(cubic, "sum", power=2)(y, p).item() == 4 + 1
    with gt.saving.custom_object_scope({"cubic": cubic}):
        assert gt.losses.get(gt.saving.serialize(loss))(y, p).item() == loss(y, p).item()


def test_class_of_ones_own_needs_only_call() -> None:
    class Halved(gt.losses.Loss):
        def call(self, y_true: gt.Tensor, y_pred: gt.Tensor) -> gt.Tensor:
            return gt.ops.mean(gt.ops.square(y_true - y_pred), axis=-1) / 2.0

    loss = Halved()
    assert loss.name == "halved"
    p = gt.tensor([[3.0]], requires_grad=True)
    loss(np.array([[1]]), p).backward()
    assert p.grad is not None and p.grad.tolist() == [[2.0]]
    with pytest.raises(TypeError, match="call"):
        gt.losses.Loss()  # type: ignore[abstract]


def test_dtype_is_what_is_computed_in() -> None:
    y, p = np.zeros((2, 1)), np.array([[1.0], [2.0]])
    assert gt.losses.MeanSquaredError()(y, p).dtype == np.float64
    loss = gt.losses.MeanSquaredError(dtype="float32")
    assert loss(y, p).dtype == np.float32
    assert gt.losses.get(gt.saving.serialize(loss)).dtype == "float32"
    with pytest.raises(TypeError, match="'float32' or 'float64', received 'int8'"):
        gt.losses.MeanSquaredError(dtype="int8")


def test_unknown_argument_is_named_with_its_nearest_match() -> None:
    with pytest.raises(TypeError, match=r"argument of Huber 'detla'\. Did you mean 'delta'"):
        gt.losses.Huber(detla=2.0)
    with pytest.raises(TypeError, match="Its arguments: reduction, name, axis, dtype"):
        gt.losses.Dice(None, "n", 1, None, 2)
    with pytest.raises(ValueError, match=r"q must be a number between 0 and 1"):
        gt.losses.CategoricalGeneralizedCrossEntropy(1)


@pytest.mark.parametrize(
    ("name", "y", "p", "expected"),
    [
        ("MeanAbsolutePercentageError", [[2.0, 4.0]], [[1.0, 5.0]], 37.5),
        ("MeanSquaredLogarithmicError", [[np.e - 1, 0.0]], [[0.0, np.e - 1]], 1.0),
        ("CosineSimilarity", [[3.0, 4.0]], [[4.0, 3.0]], -0.96),
        ("Huber", [[0.0, 0.0]], [[0.5, 3.0]], (0.125 + 2.5) / 2),
        ("LogCosh", [[0.0]], [[1.0]], np.log(np.cosh(1))),
        ("Poisson", [[2.0]], [[np.e]], np.e - 2),
        ("KLDivergence", [[0.5, 0.5]], [[0.25, 0.75]], 0.5 * np.log(2) + 0.5 * np.log(2 / 3)),
        ("Hinge", [[0, 1]], [[0.5, 0.5]], 1.0),
        ("SquaredHinge", [[-1, 1]], [[0.5, 0.5]], 1.25),
        ("CategoricalHinge", [[0, 1, 0]], [[0.2, 0.5, 0.3]], 0.8),
        ("BinaryFocalCrossentropy", [[1]], [[0.5]], 0.25 * np.log(2)),
        ("CategoricalFocalCrossentropy", [[1, 0]], [[0.5, 0.5]], 0.0625 * np.log(2)),
        ("Dice", [[1, 1, 0, 0]], [[1.0, 0.0, 0.0, 0.0]], 1 / 3),
        ("Tversky", [[1, 1, 0, 0]], [[1.0, 0.0, 1.0, 0.0]], 0.5),
        ("CategoricalGeneralizedCrossEntropy", [1], [[0.75, 0.25]], 1.0),
        ("Circle", [0, 0], [[1.0, 0.0], [1.0, 0.0]], 0.0),
    ],
)
def test_value_by_hand(name: str, y: Any, p: Any, expected: float) -> None:
    loss = getattr(gt.losses, name)()
    assert loss(np.array(y), np.array(p)).item() == pytest.approx(expected, abs=1e-6)


#: The losses, without their base classes.
ALL = [n for n in gt.losses.__all__ if n[0].isupper() and "Loss" not in n]


@pytest.mark.parametrize("name", ALL)
def test_every_loss_has_right_gradients_and_survives_its_configuration(
    name: str, rng: np.random.Generator
) -> None:
    loss = getattr(gt.losses, name)()
    p = rng.uniform(0.1, 0.9, (4, 3))
    takes_labels = name in ("Circle", "CategoricalGeneralizedCrossEntropy") or "Sparse" in name
    labels = np.array([0, 1, 1, 2])
    y: Array = labels if takes_labels else 0.8 * np.eye(3)[labels] + 0.1
    assert gt.gradcheck(lambda q: loss(y, q), p) < 1e-5
    again = gt.losses.deserialize(gt.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert again(y, p).item() == loss(y, p).item()


def test_ignored_class_counts_neither_in_sums_nor_in_means(rng: np.random.Generator) -> None:
    z, labels = rng.normal(size=(3, 4, 5)), rng.integers(0, 5, (3, 4))
    labels[0, :2] = 255
    picked = -np.log(np.take_along_axis(softmax(z), labels[..., None] % 5, -1))[..., 0]
    kept = picked[labels != 255]
    for reduction, expected in [("sum_over_batch_size", kept.mean()), ("sum", kept.sum())]:
        loss = gt.losses.SparseCategoricalCrossentropy(True, 255, reduction)
        close(loss(labels, z), expected, 1e-12)
    q = gt.tensor(z, requires_grad=True)
    gt.losses.SparseCategoricalCrossentropy(True, 255)(labels, q).backward()
    assert q.grad is not None and not q.grad.numpy()[0, :2].any() and q.grad.numpy()[1].any()
    everything = gt.losses.SparseCategoricalCrossentropy(True, 255)
    assert everything(np.full((3, 4), 255), z).item() == 0


class TenTimes(gt.Loss):
    """Overrides what calling it does, and goes by way of the base."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return gt.ops.mean((y_true - y_pred) ** 2, axis=-1)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return 10.0 * super().__call__(y_true, y_pred, sample_weight)


class OfTheLibrary(gt.losses.MeanSquaredError):
    """The same around a loss that has a kernel."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return 10.0 * super().__call__(y_true, y_pred, sample_weight)


class OnlyCalled(gt.Loss):
    """Says all of it itself."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return 10.0 * gt.ops.mean((gt.as_tensor(y_true) - y_pred) ** 2)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("kind", [TenTimes, OfTheLibrary, OnlyCalled])
def test_a_loss_that_overrides_its_call_is_called_so_by_fit(kind: Any, eager: bool) -> None:
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)
    model = gt.Sequential([gt.Input((3,)), gt.layers.Dense(1)])
    model.compile(gt.optimizers.SGD(0.0), kind(), run_eagerly=eager)
    expected = 10 * np.mean((y - model.predict(x, verbose=0)) ** 2)
    assert model.fit(x, y, verbose=0).history["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_a_loss_must_say_what_it_is() -> None:
    class Nothing(gt.Loss):
        """Neither call nor __call__."""

    with pytest.raises(TypeError, match=r"Nothing must define call\(self, y_true, y_pred\)"):
        Nothing()
