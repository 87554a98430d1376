"""What the other layers compute, and that every layer can be made again."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-5}, "float64": {"rtol": 1e-12, "atol": 1e-12}}


# Dense


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (0, 5)])
def test_dense_is_a_matrix_product_over_the_last_axis(shape, dtype):
    layer = layers.Dense(3, activation="tanh", bias_initializer="random_normal", dtype=dtype)
    x = RNG.normal(size=shape)
    y = layer(x)
    kernel, bias = layer.get_weights()
    assert (kernel.shape, bias.shape, y.dtype) == ((5, 3), (3,), dtype)
    np.testing.assert_allclose(y.numpy(), np.tanh(x @ kernel + bias), **TOLERANCE[dtype])
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *y.shape[1:])


def test_dense_starts_as_in_keras():
    layer = layers.Dense(300)
    layer.build((None, 200))
    assert np.abs(layer.kernel.data).max() == pytest.approx(np.sqrt(6 / 500), rel=1e-3)
    assert not layer.bias.data.any()
    assert layer.count_params() == 200 * 300 + 300


def test_dense_without_bias():
    layer = layers.Dense(3, use_bias=False)
    x = RNG.normal(size=(2, 4))
    np.testing.assert_allclose(layer(x).numpy(), x @ layer.get_weights()[0], rtol=1e-5, atol=1e-6)
    assert [v.name for v in layer.weights] == ["kernel"]


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", True, None])
def test_units_are_a_positive_integer(units):
    with pytest.raises(ValueError, match="units must be a positive integer"):
        layers.Dense(units)


def test_dense_refuses_other_features_and_vectors():
    layer = layers.Dense(3, name="answer")
    layer.build((None, 784))
    with pytest.raises(ValueError, match=r"Dense 'answer' expected 784 input features \(axis -1\)"):
        layer(np.zeros((2, 100)))
    with pytest.raises(ValueError, match=r"rank 2 or more, received \(784,\).*x\[np.newaxis\]"):
        layer(np.zeros(784))
    with pytest.raises(ValueError, match=r"needs to know the length of axis -1 \(features\)"):
        layers.Dense(3).build((None, None))


# Reshaping


def test_flatten_keeps_row_major_order():
    x = RNG.normal(size=(2, 3, 4, 5)).astype("float32")
    assert np.array_equal(layers.Flatten()(x).numpy(), x.reshape(2, 60))
    assert layers.Flatten()(x[:, 0, 0, 0]).shape == (2, 1)
    assert layers.Flatten()(x[:0]).shape == (0, 60)
    assert layers.Flatten().compute_output_shape((None, 3, 4, 5)) == (None, 60)
    assert layers.Flatten().compute_output_shape((None, None, 4)) == (None, None)


def test_flatten_gives_one_order_for_both_data_formats():
    x = RNG.normal(size=(2, 3, 4, 5)).astype("float32")
    flat = layers.Flatten(data_format="channels_first")(np.moveaxis(x, -1, 1))
    assert np.array_equal(flat.numpy(), x.reshape(2, 60))


def test_flatten_leaves_integers_alone():
    assert layers.Flatten()(np.ones((2, 3, 3), np.uint8)).dtype == np.uint8


@pytest.mark.parametrize(
    ("target", "shape"),
    [((4, 3), (4, 3)), ((-1,), (12,)), ((2, -1, 3), (2, 2, 3)), ((12, 1), (12, 1))],
)
def test_reshape(target, shape):
    x = RNG.normal(size=(2, 3, 4)).astype("float32")
    layer = layers.Reshape(target)
    assert np.array_equal(layer(x).numpy(), x.reshape(2, *shape))
    assert layer(x[:0]).shape == (0, *shape)
    assert layer.compute_output_shape((None, 3, 4)) == (None, *shape)


def test_reshape_of_an_open_axis_is_open():
    assert layers.Reshape((-1, 4)).compute_output_shape((None, None, 2)) == (None, None, 4)


def test_reshape_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"Reshape 'r' cannot arrange the 12 elements"):
        layers.Reshape((5, -1), name="r")(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"Reshape 'r' cannot arrange"):
        layers.Reshape((5, 2), name="r").compute_output_shape((None, 3, 4))
    with pytest.raises(ValueError, match="one of which may be -1"):
        layers.Reshape((-1, -1))


# Dropout


def test_dropout_zeroes_a_share_and_scales_up_the_rest():
    layer = layers.Dropout(0.3, seed=1)
    y = layer(np.ones((200, 500)), training=True).numpy()
    dropped = y == 0
    assert dropped.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(y[~dropped], 1 / 0.7, rtol=1e-6)
    assert y.mean() == pytest.approx(1, abs=0.01)


def test_dropout_does_nothing_outside_training():
    x = RNG.normal(size=(3, 4)).astype("float32")
    layer = layers.Dropout(0.9)
    for training in (False, None):
        assert np.array_equal(layer(x, training=training).numpy(), x)
    assert np.array_equal(layers.Dropout(0)(x, training=True).numpy(), x)
    assert not layers.Dropout(1.0)(x, training=True).numpy().any()


def test_dropout_draws_anew_each_call_and_repeats_by_seed():
    x = np.ones((20, 20))

    def masks(layer):
        return [layer(x, training=True).numpy() for _ in range(3)]

    def of_global_seed():
        gt.random.set_seed(4)
        return [*masks(layers.Dropout(0.5)), *masks(layers.Dropout(0.5))]

    seeded, again = masks(layers.Dropout(0.5, seed=9)), masks(layers.Dropout(0.5, seed=9))
    drawn, repeated = of_global_seed(), of_global_seed()
    assert np.array_equal(seeded, again)
    assert np.array_equal(drawn, repeated)
    assert len({m.tobytes() for m in [*seeded, *drawn]}) == 9


def test_dropout_does_not_count_calls_outside_training():
    one, other = layers.Dropout(0.5, seed=2), layers.Dropout(0.5, seed=2)
    other(np.ones(5), training=False)
    x = np.ones((9, 9))
    assert np.array_equal(one(x, training=True).numpy(), other(x, training=True).numpy())


def test_dropout_passes_gradients_where_it_passed_values():
    x = gt.tensor(np.ones((10, 10)), requires_grad=True)
    y = layers.Dropout(0.4, dtype="float64")(x, training=True)
    cotangent = RNG.normal(size=(10, 10))
    y.backward(cotangent)
    np.testing.assert_allclose(x.grad.numpy(), y.numpy() * cotangent)


def test_dropout_can_share_its_mask_along_axes():
    layer = layers.Dropout(0.5, noise_shape=(None, 1, None), seed=3)
    y = layer(np.ones((4, 5, 30)), training=True).numpy()
    assert np.array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert len(np.unique(y[:, 0])) == 2


@pytest.mark.parametrize("rate", [-0.1, 1.1, "0.5", None, True])
def test_the_rate_of_dropout_is_a_share(rate):
    with pytest.raises(ValueError, match="Dropout: rate must be a number from 0 to 1"):
        layers.Dropout(rate)


# All of them

EVERY = [
    layers.Dense(3, "relu", False, "he_normal", name="d", trainable=False, dtype="float64"),
    layers.Activation("tanh"),
    layers.Conv1D(2, 3, 2, "causal"),
    layers.Conv2D(4, (3, 2), 2, ((1, 0), (2, 2)), "channels_first", groups=2),
    layers.Conv3D(4, 3, dilation_rate=2, activation="relu", use_bias=False),
    layers.MaxPooling1D(3),
    layers.MaxPooling2D((3, 2), 2, "same", "channels_first"),
    layers.AveragePooling3D(2, name="a"),
    layers.GlobalAveragePooling2D(keepdims=True),
    layers.GlobalMaxPooling1D("channels_first"),
    layers.Flatten("channels_first"),
    layers.Reshape((-1, 2)),
    layers.Dropout(0.2, (None, 1), seed=3),
    layers.InputLayer((None, 3), 5, "uint8"),
]


@pytest.mark.parametrize("layer", EVERY, ids=lambda v: type(v).__name__)
def test_a_layer_is_made_again_from_its_configuration(layer):
    config = gt.saving.serialize(layer)
    again = gt.saving.deserialize(config)
    assert type(again) is type(layer)
    assert again is not layer
    assert gt.saving.serialize(again) == config
    assert config["class_name"] == f"layers>{type(layer).__name__}"
    assert config["config"]["name"] == layer.name


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(2, dtype="float64"), (3, 4)),
        (layers.Conv2D(2, 2, activation="tanh", dtype="float64"), (2, 4, 3, 2)),
        (layers.AveragePooling2D(2, dtype="float64"), (2, 4, 4, 2)),
        (layers.GlobalAveragePooling2D(dtype="float64"), (2, 4, 4, 2)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_gradients_of_input_and_weights_are_the_numerical_ones(layer, shape):
    x = RNG.normal(size=shape)
    cotangent = RNG.normal(size=layer(x).shape)

    def loss():
        return float((layer(x).numpy() * cotangent).sum())

    given = gt.tensor(x, requires_grad=True)
    layer(given).backward(cotangent)
    gradients = [(x, given.grad)] + [(v.data, v.grad) for v in layer.weights]
    for values, gradient in gradients:
        for index in list(np.ndindex(values.shape))[::3]:
            kept, step = values[index], 1e-6
            values[index] = kept + step
            above = loss()
            values[index] = kept - step
            below = loss()
            values[index] = kept
            numerical = (above - below) / (2 * step)
            assert gradient.numpy()[index] == pytest.approx(numerical, rel=1e-6, abs=1e-8)
