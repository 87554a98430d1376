"""Reductions: values by hand, ties, zeros, empty axes, large and tiny values, messages."""

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


COLUMNS = np.random.default_rng(0).uniform(-2, 2, (4, 3))


@pytest.mark.parametrize(
    ("name", "of_list"),
    [
        ("sum", math.fsum),
        ("mean", lambda v: math.fsum(v) / len(v)),
        ("prod", math.prod),
        ("max", max),
        ("min", min),
        ("var", lambda v: sum((a - sum(v) / len(v)) ** 2 for a in v) / len(v)),
        ("std", lambda v: (sum((a - sum(v) / len(v)) ** 2 for a in v) / len(v)) ** 0.5),
        ("norm", lambda v: math.hypot(*v)),
        ("logsumexp", lambda v: math.log(sum(math.exp(a) for a in v))),
        ("any", lambda v: any(a != 0 for a in v)),
        ("all", lambda v: all(a != 0 for a in v)),
    ],
)
def test_reductions_are_what_python_computes(name, of_list):
    function = getattr(ops, name)
    by_column = [of_list(list(column)) for column in COLUMNS.T]
    np.testing.assert_allclose(function(COLUMNS, axis=0).numpy(), by_column, rtol=1e-14)
    kept = function(COLUMNS, axis=-2, keepdims=True)
    np.testing.assert_allclose(kept.numpy(), [by_column], rtol=1e-14)
    everything = of_list(COLUMNS.ravel().tolist())
    for axis in (None, (0, 1), (1, 0)):
        np.testing.assert_allclose(function(COLUMNS, axis=axis).numpy(), everything, rtol=1e-13)


def test_norms_of_other_orders():
    x = np.array([[3.0, -4.0], [0.0, 0.0]])
    np.testing.assert_array_equal(ops.norm(x, ord=1, axis=1).numpy(), [7, 0])
    np.testing.assert_array_equal(ops.norm(x, ord=np.inf, axis=1).numpy(), [4, 0])
    np.testing.assert_array_equal(ops.norm(x, None, 1, True).numpy(), [[5], [0]])
    with pytest.raises(ValueError, match="ord must be 1, 2 or inf, the vector norms, received 3"):
        ops.norm(x, ord=3)


@pytest.mark.parametrize("ord", [1, 2, np.inf])
def test_the_gradient_of_a_norm_is_zero_at_zero_at_every_order(ord):
    x = leaf(np.zeros((2, 3)))
    ops.norm(x, ord=ord, axis=1).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    np.testing.assert_array_equal(first.numpy(), 0)
    first.sum().backward()
    assert x.grad is None or not x.grad.numpy().any()


def test_the_largest_sizes_share_the_gradient_of_the_infinity_norm():
    of_x = gradient(lambda x: ops.norm(x, ord=np.inf), [2.0, -2.0, 1.0, 2.0])
    np.testing.assert_allclose(of_x, [1 / 3, -1 / 3, 0, 1 / 3])


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_norms_neither_overflow_nor_underflow(scale):
    x = leaf([3 * scale, -4 * scale], np.float32)
    length = ops.norm(x)
    length.backward()
    np.testing.assert_allclose(length.numpy(), 5 * scale, rtol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [0.6, -0.8], rtol=1e-6)


def test_norms_of_infinity_and_nan():
    np.testing.assert_array_equal(ops.norm([1.0, -INF]).numpy(), INF)
    assert np.isnan(ops.norm([1.0, NAN]).numpy())


def test_the_standard_deviation_of_equal_values_has_gradient_zero():
    np.testing.assert_array_equal(gradient(ops.std, [2.0, 2.0, 2.0]), 0)
    assert ops.std(leaf([5.0])).item() == 0


def test_ddof_needs_that_many_more_elements():
    x = leaf([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(ops.std(x, ddof=1).item() ** 2, 7 / 3)
    np.testing.assert_allclose(ops.var(x, ddof=2).item(), 14 / 3)
    for name in ("var", "std"):
        with pytest.raises(ValueError, match=f"{name}: ddof=1 needs more than the 1 elements"):
            getattr(ops, name)(x, axis=0, ddof=1)


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient_evenly(name):
    x = [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    np.testing.assert_allclose(gradient(lambda t: getattr(ops, name)(t, axis=1), x), 1 / 3)


@pytest.mark.parametrize("name", ["mean", "max", "min", "var", "std", "logsumexp"])
def test_reducing_nothing_is_refused_with_the_name_of_the_op(name):
    with pytest.raises(ValueError, match=rf"{name}: nothing to reduce along \(0,\) of \(0, 3\)"):
        getattr(ops, name)(np.zeros((0, 3)), axis=0)


@pytest.mark.parametrize(("name", "identity"), [("sum", 0), ("prod", 1), ("norm", 0), ("all", 1)])
def test_reducing_nothing_gives_the_identity_where_there_is_one(name, identity):
    np.testing.assert_array_equal(getattr(ops, name)(np.zeros((0, 2)), axis=0).numpy(), identity)


def test_a_product_of_nothing_stays_on_the_tape():
    x = leaf(np.zeros((0, 2)))
    ops.prod(x).backward()
    assert x.grad.shape == (0, 2)


@pytest.mark.parametrize("zeros", range(4))
def test_products_with_zeros_have_all_their_derivatives(zeros):
    values = np.array([2.0, 3.0, 5.0])
    values[:zeros] = 0
    x = leaf(values)
    ops.prod(x).backward(create_graph=True)
    first, x.grad = x.grad, None
    without = [math.prod(np.delete(values, i)) for i in range(3)]
    np.testing.assert_array_equal(first.numpy(), without)
    for i in range(3):
        first[i].backward(create_graph=True)
        second, x.grad = x.grad, None
        expected = [0 if i == j else math.prod(np.delete(values, [i, j])) for j in range(3)]
        np.testing.assert_array_equal(second.numpy(), expected)
    first[0].backward(create_graph=True)
    x.grad[1].backward()
    third = x.grad.numpy() - np.array([0, values[2], values[1]])  # it accumulates on the second
    np.testing.assert_array_equal(third, [0, 0, 1])


def test_products_of_many_elements():
    x = np.random.default_rng(0).uniform(0.9, 1.1, (101, 3))
    np.testing.assert_allclose(ops.prod(x, axis=0).numpy(), np.exp(np.log(x).sum(axis=0)))


def test_integers_multiply_wide():
    small = np.full(10, 100, np.uint8)
    assert ops.prod(small).item() == np.prod(small)
    assert ops.prod(gt.tensor([True, True])).item() == 1


@pytest.mark.parametrize("shift", [1e4, -1e4, 0.0])
def test_logsumexp_does_not_overflow(shift):
    x = np.array([1.0, 2.0, 3.0])
    expected = shift + math.log(sum(math.exp(a) for a in x))
    np.testing.assert_allclose(ops.logsumexp(x + shift).item(), expected, rtol=1e-14)
    of_x = gradient(ops.logsumexp, x + shift)
    np.testing.assert_allclose(of_x, np.exp(x) / np.exp(x).sum(), rtol=1e-10)


def test_logsumexp_of_infinities():
    np.testing.assert_array_equal(ops.logsumexp([-INF, 0.0]).item(), 0)
    np.testing.assert_array_equal(ops.logsumexp([-INF, -INF]).item(), -INF)
    np.testing.assert_array_equal(ops.logsumexp([INF, 0.0]).item(), INF)
    np.testing.assert_array_equal(gradient(ops.logsumexp, [-INF, -INF]), 0)


def test_cumsum_runs_either_way():
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(ops.cumsum(x, 1).numpy(), [[1, 3, 6], [4, 9, 15]])
    np.testing.assert_array_equal(ops.cumsum(x, axis=0, reverse=True).numpy(), [[5, 7, 9], x[1]])
    np.testing.assert_array_equal(ops.cumsum(x).numpy(), [1, 3, 6, 10, 15, 21])
    np.testing.assert_array_equal(gradient(lambda t: ops.cumsum(t, 1), x), [[3, 2, 1]] * 2)


def test_nan_is_not_lost():
    x = np.array([1.0, NAN, 2.0])
    for name in ("sum", "mean", "prod", "max", "min", "var", "std", "norm"):
        assert np.isnan(getattr(ops, name)(x).numpy()), name


def test_bad_axes_are_refused():
    with pytest.raises(ValueError, match="Axis 2 is out of range for a tensor of rank 2"):
        ops.prod(COLUMNS, axis=2)
    with pytest.raises(ValueError, match=r"repeated in \(0, -2\)"):
        ops.norm(COLUMNS, axis=(0, -2))
    with pytest.raises(ValueError, match="no axis, a scalar has none"):
        ops.cumsum(1.0, axis=0)


def test_the_largest_of_nothing_has_no_position():
    for function in (ops.argmax, ops.argmin):
        name = function.name
        with pytest.raises(ValueError, match=rf"{name}: .*along axis 0 of shape \(0, 3\)"):
            function(np.zeros((0, 3)), axis=0)
        with pytest.raises(ValueError, match=rf"{name}: .* of shape \(0,\)"):
            function(np.zeros(0))
        assert function(np.zeros((0, 3)), axis=1).shape == (0,)


@pytest.mark.parametrize("axis", ["0", 1.0, True, [0, None], np.True_])
def test_an_axis_is_an_integer(axis):
    for function in (ops.sum, ops.max, ops.softmax, ops.cumsum, ops.argmax, ops.std):
        with pytest.raises(TypeError, match="Expected an axis as an integer, received"):
            function(COLUMNS, axis=axis)
