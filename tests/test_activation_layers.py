"""Activation layers, Identity and Lambda, spatial dropout and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
X = np.array([[-2.0, -0.5, 0.0, 0.3], [0.5, 1.0, 2.0, 7.0]], "f")


@pytest.mark.parametrize(
    ("layer", "formula"),
    [
        (layers.ReLU(), lambda x: np.maximum(x, 0)),
        (layers.ReLU(6.0), lambda x: np.clip(x, 0, 6)),
        (layers.ReLU(None, 0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
        (layers.ReLU(threshold=0.4), lambda x: np.where(x > 0.4, x, 0)),
        (layers.ReLU(1.5, 0.2, 0.4), lambda x: np.where(x > 0.4, x.clip(max=1.5), 0.2 * (x - 0.4))),
        (layers.LeakyReLU(), lambda x: np.where(x > 0, x, 0.3 * x)),
        (layers.ELU(), lambda x: np.where(x > 0, x, np.expm1(x))),
        (layers.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        (layers.Softmax(), lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        (layers.Softmax(0), lambda x: np.exp(x) / np.exp(x).sum(0, keepdims=True)),
        (layers.Identity(), lambda x: x),
    ],
)
def test_formulas(layer: Any, formula: Any) -> None:
    np.testing.assert_allclose(layer(X).numpy(), formula(X), rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, 4)) == (None, 4)
    config = gt.saving.serialize(layer)
    assert gt.saving.serialize(gt.saving.deserialize(config)) == config


def test_prelu_learns_its_slopes() -> None:
    layer = layers.PReLU("ones", dtype="float64")
    layer.build((None, 2, 3))
    slopes = RNG.uniform(0.1, 0.9, size=(2, 3))
    layer.alpha.assign(slopes)
    x, cotangent = RNG.normal(size=(2, 4, 2, 3))
    np.testing.assert_allclose(layer(x).numpy(), np.where(x > 0, x, slopes * x), rtol=1e-12)
    layer(x).backward(cotangent)
    expected = (np.minimum(x, 0) * cotangent).sum(axis=0)
    np.testing.assert_allclose(layer.alpha.grad.numpy(), expected, rtol=1e-10)
    shared = layers.PReLU(shared_axes=[1, 2], alpha_regularizer="l2")
    shared.build((None, 5, 6, 3))
    assert shared.alpha.shape == (1, 1, 3)
    again = layers.PReLU.from_config(shared.get_config())
    assert again.get_config() == shared.get_config()
    assert layers.PReLU("Zeros").get_config()["alpha_initializer"]  # as Keras spells it
    with pytest.raises(ValueError, match="needs to know the length of axis 1"):
        layers.PReLU().build((None, None, 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.ReLU(-1.0),
        lambda: layers.ReLU(negative_slope=-0.1),
        lambda: layers.ReLU(threshold="a"),
        lambda: layers.LeakyReLU(-0.1),
        lambda: layers.ELU(None),
        lambda: layers.GaussianNoise(-1),
        lambda: layers.SpatialDropout2D(1.5),
        lambda: layers.SpatialDropout2D(0.5, "last"),
    ],
)
def test_settings_out_of_range(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must not be|must be"):
        make()


def test_identity_passes_structures() -> None:
    one, two = layers.Identity()([X, X[:, :1]])
    assert one.shape == (2, 4) and two.shape == (2, 1)


@gt.saving.register_keras_serializable("tests")
def doubled(x: Any, times: float = 2.0) -> Any:
    return x * times


def test_lambda_is_saved_by_the_name_of_its_function() -> None:
    layer = layers.Lambda(doubled, arguments={"times": 3.0})
    np.testing.assert_allclose(layer(X).numpy(), 3 * X)
    config = gt.saving.serialize(layer)
    again = gt.saving.deserialize(config)
    assert again.function is doubled and gt.saving.serialize(again) == config
    assert layers.Lambda(lambda x: x[:, :2])(gt.Input((4,))).shape == (None, 2)
    assert layers.Lambda(lambda x: x, (7,)).compute_output_shape((None, 4)) == (None, 7)


def test_lambda_of_code_cannot_be_saved_and_of_no_function_not_made() -> None:
    with pytest.raises(TypeError, match="A lambda cannot be saved"):
        gt.saving.serialize(layers.Lambda(lambda x: x))
    with pytest.raises(TypeError, match="takes a function, received 3"):
        layers.Lambda(3)
    with pytest.raises(ValueError, match=r"Unknown function 'os\.system'"):
        layers.Lambda("os.system")


# Noise


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.SpatialDropout1D(0.4, 1), (200, 5, 10), (1,)),
        (layers.SpatialDropout2D(0.4, seed=1), (200, 4, 5, 10), (1, 2)),
        (layers.SpatialDropout3D(0.4, seed=1), (200, 2, 2, 3, 10), (1, 2, 3)),
        (layers.SpatialDropout2D(0.4, "channels_first", 1), (200, 10, 4, 5), (2, 3)),
    ],
)
def test_spatial_dropout_drops_whole_channels(layer: Any, shape: Any, axes: Any) -> None:
    x = np.ones(shape, "f")
    y = layer(x, training=True).numpy()
    np.testing.assert_array_equal(y.max(axis=axes), y.min(axis=axes))
    assert set(np.unique(y)) == {0, np.float32(1 / 0.6)}
    assert (y == 0).mean() == pytest.approx(0.4, abs=5 * np.sqrt(0.24 / 2000))
    np.testing.assert_array_equal(layer(x).numpy(), x)
    config = gt.saving.serialize(layer)
    assert gt.saving.serialize(gt.saving.deserialize(config)) == config
    with pytest.raises(ValueError, match="rank"):
        layer(np.ones((2, 3)))


def test_noise_is_normal_and_only_while_training() -> None:
    layer, x = layers.GaussianNoise(0.5, seed=1), np.full((100, 100), 3.0, "f")
    noise = layer(x, training=True).numpy() - x
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    assert (noise != layer(x, training=True).numpy() - x).any()
    np.testing.assert_array_equal(layer(x).numpy(), x)
    again = layers.GaussianNoise.from_config(layer.get_config())
    np.testing.assert_array_equal(again(x, training=True).numpy() - x, noise)
    given = gt.tensor(x, requires_grad=True)
    layer(given, training=True).backward(x)
    np.testing.assert_array_equal(given.grad.numpy(), x)
