"""Patches against nested loops, and local connection against its own definition."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import reference
from geometries import Geometry, draw_arrays, geometries
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtape import ops

few = settings(max_examples=60, deadline=None, derandomize=True)


@few
@given(geometries(groups=1), st.integers(0, 99))
def test_unfold_equals_nested_loops_and_fold_is_its_adjoint(geometry: Geometry, seed: int) -> None:
    given = {name: geometry.given[name] for name in ("strides", "padding", "dilation")}
    kernel = geometry.kernel[:-2]
    (x,) = draw_arrays(seed, geometry.x)
    y = ops.unfold(x, kernel, **given).numpy()
    expected = reference.unfold(x, kernel, given["strides"], geometry.pairs, given["dilation"])
    assert np.array_equal(y, expected.reshape(y.shape))
    (v,) = draw_arrays(seed + 1, y.shape)
    back = ops.fold(v, x.shape[1:-1], kernel, **given).numpy()
    assert back.shape == x.shape
    assert np.vdot(y, v) == pytest.approx(np.vdot(x, back), rel=1e-11, abs=1e-11)


def test_fold_sums_overlaps() -> None:
    counts = ops.fold(np.ones((1, 3, 2)), input_size=4, kernel_size=2).numpy()
    assert counts.ravel().tolist() == [1, 2, 2, 1]


@pytest.mark.parametrize(("size", "kernel"), [((6,), (3,)), ((4, 5), (2, 3))])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_local_conv_has_its_own_kernel_at_each_position(
    size: tuple[int, ...], kernel: tuple[int, ...], padding: str
) -> None:
    (x,) = draw_arrays(0, (2, *size, 3))
    patches = ops.unfold(x, kernel, 2, padding).numpy()
    positions, length = math.prod(patches.shape[1:-1]), patches.shape[-1]
    own, shared = draw_arrays(1, (positions, length, 4), (*kernel, 3, 4))
    y = ops.local_conv(x, own, kernel, 2, padding).numpy()
    rows = patches.reshape(2, positions, length)
    for p in range(positions):
        np.testing.assert_allclose(
            y.reshape(2, positions, 4)[:, p], rows[:, p] @ own[p], atol=1e-14
        )
    same_everywhere = np.broadcast_to(shared.reshape(length, 4), own.shape)
    np.testing.assert_allclose(
        ops.local_conv(x, same_everywhere, kernel, 2, padding).numpy(),
        ops.conv(x, shared, 2, padding).numpy(),
        atol=1e-14,
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.unfold(np.zeros((1, 3, 1)), 4), "kernel_size reaches over 4 elements"),
        (lambda: ops.unfold(np.zeros((3, 1)), 1), "expected x of shape (N, L, C) or"),
        (lambda: ops.fold(np.zeros((1, 3, 5)), 4, 2), "a multiple of 2 taps"),
        (lambda: ops.fold(np.zeros((1, 2, 4)), 4, 2), "for input_size=(4,)"),
        (
            lambda: ops.local_conv(np.zeros((1, 4, 2)), np.zeros((3, 4, 1)), 3),
            "(positions=2, taps * channels=6, c_out)",
        ),
    ],
)
def test_bad_input_is_refused_in_words(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
