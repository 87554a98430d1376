"""Zero padding, cropping, upsampling, and layers that rearrange."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 4, 5, 3)).astype("f")
STEPS, VOLUMES = IMAGES[:, 0], IMAGES[:, None].repeat(3, axis=1)


@pytest.mark.parametrize(
    ("layer", "x", "pairs"),
    [
        (layers.ZeroPadding1D(), STEPS, [(1, 1)]),
        (layers.ZeroPadding1D((1, 2)), STEPS, [(1, 2)]),
        (layers.ZeroPadding2D(), IMAGES, [(1, 1), (1, 1)]),
        (layers.ZeroPadding2D((1, 2)), IMAGES, [(1, 1), (2, 2)]),
        (layers.ZeroPadding2D(((0, 1), (3, 2))), IMAGES, [(0, 1), (3, 2)]),
        (layers.ZeroPadding3D(2), VOLUMES, [(2, 2)] * 3),
        (layers.ZeroPadding3D((0, 1, 2)), VOLUMES, [(0, 0), (1, 1), (2, 2)]),
    ],
)
def test_zeros_are_put_around(layer: Any, x: Any, pairs: Any) -> None:
    y = layer(x)
    np.testing.assert_array_equal(y.numpy(), np.pad(x, [(0, 0), *pairs, (0, 0)]))
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *y.shape[1:])
    assert layer.compute_output_shape((None, None, *x.shape[2:]))[1] is None


@pytest.mark.parametrize(
    ("layer", "x", "index"),
    [
        (layers.Cropping1D(), STEPS, np.s_[:, 1:-1]),
        (layers.Cropping1D((2, 0)), STEPS, np.s_[:, 2:]),
        (layers.Cropping2D(), IMAGES, np.s_[:]),
        (layers.Cropping2D((1, 2)), IMAGES, np.s_[:, 1:-1, 2:-2]),
        (layers.Cropping2D(((0, 1), (3, 0))), IMAGES, np.s_[:, :-1, 3:]),
        (layers.Cropping3D(1), VOLUMES, np.s_[:, 1:-1, 1:-1, 1:-1]),
    ],
)
def test_the_ends_are_cut_off(layer: Any, x: Any, index: Any) -> None:
    y = layer(x)
    np.testing.assert_array_equal(y.numpy(), x[index])
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *y.shape[1:])


def test_an_input_that_is_cropped_away_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Cropping2D 'c' cuts 2 \+ 2 off an axis of length 4"):
        layers.Cropping2D(2, name="c")(IMAGES)


@pytest.mark.parametrize(
    ("layer", "x", "factors"),
    [
        (layers.UpSampling1D(3), STEPS, (3,)),
        (layers.UpSampling2D(), IMAGES, (2, 2)),
        (layers.UpSampling2D((1, 3)), IMAGES, (1, 3)),
        (layers.UpSampling3D((2, 1, 2)), VOLUMES, (2, 1, 2)),
    ],
)
def test_upsampling_repeats(layer: Any, x: Any, factors: Any) -> None:
    expected = x
    for axis, factor in enumerate(factors, start=1):
        expected = expected.repeat(factor, axis=axis)
    y = layer(x)
    np.testing.assert_array_equal(y.numpy(), expected)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *y.shape[1:])


def test_upsampling_interpolates_between_the_centres_of_pixels() -> None:
    line = np.array([0.0, 4.0, 8.0]).reshape(1, 1, 3, 1)
    layer = layers.UpSampling2D((1, 2), interpolation="bilinear", dtype="float64")
    assert layer(line).numpy().ravel().tolist() == [0, 1, 3, 5, 7, 8]
    with pytest.raises(ValueError, match="interpolation is 'nearest', 'bilinear' or 'bicubic'"):
        layers.UpSampling2D(interpolation="cubic")


@pytest.mark.parametrize(
    "make",
    [
        lambda **s: layers.ZeroPadding2D(((1, 0), (2, 1)), **s),
        lambda **s: layers.Cropping2D(((1, 0), (2, 1)), **s),
        lambda **s: layers.UpSampling2D((2, 3), **s),
    ],
)
def test_channels_first_is_the_same_the_other_way_round(make: Any) -> None:
    first = make(data_format="channels_first")(IMAGES.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(first.numpy().transpose(0, 2, 3, 1), make()(IMAGES).numpy())
    assert make(data_format="channels_first").compute_output_shape((2, 3, 4, 5)) == first.shape


def test_permute_counts_the_axes_of_a_sample_from_one() -> None:
    layer = layers.Permute((3, 1, 2))
    np.testing.assert_array_equal(layer(IMAGES).numpy(), IMAGES.transpose(0, 3, 1, 2))
    assert layer.compute_output_shape((None, 4, 5, 3)) == (None, 3, 4, 5)
    for wrong in [(0, 1), (1, 1), (1, 3)]:
        with pytest.raises(ValueError, match="axes of a sample from 1 on"):
            layers.Permute(wrong)
    with pytest.raises(ValueError, match="rank 4"):
        layer(STEPS)


def test_repeat_vector_adds_an_axis() -> None:
    layer, x = layers.RepeatVector(3), STEPS[:, 0]
    np.testing.assert_array_equal(layer(x).numpy(), np.stack([x] * 3, axis=1))
    assert layer.compute_output_shape((None, 3)) == (None, 3, 3)
    with pytest.raises(ValueError, match="n must be a positive integer"):
        layers.RepeatVector(0)


EVERY = [
    (layers.ZeroPadding2D(((1, 0), (2, 1)), "channels_first"), IMAGES),
    (layers.ZeroPadding1D(2), STEPS),
    (layers.Cropping2D(((1, 0), (2, 1))), IMAGES),
    (layers.Cropping3D(1), VOLUMES),
    (layers.UpSampling2D(3, "channels_first", "bilinear"), IMAGES),
    (layers.UpSampling1D(2), STEPS),
    (layers.Permute((2, 3, 1), name="p"), IMAGES),
    (layers.RepeatVector(2), STEPS[:, 0]),
]


@pytest.mark.parametrize(("layer", "x"), EVERY, ids=lambda v: type(v).__name__)
def test_they_are_made_again_and_pass_gradients_back(layer: Any, x: Any) -> None:
    config = gt.saving.serialize(layer)
    again = gt.saving.deserialize(config)
    assert gt.saving.serialize(again) == config
    given = gt.tensor(x, requires_grad=True)
    y = again(given)
    cotangent, step = RNG.normal(size=y.shape).astype("f"), RNG.normal(size=x.shape).astype("f")
    y.backward(cotangent)
    moved = (again(step).numpy() * cotangent).sum()  # they are linear
    assert moved == pytest.approx((step * given.grad.numpy()).sum(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("cls", [layers.ZeroPadding2D, layers.Cropping2D])
@pytest.mark.parametrize("wrong", [-1, "same", (1, 2, 3), ((1, 2),), 1.5, ((1, 2, 3), (1, 2))])
def test_other_paddings_are_refused(cls: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"padding|cropping"):
        cls(wrong)
