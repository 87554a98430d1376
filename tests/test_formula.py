"""Formulas: what NumPy code says on arrays to come, and the kernels that compute it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradtape.kernels.elements import Elements
from gradtape.kernels.formula import (
    NotElementwise,
    compiled,
    factor,
    given,
    number,
    operation,
)

Array = np.ndarray
_X = np.linspace(-3, 3, 64).astype(np.float32)
_Y = np.linspace(2, -1, 64).astype(np.float32)


def _run(formula: Any, results: int = 1, **arrays: Array) -> list[Array]:
    outs = [np.empty_like(_X) for _ in range(results)]
    inputs = [arrays[name].ctypes.data for name in formula.reads]
    formula.kernel(list(formula.arguments([o.ctypes.data for o in outs], inputs, _X.size)))
    return outs


def _of(function: Callable[..., Any]) -> Array:
    """What a function of two arrays computes as a kernel."""
    result = function(Elements(given("x")), Elements(given("y")))
    return _run(compiled([result.expression]), x=_X, y=_Y)[0]


def _augmented(x: Any, y: Any) -> Any:
    z = x.copy()
    z -= y
    z *= 2
    z[...] += x
    z[:] = z / 3
    return z


def _into(x: Any, y: Any) -> Any:
    z = np.empty_like(x)
    np.multiply(x, y, out=z)
    np.add(z, 1, out=z, where=x > 0)
    np.copyto(z, y, where=y > 1.5)
    return np.maximum(z, -1, out=z)


def _masked(x: Any, y: Any) -> Any:
    z = x.copy()
    z[(x > 1) | (y < 0)] = 0.5
    z[~np.isfinite(x)] = 0
    return z


def _branching(x: Any, y: Any, slope: float = 0.2, limit: float | None = None) -> Any:
    below = slope * x if slope else x.dtype.type(0)
    z = np.where(x > 0, x, below)
    return z if limit is None else np.minimum(z, limit)


def _counted(x: Any, y: Any) -> Any:
    return (x > 0).astype(x.dtype) + np.float32(2) * (x > y) - np.float64(0.5) * (y <= 1)


def _polynomial(x: Any, y: Any) -> Any:
    return x**2 - x**3 / 6 + 0.1 * x**-1 + np.square(y) * y**4 - abs(x) ** 1.5


@pytest.mark.parametrize(
    "function", [_augmented, _into, _masked, _branching, _counted, _polynomial]
)
def test_numpy_code_becomes_a_kernel_that_computes_the_same(function: Any) -> None:
    np.testing.assert_allclose(_of(function), function(_X, _Y), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    "name",
    ["add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax", "fmin", "heaviside",
     "copysign", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
     "logical_and", "logical_or", "logical_xor"],
)  # fmt: skip
def test_exact_functions_of_two_are_those_of_numpy_at_every_extreme(name: str) -> None:
    special = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 1e-45], np.float32)
    x, y = (a.ravel() for a in np.meshgrid(special, special))
    result = getattr(np, name)(Elements(given("x")), Elements(given("y")))
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x, y)
    np.testing.assert_array_equal(_run(compiled([result.expression]), x=x, y=y)[0], exact)


def test_what_is_built_alike_is_the_same_and_computed_once() -> None:
    x, y = Elements(given("x")), Elements(given("y"))
    first, second = np.exp(x * y) + 1, np.exp(x * y) - y
    assert (np.exp(x * y) + 1).expression is first.expression
    formula = compiled([first.expression, second.expression])
    assert formula.source.count("exp(") == 1
    got = _run(formula, 2, x=_X, y=_Y)
    np.testing.assert_allclose(got[0], np.exp(_X * _Y) + 1, rtol=1e-6)
    np.testing.assert_allclose(got[1], np.exp(_X * _Y) - _Y, rtol=1e-6, atol=1e-6)


def test_another_number_needs_no_other_kernel() -> None:
    def made(slope: float) -> Any:
        x = Elements(given("x"))
        return compiled([np.where(x > 0, x, slope * x).expression])

    a, b = made(0.3), made(0.4)
    assert a.kernel is b.kernel and a.parameters != b.parameters
    np.testing.assert_array_equal(_run(b, x=_X)[0], np.where(_X > 0, _X, np.float32(0.4) * _X))


def test_a_result_may_be_written_over_its_input() -> None:
    x = _X.copy()
    formula = compiled([(Elements(given("x")) * 2 + 1).expression])
    formula.kernel(list(formula.arguments([x.ctypes.data], [x.ctypes.data], x.size)))
    np.testing.assert_array_equal(x, _X * 2 + 1)


def test_a_product_that_is_added_is_fused() -> None:
    x, y = Elements(given("x")), Elements(given("y"))
    for made in (x * y + 1, 1 + x * y, x * y - 1, 1 - x * y):
        assert "fma(" in compiled([made.expression]).source
    product = x * y
    twice = compiled([(product + product * 3).expression])
    np.testing.assert_allclose(_run(twice, x=_X, y=_Y)[0], _X * _Y * 4, rtol=1e-6)


def test_numbers_are_computed_and_what_does_nothing_is_left_out() -> None:
    x = given("x")
    assert operation("exp", number(0.0)) is number(1.0)
    assert operation("mul", x, number(1.0)) is x and operation("sub", x, number(0.0)) is x
    assert operation("greater", number(1.0), number(2.0)) is number(False)
    assert operation("select", number(True), x, number(0.0)) is x
    assert operation("add", x, number(0.0)) is not x  # of -0 it makes 0
    assert operation("mul", x, factor(0)) is not operation("mul", x, factor(1))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.sum(), r"\.sum"),
        (lambda x: np.sum(x), r"np\.sum"),
        (lambda x: np.add.reduce(x), r"np\.add\.reduce"),
        (lambda x: x[0], "some of the elements"),
        (lambda x: x[x > 0], "some of the elements"),
        (lambda x: x if x else 0, "values"),
        (lambda x: math.exp(x), "values"),
        (lambda x: len(x), "values"),
        (lambda x: list(x), "values"),
        (lambda x: np.asarray(x), "values"),
        (lambda x: x * x.shape[0], r"\.shape"),
        (lambda x: x * x.ndim, r"\.ndim|SomeAxes|takes"),
        (lambda x: x.ndim == 2, r"\.ndim"),
        (lambda x: x + np.arange(3), r"shape \(3,\)"),
        (lambda x: x.astype(np.float64), "dtype float64"),
        (lambda x: np.sin(x), "np.sin has no form"),
        (lambda x: x @ x, "np.matmul"),
        (lambda x: np.add(x, 1, out=np.zeros(3, np.float32)), "elsewhere"),
        (lambda x: np.exp(x, dtype=np.float64), "another dtype"),
    ],
)
def test_what_is_not_elementwise_is_refused_and_named(function: Any, reason: str) -> None:
    with pytest.raises(NotElementwise, match=reason):
        function(Elements(given("x")))


_UNCOMPILED = """
import numpy as np
from gradtape.kernels.elements import Elements
from gradtape.kernels.formula import compiled, given
x = np.linspace(-3, 3, 16).astype(np.float32)
e = Elements(given("x"))
made = np.where(e > 0, np.log1p(e), np.expm1(e) ** 1.5) + np.hypot(e, 0.3) * np.cosh(e)
with np.errstate(all="ignore"):
    exact = np.where(x > 0, np.log1p(x), np.expm1(x) ** 1.5) + np.hypot(x, 0.3) * np.cosh(x)
    formula, out = compiled([made.expression]), np.empty_like(x)
    formula.kernel(list(formula.arguments([out.ctypes.data], [x.ctypes.data], x.size)))
np.testing.assert_allclose(out, exact, rtol=1e-6)
"""


def test_formulas_work_without_compilation() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNCOMPILED],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
