"""Losses that layers add: activity regularizers, and `add_loss`."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def test_an_activity_counts_for_each_sample() -> None:
    layer = layers.Dense(2, activation="relu", activity_regularizer=gt.regularizers.L2(0.5))
    y = layer(X).numpy()
    assert [float(v) for v in layer.losses] == [pytest.approx(0.5 * (y**2).sum() / 4)]
    layer(X[:2])
    assert [float(v) for v in layer.losses] == [pytest.approx(0.5 * (y[:2] ** 2).sum() / 2)]
    config = layer.get_config()
    assert layers.Dense.from_config(config).get_config() == config


def test_activity_regularization_is_a_layer() -> None:
    layer = layers.ActivityRegularization(l1=0.1, l2=0.2)
    np.testing.assert_array_equal(layer(X), X)
    expected = (0.1 * np.abs(X).sum() + 0.2 * (X**2).sum()) / 4
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-6)
    config = layer.get_config()
    assert config["l1"] == 0.1 and layers.ActivityRegularization(**config).l2 == 0.2


def _model(factor: float = 0.1) -> Any:
    gt.utils.set_random_seed(0)
    x = gt.Input((3,))
    h = layers.Dense(4, activation="tanh", activity_regularizer=gt.regularizers.L1(factor))(x)
    model = gt.Model(x, layers.Dense(1)(h))
    model.compile(gt.optimizers.SGD(0.1), "mse")
    return model


def test_training_and_judging_include_them() -> None:
    model, plain = _model(), _model(0.0)
    y = X[:, :1]
    hidden = np.abs(np.tanh(X @ model.layers[1].kernel.data)).sum() / 4
    expected = plain.evaluate(X, y, verbose=0) + 0.1 * hidden
    for _ in range(2):
        assert model.evaluate(X, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.fit(X, y, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-5)
    plain.fit(X, y, verbose=0)
    assert not np.allclose(model.get_weights()[0], plain.get_weights()[0])
    first = model.evaluate(X, y, verbose=0)
    model.fit(X, y, epochs=5, verbose=0)
    assert model.evaluate(X, y, verbose=0) < first
    assert model._native.reason is None  # all of it in a program


def test_a_program_adds_what_a_step_on_the_tape_adds() -> None:
    model, eager = _model(), _model()
    eager._native = False
    for size in (4, 4, 3, 4):
        losses = [m.train_on_batch(X[:size], X[:size, :1]) for m in (model, eager)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for a, b in zip(model.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_losses_are_those_of_the_last_call_only() -> None:
    model = _model()
    for _ in range(3):
        model(X)
        assert len(model.losses) == len(model.layers[1].losses) == 1
    other = gt.Sequential([model.layers[1]])
    other(X[:1])
    assert len(other.losses) == 1
    assert not _model().losses  # shapes were tried out, which is no call


class _Adds(gt.layers.Layer):
    """One number to the loss, when asked to."""

    adds = True

    def call(self, x: Any) -> Any:
        if self.adds:
            self.add_loss(gt.ops.sum(x) * 0.0 + 2.0)
        return x


def test_layers_may_add_losses_of_their_own() -> None:
    layer = _Adds()
    model = gt.Sequential([gt.Input((3,)), layer, layers.Dense(1, kernel_regularizer="l2")])
    model(X)
    assert [float(v) for v in model.losses] == [
        2.0,
        pytest.approx(0.01 * (model.layers[1].kernel.numpy() ** 2).sum()),
    ]
    layer.adds = False
    model(X)
    assert len(model.losses) == 1
    with pytest.raises(ValueError, match=r"add_loss\(\) takes tensors, received 3.0"):
        layer.add_loss(3.0)


def test_added_losses_keep_nothing_alive_and_are_not_copied() -> None:
    model = _model()
    model(X)
    twin = copy.deepcopy(model)
    assert model.losses and not twin.losses
    seen = weakref.ref(model.layers[1])
    del model, twin
    gc.collect()
    assert seen() is None
