"""Registration: what makes an op, what is refused, how settings are bound."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import FunctionType

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.registry import op
from gradtape.autograd.tape import OPS
from gradtape.samples import no_samples, unary

#: Pieces of gradient rules that several families share; no ops in their own right.
HELPERS = {"kept"}


def test_an_op_of_a_user_is_differentiable_and_checked():
    @gt.op(gradients=(lambda g, out, x, scale: 3 * scale * g * x * x,), samples=unary(scale=(2.0,)))
    def scaled_cube(x, /, scale=1.0):
        """scale x^3."""
        return scale * x**3

    x = gt.tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = scaled_cube(x, scale=2.0)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [6, 24])
    report = gt.prove(scaled_cube)
    assert report.passed
    assert report.cases > 200
    assert "scaled_cube" in OPS


def test_registering_without_rule_or_twice_fails():
    def half(x, /):
        return x / 2

    with pytest.raises(TypeError, match="gradients"):
        op(samples=unary())
    with pytest.raises(TypeError, match="needs samples"):
        op(gradients=(None,), samples=None)(half)
    with pytest.raises(TypeError, match="takes 1 arrays"):
        op(gradients=(), samples=unary())(half)
    with pytest.raises(TypeError, match="callable or None"):
        op(gradients=(3,), samples=unary())(half)
    with pytest.raises(TypeError, match="any number of arrays"):
        op(gradients=(lambda g, out, x: g,), samples=unary())(lambda *xs: xs[0])
    op(gradients=(lambda g, out, x: g / 2,), samples=unary())(half)
    with pytest.raises(ValueError, match="'half' is already registered"):
        op(gradients=(lambda g, out, x: g / 2,), samples=unary())(half)


def test_an_op_without_samples_can_be_tried_but_not_proven():
    @gt.op(gradients=(lambda g, out, x: 3 * g * x * x,))
    def cube(x, /):
        return x**3

    @gt.composite()
    def twice(x):
        return 2 * x

    assert gt.gradcheck(cube, np.array([1.0, 2.0])) < 1e-6
    assert gt.gradcheck(twice, np.array([1.0, 2.0])) < 1e-6
    for made in (cube, twice):
        report = gt.prove(made)
        assert not report.passed and "has no samples" in report.failure


def test_every_op_of_ours_has_samples():
    assert [name for name, made in OPS.items() if made.samples is no_samples] == []


def test_a_rule_of_the_wrong_shape_is_refused():
    @op(gradients=(lambda g, out, x: g[:1],), samples=unary())
    def sloppy(x, /):
        return x * 1.0

    x = gt.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"'sloppy' for input 0 returned shape \(1,\)"):
        sloppy(x).sum().backward()


def test_settings_bind_by_position_and_by_keyword():
    x = gt.tensor(np.arange(6.0).reshape(2, 3))
    assert gt.ops.sum(x, 0).shape == gt.ops.sum(x, axis=0).shape == (3,)
    assert gt.ops.sum(x, 1, True).shape == (2, 1)
    assert gt.ops.concatenate([x, x], 1).shape == (2, 6)
    with pytest.raises(TypeError, match="no setting 'axes'"):
        gt.ops.sum(x, axes=0)
    with pytest.raises(TypeError, match="received 3 positional settings"):
        gt.ops.sum(x, 0, True, 5)
    with pytest.raises(TypeError, match="takes 2 arrays"):
        gt.ops.add(x)


def test_numpy_errors_name_the_op_and_the_shapes():
    with pytest.raises(ValueError, match=r"add: .*\(2,\), \(3,\)"):
        gt.ops.add(gt.tensor([1.0, 2.0]), gt.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_has_a_description_that_ends_its_first_line(name):
    assert OPS[name].__doc__
    assert OPS[name].__doc__.strip().splitlines()[0].endswith((".", ":"))


def test_every_public_differentiable_function_is_registered():
    families = [import_module(f"gradtape.ops.{m.name}") for m in iter_modules(gt.ops.__path__)]
    plain = [
        f"{family.__name__}.{name}"
        for family in families
        for name, value in vars(family).items()
        if isinstance(value, FunctionType) and not name.startswith("_")
        if value.__module__ == family.__name__ and value.__annotations__.get("return") == "Tensor"
        if name not in HELPERS
    ]
    assert not plain, "public functions that return tensors, but no @op or @composite"
    assert set(gt.ops.__all__) <= set(OPS)
