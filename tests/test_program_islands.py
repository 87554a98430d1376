"""Layers that no trace can follow: they run on the tape, in the middle of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import program

Array = np.ndarray
L = gt.layers


class Wave(L.Layer):
    """A layer that no program knows."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", regularizer=self.penalty)

    @staticmethod
    def penalty(v: Any) -> Any:
        return gt.ops.sum(v * v) * 0.01

    def call(self, x: Any) -> Any:
        return gt.ops.sin(x.detach()) * self.scale + x - x.detach()


class Mix(L.Layer):
    """Of two inputs, and other while training."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        x, y = inputs
        return x * gt.ops.cos(y) if training else x


class Signs(L.Layer):
    """Looks at the data in Python."""

    def call(self, x: Any) -> Any:
        return gt.ops.sin(x) if float(x.data.sum()) > 0 else x * 0.5


class Tower(gt.Model):
    """A model that is written in Python."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = L.Dense(3)

    def call(self, x: Any) -> Any:
        return gt.ops.exp(self.dense(x)) * float(np.isfinite(x.data).all())


class Grows(L.Layer):
    """Returns something of a length that depends on the data."""

    def call(self, x: Any) -> Any:
        return x if float(x.data.max()) < 100 else gt.ops.concatenate([x, x], axis=1)


class Added(L.Layer):
    """Adds to the loss."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", regularizer="l2")

    def call(self, x: Any) -> Any:
        self.add_loss(gt.ops.mean(x * self.scale) * 0.3)
        return gt.ops.sin(x * self.scale)


def convolved(odd: Callable[[Any], Any]) -> Any:
    x = gt.Input((4, 5, 2))
    a = L.BatchNormalization()(L.Conv2D(3, 3, activation="relu")(x))
    b = L.Activation("relu")(odd(L.Dropout(0.3, seed=1)(a)))
    b = L.BatchNormalization()(b)
    return gt.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(L.Add()([a, b]))))


def _twice(x: Any) -> Any:
    wave = Wave()
    return wave(wave(x))


NETS: dict[str, Callable[[], Any]] = {
    "weights": lambda: convolved(Wave()),
    "two_inputs": lambda: convolved(lambda a: Mix()([a, L.Activation("tanh")(a)])),
    "adds": lambda: convolved(Added()),
    "activity": lambda: convolved(L.Activation("relu", activity_regularizer=Wave.penalty)),
    "python": lambda: convolved(Signs()),
    "ops": lambda: convolved(gt.ops.sin),
    "constant": lambda: convolved(lambda a: gt.ops.sin(a) * np.full((1, 2, 3, 3), 2, np.float32)),
    "twice": lambda: convolved(_twice),
    "first": lambda: gt.Sequential([gt.Input((4, 5, 2)), Wave(), L.Flatten(), L.Dense(3)]),
    "model": lambda: gt.Sequential(
        [gt.Input((4, 5, 2)), L.Flatten(), L.Dense(5, activation="tanh"), Tower()]
    ),
}


def twins(make: Callable[[], Any]) -> tuple[Any, Any]:
    models = []
    for _ in range(2):
        gt.utils.set_random_seed(1)
        models.append(make())
        logits = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
        models[-1].compile(gt.optimizers.SGD(0.05, momentum=0.9), logits)
    models[1]._native = False
    return models[0], models[1]


def data(batch: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, 4, 5, 2)).astype(np.float32), rng.integers(0, 3, batch)


def same(a: Any, b: Any, x: Array, y: Array) -> None:
    assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=2e-5)
    for v, w in zip(a.variables, b.variables, strict=True):
        if v.dtype.kind == "f":
            np.testing.assert_allclose(v.data, w.data, rtol=2e-5, atol=2e-6, err_msg=v.path)
        else:  # how often numbers were drawn
            np.testing.assert_array_equal(v.data, w.data, err_msg=v.path)


@pytest.mark.filterwarnings("ignore:SparseCategoricalCrossentropy")
@pytest.mark.parametrize("net", NETS)
def test_a_layer_on_the_tape_changes_nothing(net: str) -> None:
    a, b = twins(NETS[net])
    for batch in (17, 3, 17):
        x, y = data(batch, batch)
        for _ in range(2):
            same(a, b, x, y)
            assert a._native.reason is None
        assert a.test_on_batch(x, y) == pytest.approx(b.test_on_batch(x, y), rel=2e-5)
        np.testing.assert_allclose(a.predict(x, verbose=0), b.predict(x, verbose=0), atol=1e-5)
        assert a._native.reason is None
    text: list[str] = []
    a.explain(text.append)
    assert text[0].count("runs on the tape") == (2 if net == "twice" else 1)
    assert text[0].count("native") >= 3


def test_python_that_looks_at_the_data_is_not_frozen() -> None:
    a, b = twins(NETS["python"])
    x, y = data(9)
    for sign in (1, -1, 1):
        same(a, b, np.abs(x) * sign, y)
    assert a._native.reason is None


def test_a_layer_that_returns_another_shape_than_it_said_is_left_to_the_eager_step() -> None:
    def make() -> Any:
        x = gt.Input((4, 5, 2))
        a = L.BatchNormalization()(L.Conv2D(3, 3)(x))
        b = L.GlobalAveragePooling2D()(Grows()(L.Dropout(0.5, seed=3)(a)))
        return gt.Model(x, L.Dense(3, activation="softmax")(b))

    a, b = twins(make)
    x, y = data(6)
    same(a, b, x, y)
    assert a._native.reason is None
    for model in (a, b):
        model.layers[2].gamma.assign(np.full(3, 1000, np.float32))
    same(a, b, x, y)
    assert "returned (6, 4, 3, 3) float32 instead of (6, 2, 3, 3)" in a._native.reason


def test_a_net_of_such_layers_is_left_to_the_eager_step() -> None:
    a, b = twins(lambda: gt.Sequential([gt.Input((4, 5, 2)), Wave(), L.Flatten(), Tower()]))
    x, y = data(5)
    same(a, b, x, y)
    assert "too little is native: the op 'sin' has no lowering" in a._native.reason
    text: list[str] = []
    a.explain(text.append)
    assert "eager: too little is native" in text[0]


def test_results_are_the_same_bits_for_any_number_of_threads() -> None:
    results = []
    for workers in (1, 2, 3, 4):
        model, _ = twins(NETS["weights"])
        variables = model.trainable_variables
        model.optimizer.build(variables)
        update = program.Update(model.optimizer, variables)
        graph = program.graph_of(model, (4, 5, 2))
        step = program.Step(graph, 75, np.float32, model._scores.loss, update, workers, guard=64)
        losses = []
        for seed in range(3):
            losses.append(step.run(*data(75, seed))[0])
            step.program.check_canaries()
        results.append((losses, [w.tobytes() for w in model.get_weights()]))
    assert all(r == results[0] for r in results)
