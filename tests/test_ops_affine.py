"""affine_transform: against padded images, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradtape as gt

RNG = np.random.default_rng(0)
PADDED = {"constant": "constant", "nearest": "edge", "reflect": "symmetric", "wrap": "wrap"}


def expected(x: Any, maps: Any, fill_mode: str, interpolation: str, fill: float) -> Any:
    """The same out of images that NumPy has continued far beyond their edges."""
    border = 40
    values = {"constant_values": fill} if fill_mode == "constant" else {}
    sides = ((0, 0), (border, border), (border, border), (0, 0))
    padded = np.pad(x, sides, PADDED[fill_mode], **values)  # type: ignore[call-overload]
    out = np.empty_like(x)
    for n, i, j in np.ndindex(x.shape[:3]):
        m = maps[n]
        row, column = m[3] * j + m[4] * i + m[5] + border, m[0] * j + m[1] * i + m[2] + border
        if interpolation == "nearest":
            out[n, i, j] = padded[n, math.floor(row + 0.5), math.floor(column + 0.5)]
            continue
        u, v = math.floor(row), math.floor(column)
        down, across = row - u, column - v
        above = (1 - across) * padded[n, u, v] + across * padded[n, u, v + 1]
        below = (1 - across) * padded[n, u + 1, v] + across * padded[n, u + 1, v + 1]
        out[n, i, j] = (1 - down) * above + down * below
    return out


@pytest.mark.parametrize("fill_mode", list(PADDED))
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_are_read_where_the_map_says(fill_mode: str, interpolation: str, dtype: Any) -> None:
    x = RNG.normal(size=(3, 5, 4, 2)).astype(dtype)
    maps = np.array([1, 0, 0, 0, 1, 0]) + RNG.uniform(-1, 1, (3, 6))
    maps[:, [2, 5]] += RNG.uniform(-12, 12, (3, 2))
    out = gt.ops.affine_transform(
        x, maps, fill_mode=fill_mode, interpolation=interpolation, fill_value=0.7
    )
    assert out.dtype == dtype
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    wanted = expected(x, maps, fill_mode, interpolation, 0.7)
    np.testing.assert_allclose(out.numpy(), wanted, rtol=tolerance, atol=tolerance)


def test_the_identity_changes_nothing() -> None:
    x = RNG.normal(size=(2, 3, 4, 1))
    maps = np.tile([1.0, 0, 0, 0, 1, 0], (2, 1))
    np.testing.assert_array_equal(gt.ops.affine_transform(x, maps).numpy(), x)


def test_gradient_goes_back_where_it_was_read() -> None:
    x = gt.tensor(RNG.normal(size=(2, 4, 4, 1)), requires_grad=True)
    maps = np.array([1, 0, 0, 0, 1, 0]) + RNG.uniform(-0.5, 0.5, (2, 6))
    cotangent, other = RNG.normal(size=(2, 2, 4, 4, 1))
    gt.ops.affine_transform(x, maps, fill_mode="reflect").backward(cotangent)
    moved = gt.ops.affine_transform(other, maps, fill_mode="reflect").numpy()
    assert (moved * cotangent).sum() == pytest.approx((other * x.grad.numpy()).sum())


@pytest.mark.parametrize(
    ("shape", "maps", "settings", "words"),
    [
        ((2, 3, 3), (2, 6), {}, r"images of shape \(N, H, W, C\)"),
        ((2, 3, 3, 1), (1, 6), {}, r"one map of six numbers for each image, shape \(2, 6\)"),
        ((2, 3, 3, 1), (2, 6), {"fill_mode": "mirror"}, "fill_mode must be one of constant"),
        ((2, 3, 3, 1), (2, 6), {"interpolation": "cubic"}, "interpolation must be one of nearest"),
    ],
)
def test_what_does_not_fit_is_refused(shape: Any, maps: Any, settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gt.ops.affine_transform(np.ones(shape), np.ones(maps), **settings)


def test_maps_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="maps must be finite"):
        gt.ops.affine_transform(np.ones((1, 2, 2, 1)), np.full((1, 6), np.nan))


@pytest.mark.parametrize("fill_mode", list(PADDED))
def test_the_nearest_pixel_gets_all_of_a_gradient_and_its_neighbours_nothing(
    fill_mode: str,
) -> None:
    """The last pixel has no neighbour: nothing may be written there, not even 0 times infinity."""
    g = np.zeros((1, 3, 3, 1))
    g[0, 2, 2] = np.inf
    maps = np.array([[1.0, 0, 0, 0, 1, 0]])
    got = gt.ops.affine_transform_gradient(g, maps, fill_mode=fill_mode, interpolation="nearest")
    np.testing.assert_array_equal(got.numpy(), g)
    maps[0, [2, 5]] = 9  # far outside
    got = gt.ops.affine_transform_gradient(g, maps, fill_mode=fill_mode, interpolation="nearest")
    assert not np.isnan(got.numpy()).any()
