"""LeNet: the lecture's table, and the numbers of a net written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt

RNG = np.random.default_rng(0)


def convolve(x, kernel, bias):
    """Valid cross-correlation of (N, H, W, C), a tap at a time."""
    k = kernel.shape[0]
    h, w = x.shape[1] - k + 1, x.shape[2] - k + 1
    return bias + sum(x[:, i : i + h, j : j + w] @ kernel[i, j] for i in range(k) for j in range(k))


def pool(x):
    """The mean of every 2x2 block."""
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def lenet5_by_hand(x, weights):
    (c1, b1), (c3, b3), (c5, b5), (f6, b6), (out, b7) = zip(
        weights[::2], weights[1::2], strict=True
    )
    if x.shape[1] < 32:
        x = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    s2 = pool(np.tanh(convolve(x, c1, b1)))
    s4 = pool(np.tanh(convolve(s2, c3, b3)))
    flat = np.tanh(convolve(s4, c5, b5)).reshape(len(x), -1)
    return softmax(np.tanh(flat @ f6 + b6) @ out + b7)


@pytest.mark.parametrize("size", [28, 32, 36])
def test_lenet5_computes_what_the_paper_draws(size):
    model = gt.models.LeNet5((size, size, 1))
    x = RNG.normal(size=(2, size, size, 1))
    expected = lenet5_by_hand(x, model.get_weights())
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [28, 32])
def test_lenet5_has_the_lectures_shapes_and_61706_parameters(size):
    model = gt.models.LeNet5((size, size, 1))
    shapes = {layer.name: layer.output_shape[1:] for layer in model.layers}
    assert shapes == {
        "C1": (28, 28, 6),
        "S2": (14, 14, 6),
        "C3": (10, 10, 16),
        "S4": (5, 5, 16),
        "C5": (1, 1, 120),
        "flatten": (120,),
        "F6": (84,),
        "output": (10,),
    }
    assert [layer.count_params() for layer in model.layers if layer.weights] == [
        6 * 25 + 6,
        16 * 6 * 25 + 16,
        120 * 16 * 25 + 120,
        84 * 120 + 84,
        10 * 84 + 10,
    ]
    assert model.count_params() == 61_706


def test_other_sizes_channels_and_classes():
    model = gt.models.LeNet5((40, 33, 3), classes=7, activation="relu")
    assert model.output_shape == (None, 7)
    assert gt.models.LeNet5((28, 40, 1)).output_shape == (None, 10)


def test_logits_are_the_logarithms_of_the_probabilities():
    probabilities = gt.models.LeNet5()
    logits = gt.models.LeNet5(classifier_activation=None)
    logits.set_weights(probabilities.get_weights())
    x = RNG.normal(size=(2, 28, 28, 1))
    np.testing.assert_allclose(
        softmax(logits(x).numpy()), probabilities(x).numpy(), rtol=1e-4, atol=1e-6
    )
    assert probabilities(x).numpy().sum(axis=1) == pytest.approx([1, 1], rel=1e-5)


@pytest.mark.parametrize(
    ("net", "smallest"), [(gt.models.LeNet5, 28), (gt.models.LeNetGluon, 16)], ids=["5", "Gluon"]
)
def test_the_smallest_image_that_fits_is_named(net, smallest):
    assert net((smallest, smallest, 1)).built
    with pytest.raises(
        ValueError, match=rf"{smallest}x{smallest} or more.*\({smallest - 1}, 99, 1\)"
    ):
        net((smallest - 1, 99, 1))
    with pytest.raises(ValueError, match=r"\(height, width, channels\), received \(28, 28\)"):
        net((28, 28))


def test_lenet_gluon_has_431080_parameters():
    model = gt.models.LeNetGluon()
    assert model.count_params() == 431_080
    shapes = [layer.output_shape[1:] for layer in model.layers]
    assert shapes == [
        (24, 24, 20),
        (12, 12, 20),
        (8, 8, 50),
        (4, 4, 50),
        (800,),
        (500,),
        (10,),
    ]


def test_lenet_gluon_infers_every_size_from_the_first_data():
    model = gt.models.LeNetGluon(None)
    assert not model.built
    assert model(RNG.normal(size=(2, 28, 28, 1))).shape == (2, 10)
    assert model.count_params() == 431_080


def test_the_zoo_is_built_by_name():
    for name in ("lenet5", "LeNet5", "LeNet-5", "lenet_5"):
        assert gt.models.build(name).name == "lenet5"
    assert gt.models.build("lenetgluon", classes=3).output_shape == (None, 3)
    assert set(gt.models.ZOO) >= {"lenet5", "lenetgluon"}
    with pytest.raises(ValueError, match=r"Unknown net 'lenet6'. Did you mean 'lenet5'"):
        gt.models.build("lenet6")


def test_the_zoo_also_has_what_keras_keeps_in_models():
    assert gt.models.Sequential is gt.Sequential
    assert gt.models.Model is gt.Model
    assert gt.models.load_model is gt.load_model


@pytest.mark.parametrize("name", ["lenet5", "lenetgluon"])
def test_a_net_of_the_zoo_starts_alike_from_one_seed_and_can_be_saved(name, tmp_path):
    gt.random.set_seed(1)
    one = gt.models.build(name)
    gt.random.set_seed(1)
    other = gt.models.build(name)
    one.save(tmp_path / "net")
    again = gt.load_model(tmp_path / "net")
    for a, b, c in zip(one.get_weights(), other.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)
