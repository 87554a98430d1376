"""Products in pieces equal products in one."""

from __future__ import annotations

import numpy as np
import pytest

from gradtape.kernels.blas import ALONE, TOGETHER, matmul


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "rows, terms, columns",
    [(5000, 25, 6), (6, 25000, 7), (3, 30, 9000), (65, 64, 63), (1, 1, 1), (0, 5, 4), (4, 0, 3)],
)
def test_pieces_equal_the_whole(dtype, rows, terms, columns):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, terms)), rng.normal(size=(terms, columns))
    exact, eps = x @ y, np.finfo(dtype).eps
    x, y = x.astype(dtype), y.astype(dtype)
    bound = 4 * np.sqrt(max(1, terms)) * eps * (np.abs(x) @ np.abs(y))
    for out in (None, np.full((rows, columns), np.nan, dtype)):
        found = matmul(x, y, out)
        assert out is None or found is out
        assert found.dtype == dtype
        assert (np.abs(found - exact) <= bound).all()


def test_the_sizes_above_are_on_both_sides_of_the_thresholds():
    work = [r * t * c for r, t, c in [(5000, 25, 6), (65, 64, 63)]]
    assert ALONE < work[0] < TOGETHER
    assert work[1] < ALONE + 2**12


def test_views_batches_and_vectors():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 600, 40)), rng.normal(size=(2, 40, 30))
    np.testing.assert_allclose(matmul(x, y), x @ y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(matmul(x[:1], y[:1]), x[:1] @ y[:1], rtol=1e-12, atol=1e-12)
    a, b = x[0].T[:, ::2], rng.normal(size=(600, 90))[::2, ::-1]
    np.testing.assert_allclose(matmul(a, b), a @ b, rtol=1e-12, atol=1e-12)
    out = np.zeros((1, 600, 60))[:, :, ::2]
    matmul(x[:1], y[:1], out)
    np.testing.assert_allclose(out, x[:1] @ y[:1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(matmul(x[0], y[0, :, 0]), x[0] @ y[0, :, 0], rtol=1e-12)
