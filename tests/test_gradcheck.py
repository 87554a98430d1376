"""The checker: it passes right rules, and catches wrong ones at either order."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape.gradcheck import RTOL, GradientError, check_op
from gradtape.tape import OPS


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_gradient_of_the_registry(name):
    report = check_op(OPS[name], order=1)
    assert not report.failure
    assert report.worst <= RTOL, report.findings


@pytest.fixture
def replaced_rule(monkeypatch):
    def replace(name, *rules):
        monkeypatch.setattr(OPS[name], "gradients", rules)
        return OPS[name]

    return replace


def test_a_wrong_factor_is_caught(replaced_rule):
    report = check_op(replaced_rule("exp", lambda g, out, x: 1.01 * g * out))
    assert not report.passed
    assert report.worst > 1e-3
    assert "d out[" in report.findings[1].where


def test_a_rule_right_at_order_1_and_wrong_at_order_2_is_caught(replaced_rule):
    frozen = replaced_rule("sin", lambda g, out, x: g * np.cos(x.data))
    assert check_op(frozen, order=1).passed
    report = check_op(frozen, order=2)
    assert not report.passed
    assert report.findings[1].error <= RTOL < report.findings[2].error


def test_swapped_inputs_and_forgotten_terms_are_caught(replaced_rule):
    right_for_x, right_for_y = OPS["divide"].gradients
    swapped = replaced_rule("divide", right_for_y, right_for_x)
    assert not check_op(swapped, order=1).passed
    dropped = replaced_rule("softmax", lambda g, out, x, axis: out * g)
    assert not check_op(dropped, order=1).passed


def test_a_rule_that_raises_or_gives_nan_fails(replaced_rule):
    def broken(g, out, x):
        raise ZeroDivisionError("oops")

    assert "ZeroDivisionError" in check_op(replaced_rule("exp", broken)).failure
    assert not check_op(replaced_rule("exp", lambda g, out, x: g * np.nan)).passed


def test_a_forward_that_writes_into_its_input_fails(monkeypatch):
    def inplace(x):
        if x.flags.writeable:
            x += 0.125
        return x.copy()

    monkeypatch.setattr(OPS["copy"], "forward", inplace)
    assert "wrote into its input" in check_op(OPS["copy"], order=1).failure


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
