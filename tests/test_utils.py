"""Helpers: seeds repeat every generator, one-hot rows and unit vectors are what they say."""

from __future__ import annotations

import random

import numpy as np
import pytest

import gradtape as gt
from gradtape.random import generator


def test_seed_repeats_python_numpy_and_gradtape() -> None:
    def draw() -> list[float]:
        return [random.random(), np.random.rand(), generator("test").random()]  # noqa: NPY002

    gt.utils.set_random_seed(7)
    first = draw()
    gt.utils.set_random_seed(7)
    assert draw() == first
    gt.utils.set_random_seed(8)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_seed_must_be_a_small_whole_number() -> None:
    with pytest.raises(TypeError, match="integer"):
        gt.utils.set_random_seed(1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="negative"):
        gt.utils.set_random_seed(-1)
    with pytest.raises(ValueError, match=r"below 2\*\*32"):
        gt.utils.set_random_seed(2**32)


def test_to_categorical_is_one_hot() -> None:
    rows = gt.utils.to_categorical([0, 2, 1])
    assert rows.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert gt.utils.to_categorical([1], 4).tolist() == [[0, 1, 0, 0]]
    assert gt.utils.to_categorical(np.array([[0], [1]])).shape == (2, 2)
    assert gt.utils.to_categorical(np.zeros((2, 3), np.uint8), 5).shape == (2, 3, 5)
    with pytest.raises(ValueError, match=r"0\.\.2, received 3"):
        gt.utils.to_categorical([0, 3], 3)
    with pytest.raises(ValueError, match="received -1"):
        gt.utils.to_categorical([0, -1], 3)


def test_normalize_gives_unit_vectors_and_leaves_zeros() -> None:
    rows = gt.utils.normalize([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(gt.utils.normalize([[1.0], [3.0]], axis=0, order=1).ravel(),
                               [0.25, 0.75])  # fmt: skip
