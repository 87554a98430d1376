"""`fit`, `evaluate` and `predict` give Keras's numbers, however the data is passed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*ran out of data:UserWarning"),
    pytest.mark.filterwarnings("ignore:The data ran out:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*shuffle=True. was passed:UserWarning"),
]

N, FEATURES, CLASSES, BATCH = 44, 5, 3, 8
RTOL = 2e-5  # float32, over a few epochs
RNG = np.random.default_rng(11)
X = RNG.normal(size=(N, FEATURES)).astype(np.float32)
Y = RNG.integers(0, CLASSES, N)
W = RNG.uniform(0.2, 2, N).astype(np.float32)
FIRST = RNG.normal(size=(FEATURES, 6)).astype(np.float32) / 2
SECOND = RNG.normal(size=(6, CLASSES)).astype(np.float32) / 2


def weigh(model: Any) -> Any:
    model.set_weights([FIRST, np.zeros(6, np.float32), SECOND, np.zeros(CLASSES, np.float32)])
    return model


def network(kit: Any, cls: Any = None, **compiled: Any) -> Any:
    dense = kit.layers.Dense
    model = (cls or kit.Sequential)(
        [kit.Input((FEATURES,)), dense(6, activation="tanh"), dense(CLASSES, activation="softmax")]
    )
    settings = {
        "optimizer": kit.optimizers.SGD(0.1, momentum=0.9),
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "weighted_metrics": [kit.metrics.SparseCategoricalAccuracy("weighted")],
        **({"jit_compile": False} if kit is keras else {}),
    }
    model.compile(**{**settings, **compiled})
    return weigh(model)


def batches(*arrays: Any, size: int = BATCH) -> list[tuple[Any, ...]]:
    return [tuple(a[i : i + size] for a in arrays) for i in range(0, len(arrays[0]), size)]


def forever(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    while True:
        yield from batches(*arrays)


def dataset(kit: Any, *arrays: Any) -> Any:
    """A `PyDataset` that changes its order at the end of each epoch."""

    class Parts(kit.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self.parts = batches(*arrays)

        def __len__(self) -> int:
            return len(self.parts)

        def __getitem__(self, index: int) -> tuple[Any, ...]:
            return self.parts[index]

        def on_epoch_end(self) -> None:
            self.parts = self.parts[1:] + self.parts[:1]

    return Parts()


def loader(*arrays: Any) -> Any:
    data = torch.utils.data.TensorDataset(*map(torch.tensor, arrays))
    return torch.utils.data.DataLoader(data, batch_size=BATCH)


#: What `fit` receives, given the package.
FITS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "arrays": lambda kit: {"x": X, "y": Y},
    "lists": lambda kit: {"x": [X], "y": Y},
    "bytes": lambda kit: {"x": (np.abs(X) * 20).astype(np.uint8) % 3, "y": Y},
    "one_column": lambda kit: {"x": X, "y": Y[:, None]},
    "sample_weight": lambda kit: {"x": X, "y": Y, "sample_weight": W},
    "class_weight": lambda kit: {"x": X, "y": Y, "class_weight": {0: 3.0, 2: 0.25}},
    "split": lambda kit: {"x": X, "y": Y, "sample_weight": W, "validation_split": 0.3},
    "split_of_classes": lambda kit: {
        "x": X, "y": Y, "class_weight": {1: 2.0}, "validation_split": 0.25,
    },
    "validation": lambda kit: {"x": X, "y": Y, "validation_data": (X[:17], Y[:17])},
    "weighted_validation": lambda kit: {
        "x": X, "y": Y, "validation_data": (X[:17], Y[:17], W[:17]), "validation_batch_size": 5,
    },
    "validation_steps": lambda kit: {
        "x": X, "y": Y, "validation_data": (X, Y), "validation_steps": 2,
    },
    "validation_freq": lambda kit: {
        "x": X, "y": Y, "validation_data": (X, Y), "validation_freq": 2,
    },
    "validation_epochs": lambda kit: {
        "x": X, "y": Y, "validation_data": (X, Y), "validation_freq": [1, 4],
    },
    "initial_epoch": lambda kit: {"x": X, "y": Y, "initial_epoch": 2},
    "steps_per_epoch": lambda kit: {"x": X, "y": Y, "steps_per_epoch": 2},
    "steps_that_run_out": lambda kit: {"x": X, "y": Y, "steps_per_epoch": 4},
    "generator": lambda kit: {"x": forever(X, Y), "steps_per_epoch": 4},
    "weighted_generator": lambda kit: {"x": forever(X, Y, W), "steps_per_epoch": 6},
    # Not compared: a generator as validation_data, whose first two batches Keras judges again in
    # each validation; here it goes on, as in training.
    "validation_generator": lambda kit: {
        "x": X, "y": Y, "validation_data": forever(X, Y), "validation_steps": 3,
        "validation_freq": [3],
    },
    "dataset": lambda kit: {"x": dataset(kit, X, Y)},
    "weighted_dataset": lambda kit: {"x": dataset(kit, X, Y, W)},
    "dataset_of_classes": lambda kit: {"x": dataset(kit, X, Y), "class_weight": {0: 4.0}},
    "validation_dataset": lambda kit: {
        "x": dataset(kit, X, Y), "validation_data": dataset(kit, X, Y, W),
    },
    "validation_dataset_steps": lambda kit: {
        "x": dataset(kit, X, Y), "validation_data": dataset(kit, X, Y), "validation_steps": 2,
    },
    "dataset_steps": lambda kit: {"x": dataset(kit, X, Y), "steps_per_epoch": 3},
    "loader": lambda kit: {"x": loader(X, Y), "validation_data": loader(X, Y, W)},
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_history_and_weights_are_those_of_keras(name: str) -> None:
    results = []
    for kit in (gt, keras):
        model = network(kit)
        given = {"batch_size": BATCH, **FITS[name](kit)}
        if hasattr(given["x"], "__next__") or not isinstance(given["x"], (list, np.ndarray)):
            del given["batch_size"]
        history = model.fit(**given, epochs=4, shuffle=False, verbose=0)
        results.append((history, model.get_weights()))
    (ours, mine), (theirs, others) = results
    assert ours.epoch == theirs.epoch
    assert ours.history.keys() == theirs.history.keys()  # Keras sorts them
    for key, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[key], values, rtol=RTOL, err_msg=key)
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=1e-6)


JUDGED: dict[str, Callable[[Any], dict[str, Any]]] = {
    "arrays": lambda kit: {"x": X, "y": Y, "batch_size": 7},
    "weights": lambda kit: {"x": X, "y": Y, "sample_weight": W},
    "steps": lambda kit: {"x": X, "y": Y, "batch_size": 9, "steps": 2},
    "generator": lambda kit: {"x": forever(X, Y, W), "steps": 3},
    "dataset": lambda kit: {"x": dataset(kit, X, Y, W)},
    "loader": lambda kit: {"x": loader(X, Y)},
}


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize("return_dict", [False, True])
def test_evaluate_is_that_of_keras(name: str, return_dict: bool) -> None:
    ours, theirs = (
        network(kit).evaluate(**JUDGED[name](kit), return_dict=return_dict, verbose=0)
        for kit in (gt, keras)
    )
    if return_dict:
        assert ours.keys() == theirs.keys()
        ours, theirs = ([values[k] for k in theirs] for values in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=RTOL)


@pytest.mark.parametrize(
    "given",
    [
        lambda kit: {"x": X, "batch_size": 7},
        lambda kit: {"x": X, "batch_size": 7, "steps": 3},
        lambda kit: {"x": forever(X, Y), "steps": 2},
        lambda kit: {"x": dataset(kit, X, Y)},
        lambda kit: {"x": dataset(kit, X)},
        lambda kit: {"x": loader(X, Y)},
    ],
)
def test_predict_is_that_of_keras(given: Any) -> None:
    ours, theirs = (network(kit).predict(**given(kit), verbose=0) for kit in (gt, keras))
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=1e-7)


@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_single_batches_are_those_of_keras(metrics: Any) -> None:
    results = []
    for kit in (gt, keras):
        model = network(kit, metrics=metrics, weighted_metrics=None)
        results.append(
            [
                model.train_on_batch(X[:8], Y[:8]),
                model.train_on_batch(X[8:20], Y[8:20], sample_weight=W[8:20]),
                model.train_on_batch(X[:8], Y[:8], class_weight={0: 2.0}),
                model.test_on_batch(X[:8], Y[:8]),
                model.test_on_batch(X[:8], Y[:8], W[:8]),
                model.train_on_batch(X[:8], Y[:8], return_dict=True)["loss"],
                model.predict_on_batch(X[:4]),
            ]
        )
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=1e-6)


def test_train_step_of_ones_own_is_that_of_keras() -> None:
    """Only the gradients are taken in each package's own way."""

    class Own:
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            loss, gradients = self.differentiate(x, y)  # type: ignore[attr-defined]
            self.optimizer.apply(gradients, self.trainable_variables)  # type: ignore[attr-defined]
            self.seen.update_state(loss)  # type: ignore[attr-defined]
            return {"seen": self.seen.result(), "last": loss}  # type: ignore[attr-defined]

    class Ours(Own, gt.Sequential):
        def differentiate(self, x: Any, y: Any) -> Any:
            with gt.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            return loss, tape.gradient(loss, self.trainable_variables)

    class Theirs(Own, keras.Sequential):  # type: ignore[misc]
        def differentiate(self, x: Any, y: Any) -> Any:
            self.zero_grad()
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            loss.backward()
            return loss.detach(), [v.value.grad for v in self.trainable_variables]

    histories = []
    for kit, cls in ((gt, Ours), (keras, Theirs)):
        model = network(kit, cls, metrics=None, weighted_metrics=None)
        model.seen = kit.metrics.Mean(name="seen")
        histories.append(model.fit(X, Y, BATCH, epochs=3, shuffle=False, verbose=0).history)
    ours, theirs = histories
    assert ours.keys() == theirs.keys()
    for key, values in theirs.items():
        np.testing.assert_allclose(ours[key], [float(v) for v in values], rtol=RTOL, err_msg=key)


def test_callbacks_see_the_batches_that_keras_shows() -> None:
    seen: list[list[Any]] = []
    for kit in (gt, keras):
        calls: list[Any] = []

        class Watch(kit.callbacks.Callback):  # type: ignore[misc,name-defined]
            def on_train_batch_end(self, batch: int, logs: Any = None, into: Any = calls) -> None:
                into.append((batch, float(logs["loss"]), float(logs["accuracy"])))

            def on_test_batch_end(self, batch: int, logs: Any = None, into: Any = calls) -> None:
                into.append((batch, float(logs["loss"]), float(logs["accuracy"])))

        network(kit).fit(
            X, Y, BATCH, epochs=2, shuffle=False, verbose=0, validation_split=0.5,
            callbacks=[Watch()],
        )  # fmt: skip
        seen.append(calls)
    np.testing.assert_allclose(*seen, rtol=RTOL)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "compile"])
def test_signatures_are_those_of_keras(method: str) -> None:
    import inspect

    def arguments(kit: Any) -> list[tuple[str, Any]]:
        found = inspect.signature(getattr(kit.Model, method)).parameters.values()
        return [(p.name, p.default) for p in found if p.kind is not p.VAR_KEYWORD]

    assert arguments(gt) == arguments(keras)
