"""Layers of Keras's vocabulary beyond the first: what they promise, refuse, save and cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 4)).astype("d")
PHOTOS = RNG.random((5, 6, 8, 3)).astype("f")


@gt.saving.register_keras_serializable("tests")
def halved(x: Any) -> Any:
    return x / 2


#: Layers and the shape of a sample, or of several.
EVERY: list[tuple[Any, Any]] = [
    (lambda **s: layers.AdaptiveAveragePooling1D(2, **s), (6, 4)),
    (lambda **s: layers.AdaptiveMaxPooling1D(4, **s), (6, 4)),
    (lambda **s: layers.RMSNormalization(**s), (6, 4)),
    (lambda **s: layers.UnitNormalization(**s), (6, 4)),
    (lambda **s: layers.Dot(1, normalize=True, **s), [(6, 4), (6, 2)]),
    (lambda **s: layers.Dot((2, 1), **s), [(6, 4), (4, 3)]),
    (lambda **s: layers.GaussianDropout(0.3, **s), (6, 4)),
    (lambda **s: layers.AlphaDropout(0.3, **s), (6, 4)),
    (lambda **s: layers.Resizing(4, 5, antialias=True, **s), (6, 7, 2)),
    (lambda **s: layers.Resizing(4, 9, "bicubic", pad_to_aspect_ratio=True, **s), (6, 7, 2)),
    (lambda **s: layers.CenterCrop(4, 5, **s), (6, 7, 2)),
    (lambda **s: layers.BatchNormalization(**s), (6, 4)),
    (lambda **s: layers.Softmax((1, 2), **s), (6, 4)),
    (lambda **s: layers.Lambda(halved, **s), (6, 4)),
]
NAMES = [f"{type(make()).__name__}{i}" for i, (make, _) in enumerate(EVERY)]


def drawn(shape: Any) -> Any:
    return [drawn(s) for s in shape] if isinstance(shape, list) else RNG.normal(size=(2, *shape))


@pytest.mark.parametrize(("make", "shape"), EVERY, ids=NAMES)
def test_gradients(make: Any, shape: Any) -> None:
    layer, x = make(dtype="float64"), drawn(shape)
    layer(x)
    if not isinstance(x, list):
        assert gt.gradcheck(layer, x) < 1e-5
        return
    for i, array in enumerate(x):
        assert gt.gradcheck(lambda t, i=i: layer([*x[:i], t, *x[i + 1 :]]), array) < 1e-5


@pytest.mark.parametrize(("make", "shape"), EVERY, ids=NAMES)
def test_shapes_are_known_before_and_for_any_batch(make: Any, shape: Any) -> None:
    layer, x = make(), drawn(shape)
    y = layer(x)
    shapes = [(None, *s) for s in shape] if isinstance(shape, list) else (None, *shape)
    assert layer.compute_output_shape(shapes) == (None, *y.shape[1:])
    inputs = [gt.Input(s) for s in shape] if isinstance(shape, list) else gt.Input(shape)
    model = gt.Model(inputs, make()(inputs))
    assert gt.analysis(model)[-1].output_shape == (None, *y.shape[1:])


@pytest.mark.parametrize(("make", "shape"), EVERY, ids=NAMES)
def test_they_are_made_again_from_their_configuration(make: Any, shape: Any) -> None:
    layer, x = make(name="a"), drawn(shape)
    config = layers.serialize(layer)
    again = layers.deserialize(config)
    assert layers.serialize(again) == config
    np.testing.assert_array_equal(again(x).numpy(), layer(x).numpy())


# Embedding


def test_embedding_looks_up_and_adds_up_gradients() -> None:
    table = RNG.normal(size=(4, 2)).astype("f")
    layer = layers.Embedding(4, 2, weights=table)
    y = layer(np.array([[0, 3], [3, 1]]))
    np.testing.assert_array_equal(y.numpy(), table[[[0, 3], [3, 1]]])
    y.backward(np.ones(y.shape, "f"))
    np.testing.assert_array_equal(layer.embeddings.grad.numpy(), [[1, 1], [1, 1], [0, 0], [2, 2]])
    assert layer(np.array([1.0, 2.0])).shape == (2, 2)
    assert layer.compute_output_shape((None, 7)) == (None, 7, 2)
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()


def test_embedding_refuses_ids_that_it_has_not() -> None:
    layer = layers.Embedding(4, 2, name="words")
    for bad in (4, -1):
        with pytest.raises(ValueError, match=rf"'words' has .* the ids 0 to 3, received {bad}"):
            layer(np.array([[0, bad]]))
    with pytest.raises(ValueError, match=r"mask_zero=True is not supported.*sample weights"):
        layers.Embedding(4, 2, mask_zero=True)
    with pytest.raises(ValueError, match="input_dim must be a positive integer"):
        layers.Embedding(0, 2)


def test_embedding_learns_in_a_model() -> None:
    gt.utils.set_random_seed(0)
    ids = np.random.default_rng(0).integers(0, 5, (64, 3))
    y = (ids == 2).any(axis=1).astype("f")
    model = gt.Sequential(
        [gt.Input((3,), dtype="int64"), layers.Embedding(5, 4), layers.GlobalMaxPooling1D(),
         layers.Dense(1, activation="sigmoid")]
    )  # fmt: skip
    model.compile(gt.optimizers.Adam(0.05), "binary_crossentropy")
    losses = model.fit(ids, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]


# Dot, normalisation, noise


def test_dot_refuses_what_does_not_fit() -> None:
    a, b = gt.Input((6, 4)), gt.Input((5, 4))
    assert layers.dot([a, b], axes=2).shape == (None, 6, 5)
    with pytest.raises(ValueError, match=r"Dot 'd' sums along axes of one length.*6 and 5"):
        layers.Dot(1, name="d")([a, b])
    with pytest.raises(ValueError, match="which is its batch"):
        layers.Dot(0)([a, b])
    with pytest.raises(ValueError, match="takes two inputs, received 3"):
        layers.Dot(2)([a, b, b])
    with pytest.raises(ValueError, match="axes must be an integer or 2 integers"):
        layers.Dot((1, 2, 3))


def test_unit_and_root_mean_square_are_one() -> None:
    y = layers.UnitNormalization(axis=(1, 2))(X).numpy()
    np.testing.assert_allclose(np.square(y).sum(axis=(1, 2)), 1, rtol=1e-5)
    y = layers.RMSNormalization()(X).numpy()
    np.testing.assert_allclose(np.square(y).mean(axis=-1), 1, rtol=1e-4)
    zeros = gt.tensor(np.zeros((2, 3)), requires_grad=True)
    out = layers.UnitNormalization(dtype="float64")(zeros)
    out.backward(np.ones((2, 3)))
    assert not out.numpy().any() and np.isfinite(zeros.grad.numpy()).all()
    with pytest.raises(ValueError, match="which an input"):
        layers.UnitNormalization(axis=5)(X)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = RNG.normal(size=(400, 500)).astype("f")
    y = layers.AlphaDropout(0.3, seed=1)(x, training=True).numpy()
    assert abs(y.mean()) < 0.01 and y.std() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(layers.AlphaDropout(0.3)(x).numpy(), x)
    with pytest.raises(ValueError, match="no bounds"):
        layers.GaussianDropout(1)


def test_batch_normalization_by_a_mask_leaves_the_rest_out() -> None:
    layer, whole = (layers.BatchNormalization(dtype="float64") for _ in range(2))
    mask = RNG.random((3, 6)) < 0.5
    y = layer(X, training=True, mask=mask).numpy()
    np.testing.assert_allclose(y[mask], whole(X[mask], training=True).numpy(), atol=1e-6)
    np.testing.assert_allclose(layer.moving_mean.data, whole.moving_mean.data, atol=1e-6)
    with pytest.raises(ValueError, match="takes a mask of the input's shape without the channels"):
        layer(X, training=True, mask=mask[:, :3])


# Images


def test_resizing_keeps_integers_and_aspect_ratios() -> None:
    pixels = (PHOTOS * 255).astype("u1")
    out = layers.Resizing(3, 4)(pixels)
    assert out.dtype == np.uint8
    exact = layers.Resizing(3, 4)(pixels.astype("f")).numpy()
    np.testing.assert_array_equal(out.numpy(), np.rint(exact))
    padded = layers.Resizing(8, 8, "nearest", pad_to_aspect_ratio=True, fill_value=-1)(PHOTOS)
    assert (padded.numpy()[:, [0, -1]] == -1).all() and (padded.numpy()[:, 1:7] >= 0).all()
    cropped = layers.Resizing(6, 6, crop_to_aspect_ratio=True)(PHOTOS)
    np.testing.assert_array_equal(cropped.numpy(), PHOTOS[:, :, 1:7])
    for settings in ({"interpolation": "area"}, {"fill_mode": "wrap"}):
        with pytest.raises(ValueError, match="must be one of"):
            layers.Resizing(3, 4, **settings)
    with pytest.raises(ValueError, match="not both"):
        layers.Resizing(3, 4, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)


def test_mixing_mixes_labels_as_images() -> None:
    labels = np.eye(5, dtype="f")
    for layer in (layers.MixUp(1.0, seed=1), layers.CutMix((1, 1), seed=1)):
        flat = np.broadcast_to(np.arange(5.0, dtype="f")[:, None, None, None], (5, 40, 40, 1))
        out = layer({"images": flat, "labels": labels}, training=True)
        mean = out["images"].numpy().mean(axis=(1, 2, 3))  # an image is its number
        np.testing.assert_allclose(out["labels"].numpy() @ np.arange(5.0), mean, atol=0.25)
        np.testing.assert_allclose(out["labels"].numpy().sum(axis=1), 1, rtol=1e-5)
        assert (out["labels"].numpy() != labels).any()
        with pytest.raises(ValueError, match=r"labels of shape \(N, classes\).*to_categorical"):
            layer({"images": flat, "labels": np.arange(5)}, training=True)
        assert layer({"images": flat}, training=False)["images"].shape == flat.shape


COLOURS: list[Any] = [
    lambda **s: layers.RandomBrightness(0.4, (0, 1), **s),
    lambda **s: layers.RandomContrast(0.9, (0, 1), **s),
    lambda **s: layers.RandomColorDegeneration((0.5, 1.0), (0, 1), **s),
    lambda **s: layers.RandomSharpness((0.0, 0.4), (0, 1), **s),
    lambda **s: layers.RandomSaturation((0.6, 0.8), (0, 1), **s),
    lambda **s: layers.RandomHue((0.2, 0.5), (0, 1), **s),
    lambda **s: layers.RandomInvert((1, 1), (0, 1), **s),
    lambda **s: layers.RandomGrayscale(1.0, **s),
    lambda **s: layers.RandomColorJitter((0, 1), 0.2, 0.2, (0.4, 0.6), 0.1, **s),
    lambda **s: layers.MixUp(1.0, **s),
    lambda **s: layers.CutMix((1, 1), **s),
    lambda **s: layers.RandomShear(0.3, 0.2, **s),
]


@pytest.mark.parametrize("make", COLOURS)
def test_images_change_within_their_range_by_seed_and_survive_saving(make: Any) -> None:
    out = make(seed=1)(PHOTOS, training=True).numpy()
    assert out.shape == PHOTOS.shape and (out != PHOTOS).any()
    assert out.min() >= -1e-6 and out.max() <= 1 + 1e-6
    np.testing.assert_array_equal(make(seed=1)(PHOTOS, training=True).numpy(), out)
    np.testing.assert_array_equal(make()(PHOTOS, training=False).numpy(), PHOTOS)
    first = make(seed=1, data_format="channels_first")(PHOTOS.transpose(0, 3, 1, 2), training=True)
    np.testing.assert_allclose(first.numpy().transpose(0, 2, 3, 1), out, atol=1e-6)
    config = layers.serialize(make(seed=3, name="a"))
    assert layers.serialize(layers.deserialize(config)) == config


@pytest.mark.parametrize("make", COLOURS)
def test_gradients_go_back_through_colours(make: Any) -> None:
    def changed(x: Any) -> Any:
        return make(seed=2, dtype="float64")(x, training=True)

    inside = 0.3 + 0.4 * PHOTOS[:2, :2, :3].astype("d")  # away from the ends of the range
    assert gt.gradcheck(changed, inside, order=1, step=1e-5) < 1e-6


def test_colours_need_three_channels() -> None:
    with pytest.raises(ValueError, match=r"Colours are three channels.*\(5, 6, 8, 2\)"):
        layers.RandomGrayscale(1.0)(PHOTOS[..., :2], training=True)
    with pytest.raises(ValueError, match="value_range is"):
        layers.RandomBrightness(0.1, (1, 0))
    with pytest.raises(ValueError, match=r"factor is a number.*\[0.0, 1\]"):
        layers.RandomContrast(1.5)
    with pytest.raises(ValueError, match="alpha must be a positive number"):
        layers.MixUp(0)


# Lambda, Input, InputSpec, weights


def test_lambda_is_told_about_training_and_its_shape() -> None:
    def double(x: Any, training: bool = False) -> Any:
        return 2 * x if training else x

    layer = layers.Lambda(double)
    np.testing.assert_allclose(layer(X, training=True).numpy(), 2 * X, rtol=1e-6)
    np.testing.assert_allclose(layer(X).numpy(), X, rtol=1e-6)
    open_shape = layers.Lambda(lambda x: x[:, :2], output_shape=lambda shape: (shape[0], 2, 4))
    assert open_shape.compute_output_shape((None, 6, 4)) == (None, 2, 4)
    assert layers.Lambda(lambda x: x, output_shape=(2,)).compute_output_shape((9, 6)) == (9, 2)
    with pytest.raises(ValueError, match="mask is not supported"):
        layers.Lambda(double, mask=double)


def test_inputs_are_dense() -> None:
    with pytest.raises(ValueError, match="sparse inputs are not supported"):
        gt.Input((3,), sparse=True)
    assert gt.Input((3,), None, "float64", None, False).dtype == "float64"


def test_an_input_spec_says_what_a_layer_takes() -> None:
    class Narrow(layers.Layer):
        def __init__(self, **settings: Any) -> None:
            super().__init__(name="n")
            self.input_spec = layers.InputSpec(**settings)

        def call(self, x: Any) -> Any:
            return x

    Narrow(shape=(None, 6, 4))(X)
    with pytest.raises(ValueError, match=r"Narrow 'n' expected 5 .*\(axis 2\)"):
        Narrow(shape=(None, 6, 5))(X)
    with pytest.raises(ValueError, match="rank 2 or less"):
        Narrow(max_ndim=2)(X)
    with pytest.raises(ValueError, match="an input with an axis 3"):
        Narrow(axes={3: 2})(X)


def test_weights_are_made_as_in_keras() -> None:
    class Scale(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(
                shape=(input_shape[-1],), initializer="ones", dtype="float32", trainable=True,
                autocast=True, regularizer="l2", constraint="non_neg", aggregation="none",
                overwrite_with_gradient=False, name="scale",
            )  # fmt: skip
            self.count = self.add_weight(name="count", initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            return x * self.scale

    layer = Scale()
    layer(X)
    assert layer.count.shape == () and not layer.count.trainable
    assert float(layer.losses[0].numpy()) == pytest.approx(0.01 * 4)
    assert layer.scale.constraint is not None
    with pytest.raises(ValueError, match="aggregation='none'"):
        layer.add_weight(aggregation="mean")
