"""`gradcheck` of a function: what it returns, what it refuses, where it points."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape.gradcheck import GradientError


def test_gradcheck_of_a_user_function_returns_the_worst_error():
    def f(x, y):
        return gt.ops.tanh(x @ y).sum(), x * 2

    rng = np.random.default_rng(0)
    assert gt.gradcheck(f, [rng.normal(size=(2, 3)), rng.normal(size=(3, 2))]) < 1e-7
    assert gt.gradcheck(lambda x: x[0] * 2, [np.ones((2, 2), np.float32)]) < 1e-7


def test_gradcheck_of_a_large_function_uses_projections():
    x = np.random.default_rng(0).normal(size=(20, 20))
    assert gt.gradcheck(lambda t: gt.ops.sigmoid(t @ t), x) < 1e-6


def test_gradcheck_names_order_and_entry_of_a_wrong_gradient():
    def wrong(x):
        return x * x.detach()

    with pytest.raises(GradientError, match=r"Order-1 gradient of wrong is wrong at d out\[1\]"):
        gt.gradcheck(wrong, np.array([1.0, 2.0]))


def test_gradcheck_skips_integers_and_covers_independent_outputs():
    def f(x, i):
        return [x[i], gt.tensor(np.ones(2))]

    assert gt.gradcheck(f, [np.arange(3.0), np.array([2, 2])]) < 1e-8
