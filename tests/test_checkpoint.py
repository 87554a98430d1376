"""Recomputing in the backward pass: same gradients, less memory, same random numbers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import gradtape as gt


def block(x, w):
    return gt.ops.tanh(x @ w)


def test_gradients_equal_those_without_checkpoints_outside_parameters_included():
    rng = np.random.default_rng(0)
    outside = gt.tensor(rng.normal(size=(4, 4)), requires_grad=True)
    results = []
    for run in (lambda f, *a: f(*a), gt.checkpoint):
        x = gt.tensor(rng.normal(size=(3, 4)) * 0 + 0.3, requires_grad=True)
        outside.zero_grad()
        y = run(lambda t: {"a": block(t, outside), "b": [(t * t).sum()]}, x)
        ((y["a"] ** 2).sum() + 3 * y["b"][0]).backward()
        results.append((x.grad.numpy(), outside.grad.numpy()))
    for plain, again in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, again)


def test_the_function_runs_once_forward_and_once_backward():
    calls = []

    def counted(x):
        calls.append(gt.is_grad_enabled())
        return x * x

    x = gt.tensor([3.0], requires_grad=True)
    y = gt.checkpoint(counted, x)
    assert calls == [False]
    y.sum().backward()
    assert calls == [False, True]
    assert x.grad.item() == 6


def test_second_order_and_nesting():
    x = np.array([0.3, -0.7])

    def f(t):
        return gt.checkpoint(lambda s: gt.checkpoint(gt.ops.sin, s) * s, t).sum()

    plain = gt.hessian(lambda t: (gt.ops.sin(t) * t).sum())(x)
    np.testing.assert_allclose(gt.hessian(f)(x).numpy(), plain.numpy(), rtol=1e-12)
    assert gt.gradcheck(f, x) < 1e-8


def test_dropout_draws_the_same_mask_and_counts_its_call_once():
    layer = gt.layers.Dropout(0.5, seed=3)
    x = gt.tensor(np.ones(100, np.float32), requires_grad=True)
    y = gt.checkpoint(lambda t: layer(t, training=True) * t, x)
    state = layer.get_weights()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * y.numpy())
    for before, after in zip(state, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_without_a_gradient_it_is_just_a_call():
    with gt.no_grad():
        assert not gt.checkpoint(
            lambda x: x * 2, gt.tensor([1.0], requires_grad=True)
        ).requires_grad
    assert gt.checkpoint(lambda x: x > 0, np.ones(2)).dtype == bool


def test_memory_falls_to_the_largest_part():
    def deep(x):
        for _ in range(20):
            x = gt.ops.exp(x * 0.5) - 1.0
        return x

    def peak(run):
        x = gt.tensor(np.full(200_000, 0.1), requires_grad=True)
        tracemalloc.start()
        y = x
        for _ in range(5):
            y = run(deep, y)
        y.sum().backward()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most, x.grad.numpy()

    plain, expected = peak(lambda f, x: f(x))
    saving, found = peak(gt.checkpoint)
    np.testing.assert_array_equal(found, expected)
    assert saving < plain / 3


def test_an_exception_inside_leaves_the_random_state_in_order():
    def fails(x):
        raise KeyError("inside")

    with pytest.raises(KeyError):
        gt.checkpoint(fails, gt.tensor([1.0], requires_grad=True))
    assert gt.is_grad_enabled()
