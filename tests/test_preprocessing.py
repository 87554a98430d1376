"""Rescaling and Normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, size=(50, 4, 5, 3)).astype("f")


def test_rescaling_of_pixels() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    y = layers.Rescaling(1 / 127.5, -1)(pixels)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), pixels / 127.5 - 1, atol=1e-6)
    colours = layers.Rescaling([1.0, 2.0, 3.0], [0, 0, 1])(X)
    np.testing.assert_allclose(colours.numpy(), X * [1, 2, 3] + [0, 0, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("axis", "others", "shape"),
    [(-1, (0, 1, 2), (3,)), ((1, 3), (0, 2), (4, 3)), (None, (0, 1, 2, 3), ())],
)
def test_adapting_takes_mean_and_variance_from_the_data(axis: Any, others: Any, shape: Any) -> None:
    layer = layers.Normalization(axis)
    layer.adapt(X)
    np.testing.assert_allclose(layer.mean.data, X.mean(axis=others), rtol=1e-5)
    np.testing.assert_allclose(layer.variance.data, X.var(axis=others), rtol=1e-4)
    assert layer.mean.shape == shape
    y = layer(X).numpy()
    np.testing.assert_allclose(y.mean(axis=others), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=others), 1, rtol=1e-4)
    assert layer.trainable_weights == []


def test_adapting_to_many_samples_is_exact() -> None:
    data = RNG.integers(0, 255, size=(3000, 2)).astype(np.uint8)
    layer = layers.Normalization(dtype="float64")
    layer.adapt(data)
    np.testing.assert_allclose(layer.variance.data, data.var(axis=0), rtol=1e-12)


class Dataset(gt.utils.PyDataset):
    """Batches that have a number, and no end that asking for one too many would show."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        start = 10 * index % 50
        return X[start : start + 10], ["a label"] * 10


class Endless(gt.utils.PyDataset):
    """Batches without end."""

    def __getitem__(self, index: int) -> Any:
        return X


class Frame:
    """What a data frame is to NumPy: an array, whose items are columns."""

    columns = ("width", "height")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(X, dtype)

    def __len__(self) -> int:
        return len(X)

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __getitem__(self, column: str) -> Any:
        return X[..., self.columns.index(column)]


@pytest.mark.parametrize(
    "batches",
    [
        lambda: [X[:7], X[7:]],
        lambda: iter([X[:1], X[1:30], X[30:]]),
        lambda: ((x, None) for x in (X[:25], X[25:])),
        lambda: gt.tensor(X),
        lambda: X.tolist(),
        lambda: Dataset(),
        lambda: Frame(),
    ],
)
def test_adapting_to_batches_is_adapting_to_all(batches: Any) -> None:
    one, other = layers.Normalization(dtype="float64"), layers.Normalization(dtype="float64")
    one.adapt(X)
    other.adapt(batches())
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_given_numbers_and_the_way_back() -> None:
    there = layers.Normalization(mean=[1, 2, 3], variance=[4, 9, 16])
    np.testing.assert_allclose(there(X).numpy(), (X - [1, 2, 3]) / [2, 3, 4], rtol=1e-5, atol=1e-6)
    back = layers.Normalization(mean=[1, 2, 3], variance=[4, 9, 16], invert=True)
    np.testing.assert_allclose(back(there(X)).numpy(), X, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="was given its mean and variance"):
        there.adapt(X)


def test_constant_features_stay_finite() -> None:
    layer = layers.Normalization()
    layer.adapt(np.ones((5, 2)))
    np.testing.assert_array_equal(layer(np.ones((1, 2))).numpy(), 0)


def test_what_was_adapted_is_saved(tmp_path: Any) -> None:
    layer = layers.Normalization()
    layer.adapt(X)
    model = gt.Sequential([gt.Input((4, 5, 3)), layer, layers.Flatten(), layers.Dense(1)])
    model.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(model(X).numpy(), again(X).numpy())
    np.testing.assert_allclose(again.layers[0].mean.data, X.mean(axis=(0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Rescaling([0.5, 1.0], 2.0, name="r"),
        layers.Normalization((1, 3)),
        layers.Normalization(None, 1.0, 2.0, invert=True),
    ],
)
def test_they_are_made_again_from_their_configuration(layer: Any) -> None:
    config = gt.saving.serialize(layer)
    assert gt.saving.serialize(gt.saving.deserialize(config)) == config


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="both mean and variance"):
        layers.Normalization(mean=1.0)
    with pytest.raises(ValueError, match="variance is not negative"):
        layers.Normalization(mean=1.0, variance=-1.0)
    with pytest.raises(ValueError, match="axis 0 is the batch"):
        layers.Normalization(0).adapt(X)
    with pytest.raises(ValueError, match="cannot adapt to no samples"):
        layers.Normalization().adapt(X[:0])
    with pytest.raises(ValueError, match="there is no batch"):
        layers.Normalization().adapt(iter([]))
    with pytest.raises(ValueError, match="without a length, which never ends"):
        layers.Normalization().adapt(Endless())
    with pytest.raises(ValueError, match=r"given a mean of shape \(2,\).*lengths \(3,\)"):
        layers.Normalization(mean=[1, 2], variance=[1, 2])(X)
    with pytest.raises(ValueError, match=r"value of shape \(2,\) does not fit.*\(5, 3\)"):
        layers.Embedding(5, 3, gt.initializers.Constant([1, 2]))(np.zeros(3, int))


GIVEN = [
    layers.Normalization(mean=np.arange(3), variance=np.arange(1, 4)),
    layers.Normalization((1, -1), mean=np.ones((4, 3)), variance=gt.tensor(2 * np.ones((4, 3)))),
    layers.Normalization(None, mean=np.float32(2), variance=np.array(3)),
    layers.Normalization(mean=np.ones((1, 1, 1, 3)), variance=np.ones((1, 1, 1, 3))),
    layers.Rescaling(np.array([1.0, 2.0, 3.0]), offset=gt.tensor([1.0, 2.0, 3.0])),
    layers.Rescaling(np.float32(2), offset=np.float64(1)),
    layers.PReLU(gt.initializers.Constant(np.float32(0.3)), shared_axes=np.array([1, 2])),
    layers.BatchNormalization(gamma_initializer=gt.initializers.Constant(np.arange(3))),
    layers.Conv2D(2, np.array([2, 2]), kernel_initializer=gt.initializers.Constant(np.ones(2))),
]


@pytest.mark.parametrize("layer", GIVEN, ids=lambda layer: layer.name)
def test_layers_that_were_given_arrays_are_saved(layer: Any, tmp_path: Any) -> None:
    model = gt.Sequential([gt.Input((4, 5, 3)), layer])
    model.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(model(X).numpy(), again(X).numpy())
    again.save(tmp_path / "m.npz")
    clone = gt.clone_model(again)
    np.testing.assert_array_equal(clone(X).numpy(), again(X).numpy())
