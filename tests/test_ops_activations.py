"""Activations: values against their formulas, kinks, extremes, settings."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradtape as gt

ops = gt.ops
INF, NAN = np.inf, np.nan


def leaf(values, dtype=np.float64):
    return gt.tensor(np.asarray(values, dtype), requires_grad=True)


def gradient(function, values):
    x = leaf(values)
    function(x).sum().backward()
    return x.grad.numpy()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def held(x, low, high):
    return min(max(x, low), high)


BY_HAND = {
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: max(x, 0.2 * x),
    "relu6": lambda x: held(x, 0, 6),
    "sigmoid": sigmoid,
    "log_sigmoid": lambda x: -math.log(1 + math.exp(-x)),
    "hard_sigmoid": lambda x: held(x / 6 + 0.5, 0, 1),
    "sparse_sigmoid": lambda x: held((x + 1) / 2, 0, 1),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "sparse_plus": lambda x: 0 if x < -1 else x if x > 1 else (x + 1) ** 2 / 4,
    "squareplus": lambda x: (x + math.sqrt(x * x + 4)) / 2,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.05070098 * (x if x > 0 else 1.67326324 * (math.exp(x) - 1)),
    "celu": lambda x: x if x > 0 else math.exp(x) - 1,
    "silu": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * held(x / 6 + 0.5, 0, 1),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "softsign": lambda x: x / (1 + abs(x)),
    "hard_tanh": lambda x: held(x, -1, 1),
    "tanh_shrink": lambda x: x - math.tanh(x),
    "soft_shrink": lambda x: math.copysign(max(abs(x) - 0.5, 0), x),
    "hard_shrink": lambda x: x if abs(x) > 0.5 else 0,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_activations_are_their_formulas(name):
    x = np.random.default_rng(0).uniform(-8, 8, (6, 9))
    expected = np.vectorize(BY_HAND[name], otypes=[float])(x)
    np.testing.assert_allclose(getattr(ops, name)(x).numpy(), expected, rtol=1e-8, atol=1e-12)
    single = getattr(ops, name)(x.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", BY_HAND)
def test_activations_of_large_and_tiny_values_neither_overflow_nor_vanish(name):
    x = leaf([1e30, 1e4, 1e-30], np.float32)
    with np.errstate(over="ignore"):  # a cube inside gelu's approximation may, harmlessly
        out = getattr(ops, name)(x)
        out.sum().backward()
    bounded = {"relu6": 6, "softsign": 1, "hard_tanh": 1, "log_sigmoid": 0}
    top = 1 if "sigmoid" in name and name != "log_sigmoid" else bounded.get(name, 1e30)
    slope = 1.05070098 if name == "selu" else 1
    np.testing.assert_allclose(out.numpy()[0], top * slope, rtol=1e-5)
    assert np.isfinite(out.numpy()).all()
    assert np.isfinite(x.grad.numpy()).all()
    below = leaf([-1e4, -88.0, -1e-30], np.float32)
    out = getattr(ops, name)(below)
    out.sum().backward()
    assert np.isfinite(out.numpy()).all()
    assert np.isfinite(below.grad.numpy()).all()


@pytest.mark.parametrize("name", [*BY_HAND, "threshold"])
def test_nan_stays_nan(name):
    settings = {"threshold": 1.0, "default_value": 2.0} if name == "threshold" else {}
    with np.errstate(invalid="ignore"):
        assert np.isnan(getattr(ops, name)(np.array([NAN]), **settings).numpy())


KINKS = {
    "relu": ([0], [0]),
    "leaky_relu": ([0], [0.2]),
    "relu6": ([0, 6], [0, 0]),
    "hard_tanh": ([-1, 1], [0, 0]),
    "hard_sigmoid": ([-3, 3], [0, 0]),
    "hard_silu": ([-3, 3], [0, 1]),
    "sparse_sigmoid": ([-1, 1], [0, 0]),
    "sparse_plus": ([-1, 1], [0, 1]),
    "soft_shrink": ([-0.5, 0.5], [0, 0]),
    "hard_shrink": ([-0.5, 0.5], [0, 0]),
    "elu": ([0], [1]),
    "celu": ([0], [1]),
    "selu": ([0], [1.0507009873554805 * 1.6732632423543772]),
    "softsign": ([0], [1]),
}


@pytest.mark.parametrize("name", KINKS)
def test_derivatives_at_kinks(name):
    points, slopes = KINKS[name]
    np.testing.assert_allclose(gradient(getattr(ops, name), points), slopes, rtol=1e-15)


def test_relu_with_all_settings():
    x = np.array([-INF, -2.0, 0.4, 0.5, 0.7, 1.0, 3.0, INF])
    settings = {"negative_slope": 0.3, "max_value": 1.0, "threshold": 0.5}
    out = ops.relu(x, **settings).numpy()
    np.testing.assert_allclose(out, [-INF, -0.75, -0.03, 0, 0.7, 1, 1, 1], atol=1e-16)
    np.testing.assert_array_equal(
        gradient(lambda t: ops.relu(t, **settings), x[1:-1]), [0.3, 0.3, 0.3, 1, 0, 0]
    )
    np.testing.assert_array_equal(ops.relu(x, threshold=0.5).numpy(), [0, 0, 0, 0, *x[4:]])
    with pytest.raises(ValueError, match="must not be negative, received threshold=-1"):
        ops.relu(x, threshold=-1)
    with pytest.raises(ValueError, match=r"max_value=-2\.0"):
        ops.relu(x, max_value=-2.0)


def test_settings_of_the_others():
    x = np.array([-2.0, -0.3, 0.3, 2.0])
    e = np.exp
    for ours, expected in [
        (ops.leaky_relu(x, 0.5), [-1, -0.15, 0.3, 2]),
        (ops.elu(x, alpha=0.5), [0.5 * (e(-2) - 1), 0.5 * (e(-0.3) - 1), 0.3, 2]),
        (ops.celu(x, alpha=0.5), [0.5 * (e(-4) - 1), 0.5 * (e(-0.6) - 1), 0.3, 2]),
        (ops.squareplus(x, b=0), [0, 0, 0.3, 2]),
        (ops.soft_shrink(x, threshold=1.0), [-1, 0, 0, 1]),
        (ops.hard_shrink(x, threshold=0.1), x),
        (ops.threshold(x, -0.3, 7.0), [7, 7, 0.3, 2]),
    ]:
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(
        ops.gelu(x, approximate=True).numpy(), ops.gelu(x).numpy(), atol=1e-3
    )


def test_squareplus_keeps_its_digits_far_below_zero():
    out = ops.squareplus(np.array([-1e4], np.float32)).numpy()
    np.testing.assert_allclose(out, 1e-4, rtol=1e-6)  # (x + sqrt(x^2 + 4)) / 2 would be 0


def test_tanh_shrink_keeps_its_digits_near_zero():
    out = ops.tanh_shrink(np.array([1e-3], np.float32)).numpy()
    np.testing.assert_allclose(out, 1e-9 / 3, rtol=1e-5)  # float32 tanh would leave none


def test_log_sigmoid_and_softplus_have_no_cancellation():
    np.testing.assert_allclose(
        ops.log_sigmoid(np.array([-1000.0, 800.0, 40.0])).numpy(), [-1000, 0, -math.exp(-40)], 1e-12
    )
    np.testing.assert_allclose(ops.softplus(np.array([-40.0])).numpy(), math.exp(-40), rtol=1e-12)


def test_glu_gates_one_half_with_the_other():
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    out = ops.glu(x, axis=1).numpy()
    expected = x[:, :3] * np.vectorize(sigmoid)(x[:, 3:])
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="glu: expected an even length to halve along axis 2"):
        ops.glu(x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_normalised_activations_do_not_mind_a_shift(name, shift):
    x = np.random.default_rng(0).normal(size=(3, 5))
    function = getattr(ops, name)
    np.testing.assert_allclose(function(x + shift).numpy(), function(x).numpy(), atol=1e-11)
    totals = function(x + shift).numpy()
    totals = (np.exp(totals) if name == "log_softmax" else totals).sum(axis=-1)
    np.testing.assert_allclose(totals, 1, rtol=1e-12)


def test_softmax_is_its_formula_along_any_axis():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in (0, 1, 2, -1):
        expected = np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)
        np.testing.assert_allclose(ops.softmax(x, axis=axis).numpy(), expected, rtol=1e-13)
        np.testing.assert_allclose(
            ops.log_softmax(x, axis=axis).numpy(), np.log(expected), rtol=1e-12
        )


def test_log_softmax_is_exact_where_one_element_outweighs_the_rest():
    out = ops.log_softmax(np.array([50.0, 0.0])).numpy()
    np.testing.assert_allclose(out, [-math.exp(-50), -50], rtol=1e-12)


def test_a_logit_of_minus_infinity_has_probability_zero():
    x = leaf([0.0, -INF, 0.0])
    out = ops.softmax(x)
    out[0].backward()
    np.testing.assert_array_equal(out.numpy(), [0.5, 0, 0.5])
    np.testing.assert_array_equal(x.grad.numpy(), [0.25, 0, -0.25])


def nearest_on_the_simplex(x):
    """By bisection of the threshold, rather than by sorting."""
    low, high = x.min() - 1, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(x - low, 0)


def test_sparsemax_projects_onto_the_simplex():
    rows = np.random.default_rng(0).normal(size=(20, 7)) * np.linspace(0.05, 3, 20)[:, None]
    expected = np.stack([nearest_on_the_simplex(row) for row in rows])
    np.testing.assert_allclose(ops.sparsemax(rows).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(ops.sparsemax(rows.T, axis=0).numpy(), expected.T, atol=1e-12)
    assert (expected == 0).any() and (expected > 0).sum(axis=1).max() == 7


def test_sparsemax_of_two_is_sparse_sigmoid():
    x = np.linspace(-2, 2, 9)
    pairs = np.stack([x, np.zeros(9)], axis=1)
    np.testing.assert_allclose(ops.sparsemax(pairs).numpy()[:, 0], ops.sparse_sigmoid(x).numpy())


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
def test_an_axis_without_elements_is_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"{name}: .*along axis 1 of shape \(2, 0\)"):
        getattr(ops, name)(np.zeros((2, 0)))
    assert getattr(ops, name)(np.zeros((0, 2))).shape == (0, 2)
