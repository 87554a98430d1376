"""Elementwise arithmetic, elementary functions and comparison: values, kinks, extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradtape as gt

ops = gt.ops
INF, NAN = np.inf, np.nan


def leaf(values, dtype=np.float64):
    return gt.tensor(np.asarray(values, dtype), requires_grad=True)


def gradients(function, *values, dtype=np.float64):
    """The gradient of the sum of a function's results, for each argument."""
    leaves = [leaf(v, dtype) for v in values]
    function(*leaves).sum().backward()
    return [t.grad.numpy() for t in leaves]


def second_derivative(function, value):
    x = leaf(value)
    function(x).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    first.sum().backward()
    return x.grad.numpy()


@pytest.mark.parametrize(
    ("name", "by_hand", "domain"),
    [
        ("negative", lambda x: 0 - x, (-2, 2)),
        ("abs", lambda x: x if x > 0 else -x, (-2, 2)),
        ("square", lambda x: x * x, (-2, 2)),
        ("sqrt", lambda x: x**0.5, (0, 2)),
        ("cbrt", lambda x: math.copysign(abs(x) ** (1 / 3), x), (-2, 2)),
        ("reciprocal", lambda x: 1 / x, (0.1, 2)),
        ("exp", math.exp, (-2, 2)),
        ("exp2", lambda x: 2**x, (-2, 2)),
        ("expm1", math.expm1, (-2, 2)),
        ("log", math.log, (0.1, 2)),
        ("log2", math.log2, (0.1, 2)),
        ("log10", math.log10, (0.1, 2)),
        ("log1p", math.log1p, (-0.5, 2)),
        ("sin", math.sin, (-4, 4)),
        ("cos", math.cos, (-4, 4)),
        ("tan", math.tan, (-1, 1)),
        ("arcsin", math.asin, (-1, 1)),
        ("arccos", math.acos, (-1, 1)),
        ("arctan", math.atan, (-2, 2)),
        ("sinh", math.sinh, (-2, 2)),
        ("cosh", math.cosh, (-2, 2)),
        ("tanh", math.tanh, (-2, 2)),
        ("arcsinh", math.asinh, (-2, 2)),
        ("arccosh", math.acosh, (1, 2)),
        ("arctanh", math.atanh, (-0.9, 0.9)),
        ("erf", math.erf, (-3, 3)),
        ("erfc", math.erfc, (-3, 9)),
        ("deg2rad", math.radians, (-180, 180)),
        ("rad2deg", math.degrees, (-4, 4)),
        ("floor", math.floor, (-2, 2)),
        ("ceil", math.ceil, (-2, 2)),
        ("rint", round, (-2, 2)),
        ("trunc", math.trunc, (-2, 2)),
        ("sign", lambda x: math.copysign(1, x), (-2, 2)),
    ],
)
def test_elementary_functions_are_what_python_computes(name, by_hand, domain):
    values = np.random.default_rng(0).uniform(*domain, 20)
    expected = [by_hand(v) for v in values]
    np.testing.assert_allclose(getattr(ops, name)(values).numpy(), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("maximum", lambda x, y: x if x > y else y),
        ("minimum", lambda x, y: x if x < y else y),
        ("fmax", max),
        ("fmin", min),
        ("logaddexp", lambda x, y: math.log(math.exp(x) + math.exp(y))),
        ("logaddexp2", lambda x, y: math.log2(2**x + 2**y)),
        ("heaviside", lambda x, y: float(x > 0)),
        ("float_power", lambda x, y: x**y),
        ("arctan2", math.atan2),
        ("hypot", lambda x, y: (x * x + y * y) ** 0.5),
        ("copysign", math.copysign),
        ("fmod", math.fmod),
        ("mod", lambda x, y: x - y * math.floor(x / y)),
    ],
)
def test_binary_functions_are_what_python_computes(name, by_hand):
    x, y = np.random.default_rng(0).uniform(0.2, 2, (2, 20))
    expected = [by_hand(a, b) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(getattr(ops, name)(x, y).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_a_tie_shares_the_gradient(name):
    of_x, of_y = gradients(getattr(ops, name), [1.0, 2.0, 3.0], [1.0, 5.0, 0.0])
    larger = name in ("maximum", "fmax")
    np.testing.assert_array_equal(of_x, [0.5, 1 - larger, larger])
    np.testing.assert_array_equal(of_y, [0.5, larger, 1 - larger])


def test_the_functions_with_f_pass_over_nan():
    x, y = [NAN, 1.0, NAN], [2.0, NAN, NAN]
    np.testing.assert_array_equal(ops.fmax(x, y).numpy(), [2, 1, NAN])
    np.testing.assert_array_equal(ops.fmin(x, y).numpy(), [2, 1, NAN])
    np.testing.assert_array_equal(ops.maximum(x, y).numpy(), [NAN] * 3)
    of_x, of_y = gradients(ops.fmax, x, y)
    np.testing.assert_array_equal(of_x, [0, 1, 0])
    np.testing.assert_array_equal(of_y, [1, 0, 0])


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_logarithms_of_sums_neither_overflow_nor_lose_their_gradient(name):
    x = [1000.0, -1000.0, 1000.0, -INF, -INF, INF]
    y = [1000.0, -1000.0, -1000.0, 0.0, -INF, INF]
    two = math.log(2) if name == "logaddexp" else 1
    expected = [1000 + two, -1000 + two, 1000, 0, -INF, INF]
    np.testing.assert_allclose(getattr(ops, name)(np.array(x), y).numpy(), expected)
    with np.errstate(invalid="ignore"):
        of_x, of_y = gradients(getattr(ops, name), x, y)
    np.testing.assert_allclose(of_x, [0.5, 0.5, 1, 0, 0.5, 0.5])
    np.testing.assert_allclose(of_y, [0.5, 0.5, 0, 1, 0.5, 0.5])


def test_the_gradient_of_logaddexp_is_accurate_far_from_zero():
    (of_x, _) = gradients(ops.logaddexp, [1e6], [1e6 + 1], dtype=np.float32)
    np.testing.assert_allclose(of_x, 1 / (1 + math.e), rtol=1e-6)


def test_heaviside_takes_its_value_at_zero_from_the_second_argument():
    x, y = leaf([-1.0, 0.0, 2.0]), leaf([0.5, 0.5, 0.5])
    out = ops.heaviside(x, y)
    out.sum().backward()
    np.testing.assert_array_equal(out.numpy(), [0, 0.5, 1])
    np.testing.assert_array_equal(y.grad.numpy(), [0, 1, 0])
    assert x.grad is None


def test_powers_at_zero():
    exponents = [0.0, 1.0, 2.0, 3.0]
    of_x, of_y = gradients(ops.power, [0.0] * 4, exponents)
    np.testing.assert_array_equal(ops.power([0.0] * 4, exponents).numpy(), [1, 0, 0, 0])
    np.testing.assert_array_equal(of_x, [0, 1, 0, 0])
    np.testing.assert_array_equal(of_y, [0, 0, 0, 0])
    np.testing.assert_array_equal(second_derivative(lambda x: x**2.0, [0.0]), [2])
    np.testing.assert_array_equal(second_derivative(lambda x: x**0.0, [0.0, 3.0]), [0, 0])


def test_a_negative_base_has_integer_powers_and_their_gradients():
    (of_x,) = gradients(lambda x: x**3.0, [-2.0])
    assert of_x == 12
    with np.errstate(invalid="ignore"):
        assert np.isnan(ops.power(np.array([-2.0]), 0.5).numpy())


def test_float_power_makes_floats_of_integers():
    out = ops.float_power(gt.tensor([2, 3]), -1)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.numpy(), [0.5, 1 / 3], rtol=1e-6)
    assert ops.float_power(leaf([2.0], np.float32), 2).dtype == np.float32
    with pytest.raises(ValueError, match="negative integer powers"):
        ops.power(gt.tensor([2, 3]), -1)


def test_derivatives_at_kinks():
    assert gradients(ops.abs, [0.0])[0] == 0
    np.testing.assert_array_equal(
        gradients(lambda x: ops.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0])[0], [0, 1, 1, 1, 0]
    )
    of_x, of_y = gradients(lambda x, y: ops.where([True, False], x, y), [1.0, 2.0], [3.0, 4.0])
    np.testing.assert_array_equal(of_x, [1, 0])
    np.testing.assert_array_equal(of_y, [0, 1])


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "rint", "trunc"])
def test_steps_have_gradient_zero_and_no_other(name):
    x = leaf([-1.5, 0.3])
    (getattr(ops, name)(x) + x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1])


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [-INF, -1000, 1000, INF, NAN], [0, 0, INF, INF, NAN]),
        ("log", [0, INF, -1, NAN], [-INF, INF, NAN, NAN]),
        ("sqrt", [0, INF, -1, 1e-300], [0, INF, NAN, 1e-150]),
        ("tanh", [-INF, -1e9, 1e9, INF], [-1, -1, 1, 1]),
        ("erf", [-INF, -40, 40, INF, NAN], [-1, -1, 1, 1, NAN]),
        ("erfc", [-INF, 40, INF, NAN], [2, 0, 0, NAN]),
        ("expm1", [1e-300, -INF], [1e-300, -1]),
        ("log1p", [1e-300, -1], [1e-300, -INF]),
        ("abs", [-INF, -0.0, NAN], [INF, 0, NAN]),
        ("sign", [-INF, 0, INF, NAN], [-1, 0, 1, NAN]),
    ],
)
def test_extreme_values(name, x, expected):
    with np.errstate(all="ignore"):
        out = getattr(ops, name)(np.array(x)).numpy()
    np.testing.assert_allclose(out, expected)


def test_hypot_does_not_overflow_and_has_no_gradient_at_the_origin():
    np.testing.assert_allclose(ops.hypot(np.array([3e200]), np.array([4e200])).numpy(), [5e200])
    with np.errstate(invalid="ignore"):
        assert np.isnan(gradients(ops.hypot, [0.0], [0.0])[0])


def test_the_complementary_error_function_keeps_its_digits():
    np.testing.assert_allclose(
        ops.erfc(np.array([10.0])).numpy(), 2.088487583762545e-45, rtol=1e-13
    )
    assert ops.erfc(gt.tensor([1, 2])).dtype == np.float32
    np.testing.assert_allclose(ops.erf(gt.tensor([1, 2])).numpy(), [math.erf(1), math.erf(2)], 1e-6)


def test_ldexp_scales_by_powers_of_two_exactly():
    x = leaf([0.1, -3.0], np.float32)
    out = ops.ldexp(x, np.array([[3], [-100]]))
    np.testing.assert_array_equal(out.numpy(), [x.data * 8, x.data * np.float32(2.0**-100)])
    out.backward(np.array([[1, 1], [0, 2.0**100]]))
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [8, 9])


def test_tests_of_values():
    x = np.array([0.0, -0.0, 1.0, INF, -INF, NAN])
    table = {
        "isfinite": [1, 1, 1, 0, 0, 0],
        "isinf": [0, 0, 0, 1, 1, 0],
        "isnan": [0, 0, 0, 0, 0, 1],
        "signbit": [0, 1, 0, 0, 1, 0],
        "logical_not": [1, 1, 0, 0, 0, 0],
    }
    for name, expected in table.items():
        np.testing.assert_array_equal(getattr(ops, name)(x).numpy(), np.array(expected, bool))
    np.testing.assert_array_equal(
        ops.logical_xor([0.0, 1.0, 0.0, 2.0], [0.0, 0.0, 3.0, 3.0]).numpy(), [0, 1, 1, 0]
    )


def test_argsort_is_stable_and_puts_nan_last():
    x = np.array([2.0, 1.0, NAN, 1.0, -INF])
    np.testing.assert_array_equal(ops.argsort(x).numpy(), [4, 1, 3, 0, 2])
    np.testing.assert_array_equal(ops.argsort([[3.0, 1.0], [2.0, 4.0]], None).numpy(), [1, 2, 0, 3])
