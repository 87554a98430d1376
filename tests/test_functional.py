"""Functional autograd against derivatives written by hand."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt

X = np.array([0.5, -1.0, 2.0])
Y = np.array([1.5, 0.5, -0.5])


def cubes(x):
    return (x**3).sum()


def test_grad_and_value_and_grad():
    np.testing.assert_allclose(gt.grad(cubes)(X).numpy(), 3 * X**2)
    value, gradient = gt.value_and_grad(cubes)(X)
    assert value.item() == pytest.approx((X**3).sum())
    np.testing.assert_allclose(gradient.numpy(), 3 * X**2)
    assert not gradient.requires_grad
    assert not value.requires_grad


def test_grad_by_several_arguments_and_with_auxiliary_output():
    def f(x, y, scale):
        return (x * y * scale).sum(), x + y

    (by_x, by_y), aux = gt.grad(f, argnums=(0, 1), has_aux=True)(X, Y, 2.0)
    np.testing.assert_allclose(by_x.numpy(), 2 * Y)
    np.testing.assert_allclose(by_y.numpy(), 2 * X)
    np.testing.assert_allclose(aux.numpy(), X + Y)
    np.testing.assert_allclose(gt.grad(f, argnums=-2, has_aux=True)(X, Y, 1.0)[0].numpy(), X)


def test_gradients_have_the_structure_of_the_arguments():
    def f(parameters):
        return (parameters["w"] * parameters["rest"][0]).sum() + parameters["rest"][1][0] * 2

    parameters = {"w": X, "rest": [Y, (np.array(3.0),)], "labels": np.array([1, 2])}
    found = gt.grad(f)(parameters)
    np.testing.assert_allclose(found["w"].numpy(), Y)
    np.testing.assert_allclose(found["rest"][0].numpy(), X)
    assert found["rest"][1][0].item() == 2
    assert found["labels"] is None
    assert isinstance(found["rest"][1], tuple)


def test_grad_of_grad_to_any_depth():
    def f(x):
        return x**5

    for n, factor in enumerate([5, 20, 60, 120, 120], start=1):
        g = f
        for _ in range(n):
            g = gt.grad(g)
        assert g(np.array(1.5)).item() == pytest.approx(factor * 1.5 ** (5 - n))


def test_unconnected_inputs_get_zeros():
    found = gt.grad(lambda x, y: x.sum(), argnums=1)(X, Y)
    np.testing.assert_array_equal(found.numpy(), np.zeros(3))


def test_vjp_pulls_back_any_number_of_cotangents():
    out, pull_back = gt.vjp(lambda x, y: [x * y, (x * x).sum()], X, Y)
    np.testing.assert_allclose(out[0].numpy(), X * Y)
    for u in (np.ones(3), np.array([1.0, -2.0, 3.0])):
        by_x, by_y = pull_back([u, 0.5])
        np.testing.assert_allclose(by_x.numpy(), u * Y + X)
        np.testing.assert_allclose(by_y.numpy(), u * X)
    with pytest.raises(ValueError, match=r"cotangent 0: expected shape \(3,\), received \(2,\)"):
        pull_back([np.ones(2), 0.5])
    with pytest.raises(ValueError, match="expected 2 tensors, received 1"):
        pull_back([np.ones(3)])


def test_jvp_pushes_tangents_forward():
    v, w = np.array([1.0, 2.0, -1.0]), np.array([0.5, 0.0, 3.0])
    out, tangent = gt.jvp(lambda x, y: {"a": gt.ops.sin(x) * y}, (X, Y), (v, w))
    np.testing.assert_allclose(out["a"].numpy(), np.sin(X) * Y)
    np.testing.assert_allclose(tangent["a"].numpy(), np.cos(X) * Y * v + np.sin(X) * w)
    with pytest.raises(ValueError, match=r"tangent 1: expected shape \(3,\), received \(\)"):
        gt.jvp(lambda x, y: x * y, (X, Y), (v, 1.0))


def test_jvp_of_something_constant_is_zero():
    _, tangent = gt.jvp(lambda x: gt.ops.floor(x), (X,), (X,))
    np.testing.assert_array_equal(tangent.numpy(), np.zeros(3))


def test_jacobian_of_a_matrix_product():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    found = gt.jacobian(lambda x, y: x @ y, argnums=(0, 1))(a, b)
    assert found[0].shape == (2, 4, 2, 3)
    assert found[1].shape == (2, 4, 3, 4)
    np.testing.assert_allclose(found[0].numpy(), np.einsum("ik,lj->ijkl", np.eye(2), b))
    np.testing.assert_allclose(found[1].numpy(), np.einsum("il,jm->ijlm", a, np.eye(4)))
    assert gt.jacobian(lambda x: x)(np.zeros((0, 2))).shape == (0, 2, 0, 2)


def test_hessian_and_its_product_with_a_vector():
    def f(x):
        return (x[0] ** 2 * x[1] + gt.ops.exp(x[2]) * x[0]).sum()

    a, b, c = X
    expected = np.array([[2 * b, 2 * a, np.exp(c)], [2 * a, 0, 0], [np.exp(c), 0, a * np.exp(c)]])
    np.testing.assert_allclose(gt.hessian(f)(X).numpy(), expected)
    (product,) = gt.hvp(f, (X,), (Y,))
    np.testing.assert_allclose(product.numpy(), expected @ Y)
    jacobian_of_gradient = gt.jacobian(gt.grad(f))(X)
    np.testing.assert_allclose(jacobian_of_gradient.numpy(), expected)


def test_a_gradient_taken_inside_a_taped_function_can_be_differentiated():
    w = gt.tensor(np.array([2.0]), requires_grad=True)

    def penalty(w):
        slope = gt.grad(lambda x: (w * x**2).sum())(np.array([3.0]) * w.detach() + 0 * w)
        return (slope**2).sum()

    # slope = 2 w x at x = 6, so the penalty is (12 w)^2 as a function of the w that multiplies
    found = gt.grad(penalty)(w)
    assert found.item() == pytest.approx(2 * 12 * 12 * 2.0)


def test_stop_gradient_over_a_structure():
    found = gt.grad(lambda x: (x * gt.stop_gradient({"x": x})["x"]).sum())(X)
    np.testing.assert_allclose(found.numpy(), X)


def test_functional_derivatives_leave_grad_alone_and_work_under_no_grad():
    x = gt.tensor(X, requires_grad=True)
    with gt.no_grad():
        np.testing.assert_allclose(gt.grad(cubes)(x).numpy(), 3 * X**2)
    gt.grad(cubes)(x)
    assert x.grad is None


def test_clear_errors():
    with pytest.raises(ValueError, match=r"cubes_of returned shape \(3,\)"):

        def cubes_of(x):
            return x**3

        gt.grad(cubes_of)(X)
    with pytest.raises(ValueError, match="argnums=2 names argument 2"):
        gt.grad(cubes, argnums=2)(X)
    with pytest.raises(TypeError, match="nothing that can be differentiated"):
        gt.grad(cubes)(np.array([1, 2]))
