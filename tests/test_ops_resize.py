"""Images at another resolution: pixel centres, edges, adjoints and messages."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt

ops = gt.ops


def by_loop(image, size, interpolation):
    """One channel resized pixel by pixel: half-pixel centres, coordinates held at the edges."""
    out = np.empty(size)
    for i in range(size[0]):
        for j in range(size[1]):
            place = [
                (p + 0.5) * old / new for p, old, new in zip((i, j), image.shape, size, strict=True)
            ]
            if interpolation == "nearest":
                out[i, j] = image[int(place[0]), int(place[1])]
                continue
            y, x = (min(max(p - 0.5, 0), n - 1) for p, n in zip(place, image.shape, strict=True))
            top, left = int(y), int(x)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            dy, dx = y - top, x - left
            out[i, j] = (
                image[top, left] * (1 - dy) * (1 - dx) + image[top, right] * (1 - dy) * dx
                + image[bottom, left] * dy * (1 - dx) + image[bottom, right] * dy * dx
            )  # fmt: skip
    return out


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(10, 8), (7, 9), (3, 2), (1, 1), (5, 4), (15, 1)])
def test_resize_is_its_definition(size, interpolation):
    images = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
    out = ops.resize(images, size, interpolation=interpolation).numpy()
    for n in range(2):
        for c in range(3):
            expected = by_loop(images[n, :, :, c], size, interpolation)
            np.testing.assert_allclose(out[n, :, :, c], expected, rtol=1e-12, atol=1e-12)
    single = ops.resize(images[1], size, interpolation).numpy()
    np.testing.assert_array_equal(single, out[1])


def test_bilinear_interpolation_reproduces_a_plane_inside_and_repeats_the_edge():
    row = np.arange(4.0).reshape(1, 1, 4, 1)
    np.testing.assert_allclose(
        ops.resize(row, (1, 8)).numpy().ravel(), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    )


def test_upsampling_repeats_or_interpolates():
    images = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    np.testing.assert_array_equal(
        ops.upsample(images, (2, 3)).numpy(), images.repeat(2, axis=1).repeat(3, axis=2)
    )
    assert ops.upsample(images).shape == (2, 6, 4, 2)
    np.testing.assert_array_equal(
        ops.upsample(images, 2, interpolation="bilinear").numpy(),
        ops.resize(images, (6, 4)).numpy(),
    )


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_every_new_pixel_spreads_a_gradient_of_one(interpolation):
    x = gt.tensor(np.zeros((1, 4, 3, 1), np.float32), requires_grad=True)
    ops.resize(x, (7, 5), interpolation=interpolation).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.numpy().sum(), 35, rtol=1e-6)
    x.zero_grad()
    ops.upsample(x, (2, 3), interpolation=interpolation).sum().backward()
    np.testing.assert_allclose(x.grad.numpy().sum(), 6 * 12, rtol=1e-6)


def test_integer_images_become_floats():
    images = np.array([[[0], [255]]], np.uint8)
    out = ops.resize(images, (1, 4))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.numpy().ravel(), [0, 63.75, 191.25, 255])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.resize(x, (2, 2), "cubic"), "nearest, bilinear, bicubic, received 'cubic'"),
        (lambda x: ops.resize(x, 4), r"resize: expected a size \(height, width\).*received 4"),
        (lambda x: ops.resize(x, (4, 0)), r"at least 1, received \(4, 0\)"),
        (
            lambda x: ops.resize(x[0, 0], (2, 2)),
            r"images of shape \(N, H, W, C\).*received \(2, 1\)",
        ),
        (lambda x: ops.resize(x[:, :0], (2, 2)), r"not empty in H or W, received \(1, 0, 2, 1\)"),
        (lambda x: ops.upsample(x, 0), r"upsample: expected whole factors of \(H, W\), at least 1"),
    ],
)
def test_messages_say_what_was_expected_and_what_received(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((1, 2, 2, 1)))


def test_a_fractional_size_is_refused():
    with pytest.raises(TypeError, match="integer"):
        ops.resize(np.zeros((1, 2, 2, 1)), (2.5, 2))
