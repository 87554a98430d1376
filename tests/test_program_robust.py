"""Programs under what users do: flags that change, Python that looks at data, threads, caches."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import program

Array = np.ndarray
L = gt.layers


def data(batch: int = 20, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, 5, 4, 2)).astype(np.float32), rng.integers(0, 3, batch)


def net(*more: Any) -> Any:
    gt.utils.set_random_seed(1)
    layers = [L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.Dropout(0.5, seed=2)]
    layers += [*more, L.Flatten(), L.Dense(3, activation="softmax")]
    return compiled(gt.Sequential([gt.Input((5, 4, 2)), *layers]))


def compiled(model: Any) -> Any:
    optimizer = gt.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def eagerly(model: Any) -> Any:
    model._native = False
    return model


def same(a: Any, b: Any, batch: int = 20) -> None:
    """A step of training, one of testing, predictions: natively in `a`, eagerly in `b`."""
    x, y = data(batch)
    for method in ("train_on_batch", "test_on_batch"):
        found, expected = (getattr(m, method)(x, y) for m in (a, b))
        assert found == pytest.approx(expected, rel=2e-5)
        assert a._native and a._native.reason is None
    np.testing.assert_allclose(a.predict(x, verbose=0), b.predict(x, verbose=0), atol=1e-5)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-4, atol=1e-5)


def test_training_testing_and_predicting_take_turns() -> None:
    a, b = net(), eagerly(net())
    x, _ = data()
    for _ in range(3):
        same(a, b)
    first, second = (a(x, training=True).data for _ in range(2))
    assert not np.array_equal(first, second)  # dropout
    before = a.layers[1].moving_mean.numpy().copy()
    a.predict(x, verbose=0)
    np.testing.assert_array_equal(a.layers[1].moving_mean.numpy(), before)


def test_frozen_layers_settings_and_new_layers_are_picked_up() -> None:
    a, b = net(), eagerly(net())
    same(a, b)
    for model in (a, b):
        model.layers[1].trainable = False  # so that it normalises as in inference
    same(a, b)
    for model in (a, b):
        model.layers[2].rate = 0.25
    same(a, b)
    for model in (a, b):
        model.trainable = True
        model.layers[1].momentum = 0.5
    same(a, b, batch=7)
    for model in (a, b):
        model.layers[-1].kernel.assign(model.layers[-1].kernel.numpy() * 2)
        model.optimizer.learning_rate = 0.01
    same(a, b)
    for model in (a, b):
        model.add(L.Dense(3, activation="softmax", kernel_initializer="ones"))
        compiled(model)
    same(a, b)
    for model in (a, b):
        model.pop()
        model.compile("sgd", gt.losses.SparseCategoricalCrossentropy(reduction="sum"))
    same(a, b)


class Branches(gt.Model):
    """A model that looks at its input in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.one, self.other = L.Flatten(), L.Dense(3), L.Dense(3)

    def call(self, x: Any) -> Any:
        x = self.flatten(x)
        return self.one(x) if float(x.data.mean()) > 0 else self.other(x)


@pytest.mark.filterwarnings("ignore:The loss does not depend on")
def test_python_in_a_model_is_never_frozen() -> None:
    gt.utils.set_random_seed(1)
    model = Branches()
    for layer in (model.one, model.other):
        layer.build((None, 40))
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(gt.optimizers.SGD(0.1), loss)
    x, y = data()
    x = np.abs(x)
    model.fit(np.concatenate([x, -x]), np.concatenate([y, y]), 20, shuffle=False, verbose=0)
    assert "has no lowering" in model._native.reason
    weights = [layer.kernel.numpy().copy() for layer in (model.one, model.other)]
    model.train_on_batch(x, y)
    assert not np.array_equal(model.one.kernel.numpy(), weights[0])
    np.testing.assert_array_equal(model.other.kernel.numpy(), weights[1])
    weights[0] = model.one.kernel.numpy().copy()
    model.train_on_batch(-x, y)
    np.testing.assert_array_equal(model.one.kernel.numpy(), weights[0])
    assert not np.array_equal(model.other.kernel.numpy(), weights[1])


def test_one_model_trained_by_two_python_threads_at_once() -> None:
    model, failed = net(), []
    x, y = data(33)
    model.train_on_batch(x, y)

    def train() -> None:
        try:
            for _ in range(20):
                model.train_step((x, y))
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=train) for _ in range(2)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not failed and model.optimizer.iterations == 41
    assert all(np.isfinite(w).all() for w in model.get_weights())
    expected = eagerly(net())
    for _ in range(41):
        expected.train_on_batch(x, y)
    for v, w in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-2, atol=2e-3)  # forty steps of rounding


def test_normalisation_of_one_sample_stays_in_its_buffers() -> None:
    gt.utils.set_random_seed(1)
    layers = [L.Conv2D(5, 3), L.BatchNormalization(), L.Flatten(), L.BatchNormalization()]
    model = compiled(gt.Sequential([gt.Input((5, 4, 2)), *layers, L.Dense(3, "softmax")]))
    variables = model.trainable_variables
    model.optimizer.build(variables)
    update = program.Update(model.optimizer, variables)
    graph = program.graph_of(model, (5, 4, 2))
    step = program.Step(graph, 1, np.float32, model._scores.loss, update, guard=64)
    for seed in range(3):
        loss, predictions = step.run(*data(1, seed))
        step.program.check_canaries()
        assert np.isfinite(loss) and np.isfinite(predictions).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
