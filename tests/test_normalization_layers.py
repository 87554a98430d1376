"""Normalisation layers: formulas, moving statistics, the freeze rule, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, size=(6, 4, 5, 3))


def normalised(x: Any, axes: Any, epsilon: float = 1e-3) -> Any:
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def scaled(layer: Any, shape: Any) -> tuple[Any, Any]:
    """Build with random gamma and beta, and return them."""
    layer.build((None, *shape[1:]))
    gamma, beta = (RNG.normal(size=v.shape) for v in (layer.gamma, layer.beta))
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    return gamma, beta


# Batch


def test_training_uses_and_follows_the_statistics_of_the_batch() -> None:
    layer = layers.BatchNormalization(momentum=0.7, epsilon=0.01, dtype="float64")
    gamma, beta = scaled(layer, X.shape)
    y = layer(X, training=True).numpy()
    np.testing.assert_allclose(y, gamma * normalised(X, (0, 1, 2), 0.01) + beta, rtol=1e-10)
    mean, variance = X.mean(axis=(0, 1, 2)), X.var(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean.data, 0.3 * mean, rtol=1e-10)
    np.testing.assert_allclose(layer.moving_variance.data, 0.7 + 0.3 * variance, rtol=1e-10)
    layer(2 * X, training=True)
    np.testing.assert_allclose(layer.moving_mean.data, 0.7 * 0.3 * mean + 0.3 * 2 * mean)


@pytest.mark.parametrize("training", [None, False])
def test_inference_uses_the_moving_statistics_and_leaves_them(training: Any) -> None:
    layer = layers.BatchNormalization(dtype="float64")
    gamma, beta = scaled(layer, X.shape)
    mean, variance = RNG.normal(size=3), RNG.uniform(1, 2, size=3)
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    y = layer(X, training=training).numpy()
    expected = gamma * (X - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(y, expected, rtol=1e-10)
    np.testing.assert_array_equal(layer.moving_mean.data, mean)


def test_defaults_are_those_of_keras() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 4))
    assert (layer.momentum, layer.epsilon, layer.axis) == (0.99, 1e-3, -1)
    assert [v.name for v in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [v.name for v in layer.trainable_weights] == ["gamma", "beta"]
    assert [v.data[0] for v in layer.weights] == [1, 0, 0, 1]


def test_a_frozen_layer_is_in_inference_mode() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 4, 5, 3))
    layer.trainable = False
    y = layer(X, training=True).numpy()
    np.testing.assert_allclose(y, X / np.sqrt(1 + 1e-3), rtol=1e-5)
    assert not layer.moving_mean.data.any()
    layer.trainable = True
    layer(X, training=True)
    assert layer.moving_mean.data.all()


def test_a_frozen_model_freezes_the_layers_in_it() -> None:
    inner = gt.Sequential([gt.Input((4,)), layers.BatchNormalization()])
    inner.trainable = False
    model = gt.Sequential([inner, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.full((8, 4), 5.0), np.zeros((8, 1)), verbose=0)
    assert not inner.layers[0].moving_mean.data.any()


@pytest.mark.parametrize(("axis", "others"), [(1, (0, 2, 3)), (-2, (0, 1, 3)), ([2], (0, 1, 3))])
def test_any_axis_may_hold_the_channels(axis: Any, others: Any) -> None:
    layer = layers.BatchNormalization(axis, scale=False, center=False, dtype="float64")
    np.testing.assert_allclose(layer(X, training=True).numpy(), normalised(X, others), rtol=1e-10)
    assert len(layer.weights) == 2


@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_any_rank(rank: int) -> None:
    x = RNG.normal(size=(*(7, 2, 3, 2)[: rank - 1], 4))
    layer = layers.BatchNormalization(dtype="float64")
    expected = normalised(x, tuple(range(rank - 1)))
    np.testing.assert_allclose(layer(x, training=True).numpy(), expected, rtol=1e-10)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *x.shape[1:])


def test_gradients_flow_through_the_statistics_while_training() -> None:
    layer = layers.BatchNormalization(dtype="float64")
    x = gt.tensor(RNG.normal(size=(5, 2)), requires_grad=True)
    cotangent = RNG.normal(size=(5, 2))
    layer(x, training=True).backward(cotangent)
    for index in np.ndindex(5, 2):
        moved = [x.numpy().copy() for _ in range(2)]
        moved[0][index] += 1e-6
        moved[1][index] -= 1e-6
        up, down = ((layer(m, training=True).numpy() * cotangent).sum() for m in moved)
        numerical = (up - down) / 2e-6
        assert x.grad.numpy()[index] == pytest.approx(numerical, rel=1e-5, abs=1e-7)
    np.testing.assert_allclose(layer.beta.grad.numpy(), cotangent.sum(axis=0))


def test_a_backward_pass_is_not_disturbed_by_a_later_update() -> None:
    layer = layers.BatchNormalization()
    x = gt.tensor(RNG.normal(size=(4, 3)).astype("f"), requires_grad=True)
    judged = layer(x, training=False)
    layer(x, training=True)
    judged.backward(np.ones((4, 3), "f"))
    np.testing.assert_allclose(x.grad.numpy(), 1 / np.sqrt(1 + 1e-3), rtol=1e-5)


def test_moving_statistics_are_saved_with_the_weights(tmp_path: Any) -> None:
    model = gt.Sequential([gt.Input((3,)), layers.BatchNormalization()])
    model(X[0, 0], training=True)
    model.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(model(X[0, 0]).numpy(), again(X[0, 0]).numpy())


def test_an_empty_batch_changes_nothing() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    assert layer(np.ones((0, 3)), training=True).shape == (0, 3)
    assert (layer.moving_variance.data == 1).all()


# Layer and group


@pytest.mark.parametrize(("axis", "shape"), [(-1, (3,)), ((1, 2, 3), (4, 5, 3)), ([2, 3], (5, 3))])
def test_layer_normalization_is_by_sample(axis: Any, shape: Any) -> None:
    layer = layers.LayerNormalization(axis, dtype="float64")
    gamma, beta = scaled(layer, X.shape)
    assert gamma.shape == shape
    axes = axis if isinstance(axis, int) else tuple(axis)
    np.testing.assert_allclose(layer(X).numpy(), gamma * normalised(X, axes) + beta, rtol=1e-10)


@pytest.mark.parametrize("groups", [1, 2, 4, -1])
def test_group_normalization_is_by_sample_and_group(groups: int) -> None:
    x = RNG.normal(size=(3, 5, 4))
    layer = layers.GroupNormalization(groups, dtype="float64")
    gamma, beta = scaled(layer, x.shape)
    grouped = x.reshape(3, 5, 4 if groups == -1 else groups, -1)
    expected = gamma * normalised(grouped, (1, 3)).reshape(x.shape) + beta
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-10)


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match=r"groups must divide the channels.*groups=3 and 4"):
        layers.GroupNormalization(3).build((None, 4))


# Local response


def test_local_response_is_the_formula_of_the_paper() -> None:
    x = RNG.normal(size=(2, 3, 7))
    layer = layers.LocalResponseNormalization(n=3, k=1.5, alpha=0.1, beta=0.6, dtype="float64")
    expected = np.empty_like(x)
    for i in range(7):
        near = x[..., max(0, i - 1) : i + 2]
        expected[..., i] = x[..., i] / (1.5 + 0.1 * (near**2).sum(axis=-1)) ** 0.6
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12)
    default = layers.LocalResponseNormalization()
    assert (default.n, default.k, default.alpha, default.beta) == (5, 2.0, 1e-4, 0.75)
    with pytest.raises(ValueError, match="n must be a positive integer"):
        layers.LocalResponseNormalization(0)


# Errors and configurations


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"momentum": 1.5}, "momentum must be a number from 0 to 1"),
        ({"epsilon": 0}, "epsilon must be a positive number"),
        ({"axis": 0}, "axis is that of the channels"),
        ({"axis": [1, 2]}, "axis is that of the channels"),
    ],
)
def test_settings_out_of_range(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layers.BatchNormalization(**settings)


def test_other_channels_and_ranks_are_refused() -> None:
    layer = layers.BatchNormalization(name="bn")
    layer.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=r"BatchNormalization 'bn' expected 3.*axis -1"):
        layer(np.ones((2, 8, 8, 4)))
    with pytest.raises(ValueError, match="rank 4"):
        layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match="axis 3, which an input"):
        layers.BatchNormalization(3).build((None, 4))
    with pytest.raises(ValueError, match="needs to know the length of axis -1"):
        layers.BatchNormalization().build((None, None))


@pytest.mark.parametrize(
    "layer",
    [
        layers.BatchNormalization(1, 0.5, 0.1, False, True, gamma_regularizer="l2", name="b"),
        layers.LayerNormalization([1, 2], scale=False),
        layers.GroupNormalization(4, 1, 0.1, beta_initializer="ones"),
        layers.LocalResponseNormalization(3, 1.0, 0.2, 0.5),
    ],
    ids=lambda v: type(v).__name__,
)
def test_they_are_made_again_from_their_configuration(layer: Any) -> None:
    config = gt.saving.serialize(layer)
    assert gt.saving.serialize(gt.saving.deserialize(config)) == config
