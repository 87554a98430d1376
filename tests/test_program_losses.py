"""Losses in programs: each replays as it runs, for predictions of any rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from replay import assert_replays, assert_same_at, assert_same_bits, sequential

import gradtape as gt
from gradtape import losses as eager
from gradtape.kernels.simd import SHARD
from gradtape.program.losses import LossPlan

Array = np.ndarray
L = gt.layers

#: For each loss: its settings, the activation before it, and what its targets are.
CASES: list[tuple[str, dict[str, Any], Any, str]] = [
    ("MeanSquaredError", {}, None, "numbers"),
    ("MeanAbsoluteError", {"reduction": "sum"}, "tanh", "numbers"),
    ("MeanAbsolutePercentageError", {}, None, "counts"),
    ("MeanSquaredLogarithmicError", {}, "softplus", "counts"),
    ("Huber", {"delta": 0.4}, None, "numbers"),
    ("LogCosh", {}, None, "numbers"),
    ("Poisson", {}, "softplus", "counts"),
    ("KLDivergence", {}, "sigmoid", "shares"),
    ("Hinge", {}, "tanh", "bits"),
    ("SquaredHinge", {}, None, "signs"),
    ("CategoricalHinge", {}, None, "one_hot"),
    ("CosineSimilarity", {}, None, "numbers"),
    ("BinaryCrossentropy", {}, "sigmoid", "bits"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, None, "bits"),
    ("BinaryFocalCrossentropy", {}, "sigmoid", "bits"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "gamma": 1.5}, "sigmoid", "bits"),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, None, "bits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "softmax", "one_hot"),
    ("CategoricalCrossentropy", {"from_logits": True}, None, "one_hot"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "sigmoid", "one_hot"),
    ("CategoricalFocalCrossentropy", {}, "softmax", "one_hot"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, None, "one_hot"),
    ("SparseCategoricalCrossentropy", {}, "softmax", "labels"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, None, "labels"),
    ("SparseCategoricalCrossentropy", {}, "sigmoid", "labels"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "softmax", "labels"),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "from_logits": True}, None, "holes"),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def _targets(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    labels = rng.integers(0, shape[-1], shape[:-1])
    made = {
        "numbers": lambda: rng.normal(size=shape),
        "counts": lambda: rng.integers(0, 4, shape) + 0.5,
        "shares": lambda: rng.dirichlet(np.ones(shape[-1]), shape[:-1]),
        "bits": lambda: rng.integers(0, 2, shape).astype("f"),
        "signs": lambda: 2 * rng.integers(0, 2, shape) - 1,
        "one_hot": lambda: np.eye(shape[-1])[labels],
        "labels": lambda: labels,
        "holes": lambda: np.where(rng.random(labels.shape) < 0.3, -1, labels),
    }[kind]()
    return made if made.dtype.kind in "iu" and kind in ("labels", "holes") else made.astype("f")


@pytest.mark.parametrize(("name", "settings", "activation", "kind"), CASES, ids=IDS)
def test_losses_replay_as_they_run(
    name: str, settings: dict[str, Any], activation: Any, kind: str
) -> None:
    def make() -> Any:
        return sequential(lambda: L.Dense(4, activation=activation), shape=(6,))

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        x = rng.normal(size=(17, 6)).astype("f")
        return x, _targets(kind, rng, (17, 4)), rng.uniform(0, 2, 17).astype("f")

    assert_replays(make, batch, getattr(eager, name)(**settings), rate=0.02)


@pytest.mark.parametrize(("name", "settings", "activation", "kind"), CASES, ids=IDS)
def test_losses_of_pixels_replay_as_they_run(
    name: str, settings: dict[str, Any], activation: Any, kind: str
) -> None:
    """Weights for samples, for pixels, and none; a pixel without weight."""

    def make() -> Any:
        return sequential(lambda: L.Conv2D(3, 2, activation=activation), shape=(4, 3, 2))

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        x = rng.normal(size=(5, 4, 3, 2)).astype("f")
        y = _targets(kind, rng, (5, 3, 2, 3))
        weights = [(), (5,), (5, 3, 2), (5, 1, 2)][number % 4]
        if not weights:
            return x, y
        return x, y, (rng.uniform(0, 2, weights) * (rng.random(weights) > 0.2)).astype("f")

    assert_replays(make, batch, getattr(eager, name)(**settings), rate=0.02)


_EDGES = [
    0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 100.0, -100.0, 1e-7, 1 - 1e-7, 1 + 1e-7, 1e-8,
    np.inf, -np.inf, np.nan,
]  # fmt: skip
#: Targets beside predictions: away from them, equal to them, or a kink of some loss away.
_APART = {
    "0": np.zeros_like,
    "1": np.ones_like,
    "equal": lambda p: np.nan_to_num(p, posinf=1, neginf=-1),
    "1 apart": lambda p: np.nan_to_num(p, posinf=1, neginf=-1) + 1,
    "0.5 apart": lambda p: np.nan_to_num(p, posinf=1, neginf=-1) - np.float32(0.5),
}
_OF_NUMBERS = [
    (name, settings, apart)
    for name, settings, _, kind in CASES
    for apart in (("0", "1") if kind == "bits" else _APART)
    if kind not in ("one_hot", "labels", "holes") and name != "CosineSimilarity"
]


@pytest.mark.parametrize(("name", "settings", "apart"), _OF_NUMBERS)
def test_slopes_are_the_eager_ones_at_kinks_and_extremes(
    name: str, settings: dict[str, Any], apart: str
) -> None:
    if settings.get("gamma", 2) % 1:  # eagerly, 1 - (1 - q) loses the digits of a small q
        settings = settings | {"gamma": 1.0}
    loss = getattr(gt.losses, name)(**settings)
    assert_same_at(_EDGES, lambda x: L.Flatten()(x), loss, _APART[apart])


_SHARES = [
    [0, 0, 0], [1, 1, 0], [1, 0, 0], [0.5, 0.5, 0], [-1, -1, -1], [1e-8, 1, 0], [100, -100, 0],
    [1e20, 0, 0], [np.nan, 0, 1],
]  # fmt: skip
_OF_CLASSES = [case for case in CASES if case[3] in ("one_hot", "labels")]
_OF_CLASSES.append(("CosineSimilarity", {}, None, "one_hot"))


@pytest.mark.parametrize(("name", "settings", "activation", "kind"), _OF_CLASSES)
def test_slopes_over_classes_are_the_eager_ones_at_kinks(
    name: str, settings: dict[str, Any], activation: Any, kind: str
) -> None:
    last = L.Softmax() if activation == "softmax" else L.Flatten()
    for chosen in range(3):
        labels = np.full(SHARD, chosen)
        targets = labels if kind == "labels" else np.eye(3, dtype=np.float32)[labels]
        for row in _SHARES:
            loss = getattr(gt.losses, name)(**settings)
            assert_same_at(row, lambda x: last(L.Flatten()(x)), loss, lambda p: targets)  # noqa: B023


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight", "mean"])
def test_reductions_are_those_of_the_loss(reduction: str) -> None:
    def make() -> Any:
        return sequential(lambda: L.Conv2D(3, 2, activation="softmax"), shape=(4, 3, 2))

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        x = rng.normal(size=(18, 4, 3, 2)).astype("f")
        y = rng.integers(0, 3, (18, 3, 2))
        return x, y, rng.uniform(0, 2, [(18,), (18, 3, 2)][number % 2]).astype("f")

    loss = eager.SparseCategoricalCrossentropy(reduction=reduction)
    assert_replays(make, batch, loss, rate=0.002)


@pytest.mark.parametrize("batch", [1, 2, 15, 17, 33])
@pytest.mark.parametrize(
    "loss",
    [
        eager.MeanAbsoluteError(),
        eager.CategoricalCrossentropy(from_logits=True),
        eager.CategoricalCrossentropy(),
    ],
    ids=["absolute", "logits", "probabilities"],
)
def test_results_are_the_same_bits_and_stay_in_their_buffers(loss: Any, batch: int) -> None:
    def make() -> Any:
        return sequential(lambda: L.Conv2D(3, 2, activation="sigmoid"), shape=(4, 3, 2))

    def data(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        x = rng.normal(size=(batch, 4, 3, 2)).astype("f")
        return x, _targets("one_hot", rng, (batch, 3, 2, 3))

    assert_same_bits(make, data, loss)


def test_one_output_takes_flat_targets() -> None:
    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        return rng.normal(size=(9, 3)).astype("f"), rng.integers(0, 2, 9)

    make = lambda: sequential(lambda: L.Dense(1, activation="sigmoid"), shape=(3,))  # noqa: E731
    assert_replays(make, batch, eager.BinaryCrossentropy())


class Strange(eager.Loss):
    """A loss of a user, with a number of its own that changes."""

    calls = 0

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.calls += 1
        return gt.ops.mean(gt.ops.square(gt.ops.sin(y_pred) - y_true), axis=(1, 2, 3))


def _cubic(y: Any, p: Any) -> Any:
    return gt.ops.mean(gt.ops.abs(y - p) ** 3, axis=-1)


TAPED = {
    "of the user": Strange(),
    "function": eager.LossFunctionWrapper(
        lambda y, p: gt.ops.mean(gt.ops.abs(y - p) ** 3, axis=-1)
    ),
    "along another axis": eager.CategoricalCrossentropy(from_logits=True, axis=1),
    "in float64": eager.MeanSquaredError(dtype="float64"),
    "Dice": eager.Dice(),
    "Tversky": eager.Tversky(alpha=0.3),
}


@pytest.mark.parametrize("name", TAPED)
def test_losses_without_a_kernel_are_taken_on_the_tape(name: str) -> None:
    def make() -> Any:
        return sequential(
            lambda: L.Conv2D(3, 2), L.BatchNormalization, lambda: L.Dropout(0.2, seed=1),
            lambda: L.Conv2D(3, 1, activation="sigmoid"), shape=(4, 3, 2),
        )  # fmt: skip

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        x = rng.normal(size=(18, 4, 3, 2)).astype("f")
        y = _targets("one_hot", rng, (18, 3, 2, 3))
        weighs = number % 2 and name in ("function", "of the user", "in float64")
        return (x, y, rng.uniform(0, 2, 18).astype("f")) if weighs else (x, y)

    assert_replays(make, batch, TAPED[name], rate=0.02)


@pytest.mark.parametrize("batch", [1, 2, 15, 17, 33])
def test_pauses_change_no_bits_and_stay_in_their_buffers(batch: int) -> None:
    def make() -> Any:
        return sequential(lambda: L.Conv2D(3, 2), lambda: L.Conv2D(3, 1), shape=(4, 3, 2))

    def data(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        x = rng.normal(size=(batch, 4, 3, 2)).astype("f")
        return x, _targets("numbers", rng, (batch, 3, 2, 3))

    assert_same_bits(make, data, Strange())


def test_a_loss_that_counts_keeps_its_program() -> None:
    model = sequential(lambda: L.Conv2D(3, 2), shape=(4, 3, 2))
    loss = Strange()
    model.compile("sgd", loss)
    x, y = np.ones((5, 4, 3, 2), np.float32), np.ones((5, 3, 2, 3), np.float32)
    model.fit(x, y, batch_size=5, epochs=3, verbose=0)
    assert loss.calls >= 3 and len(model._native._steps) <= 2


def test_targets_that_no_kernel_takes_are_taken_on_the_tape() -> None:
    """Here the last axis of the output is left out, so means are taken over columns."""

    def make() -> Any:
        return sequential(lambda: L.Conv2D(1, 2), shape=(4, 3, 2))

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        return rng.normal(size=(7, 4, 3, 2)).astype("f"), rng.normal(size=(7, 3, 2)).astype("f")

    assert_replays(make, batch, eager.MeanSquaredError(reduction="sum"), rate=0.001)
    model = make()
    model.compile("sgd", "mse")
    x, y = batch(0)
    with pytest.raises(ValueError, match="one shape"):
        for _ in range(2):
            model.train_on_batch(x, y[:, :2])
    with pytest.raises(ValueError, match="sample_weight of shape"):
        for _ in range(2):
            model.train_on_batch(x, y, np.ones((7, 5), np.float32))


#: Losses that look at all samples of a batch at once, and what is no loss by itself.
WITHOUT = {"CTC", "Circle", "Dice", "FunctionLoss", "Loss", "LossFunctionWrapper", "Tversky"}
_NEEDED = {"CategoricalGeneralizedCrossEntropy": {"q": 0.7}}


def test_every_loss_of_samples_is_native() -> None:
    classes = {n for n in eager.__all__ if isinstance(getattr(eager, n), type)}
    for name in classes - WITHOUT:
        LossPlan(getattr(eager, name)(**_NEEDED.get(name, {})), (4, 3))
    for name in ("Dice", "Tversky"):
        LossPlan(getattr(eager, name)(axis=(1, 2, 3)), (4, 5, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "uint8"])
def test_class_numbers_of_any_dtype_run_natively(dtype: str) -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(8, 5)).astype(np.float32), rng.integers(0, 2, 8)
    histories = []
    for labels in (y, y.astype(dtype)):
        gt.utils.set_random_seed(1)
        model = gt.Sequential([gt.Input((5,)), gt.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        histories.append(model.fit(x, labels, epochs=2, verbose=0).history["loss"])
        text: list[str] = []
        model.explain(text.append)
        assert "eager" not in "\n".join(text)
    assert histories[0] == histories[1]
