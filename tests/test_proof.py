"""The proof of the registry: right rules pass, and each aspect catches what it is there for."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.tape import OPS
from gradtape.proof.gradcheck import RTOL
from gradtape.proof.proof import prove


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_is_proven_at_first_order(name):
    report = prove(OPS[name], order=1, thinning=24)  # `make gradcheck` takes every sample
    assert report.passed, (report.failed, report.where, report.failure)
    assert report.cases >= 3


@pytest.fixture
def replaced_rule(monkeypatch):
    def replace(name, *rules):
        monkeypatch.setattr(OPS[name], "gradients", rules)
        return OPS[name]

    return replace


@pytest.fixture
def replaced_forward(monkeypatch):
    def replace(name, forward):
        monkeypatch.setattr(OPS[name], "forward", forward)
        return OPS[name]

    return replace


def test_an_op_is_proven_by_its_name():
    assert gt.prove("exp", order=1, thinning=8).passed
    with pytest.raises(ValueError, match=r"Unknown op 'exq'. Did you mean 'exp'"):
        gt.prove("exq")
    with pytest.raises(TypeError, match=r"an op or the name of one.*gradcheck"):
        gt.prove(np.exp)


@pytest.mark.parametrize(
    "settings",
    [{"order": 0}, {"order": 1.0}, {"thinning": 0}, {"dtypes": ()}, {"dtypes": ("float16",)}],
)
def test_settings_that_would_prove_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        gt.prove("exp", **settings)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (lambda rng: [], "its samples yield nothing"),
        (lambda rng: [gt.Sample(np.zeros((0, 2)), np.ones(2))], "differentiates by x$"),
        (lambda rng: [gt.Sample(np.ones(2), np.arange(2))], "differentiates by y"),
        (lambda rng: [gt.Sample(np.ones(2), np.ones(2)).without_gradient(0)], "by x$"),
    ],
)
def test_a_rule_that_no_sample_compares_is_not_proven(samples, said):
    @gt.op(
        gradients=(lambda g, out, x, y: g * y, lambda g, out, x, y: g * x),
        samples=samples,
        broadcasts=True,
    )
    def times(x, y, /):
        """x y."""
        return x * y

    report = gt.prove(times)
    assert not report.passed
    assert re.search(said, report.failure)


def test_a_wrong_factor_is_caught(replaced_rule):
    report = prove(replaced_rule("exp", lambda g, out, x: 1.01 * g * out), thinning=8)
    assert report.failed == ["order 1", "order 2"]
    assert report.findings["order 1"].error > 1e-3
    where = report.findings["order 1"].where
    assert re.search(r"d output.* / d x|a random projection of x", where), where


def test_a_rule_right_at_order_1_and_wrong_at_order_2_is_caught(replaced_rule):
    frozen = replaced_rule("sin", lambda g, out, x: g * np.cos(x.data))
    assert prove(frozen, order=1, thinning=8).passed
    report = prove(frozen, order=2, thinning=8)
    assert report.failed == ["order 2"]
    assert report.findings["order 1"].error <= RTOL


def test_swapped_inputs_and_forgotten_terms_are_caught(replaced_rule):
    right_for_x, right_for_y = OPS["divide"].gradients
    assert not prove(replaced_rule("divide", right_for_y, right_for_x), order=1, thinning=8).passed
    assert not prove(
        replaced_rule("softmax", lambda g, out, x, axis: out * g), order=1, thinning=8
    ).passed


def test_a_rule_not_linear_in_its_cotangent_is_caught(replaced_rule):
    squared = replaced_rule("negative", lambda g, out, x: -g * g * g / (g * g).detach())
    assert "jvp" in prove(squared, thinning=8).failed


def test_a_rule_that_raises_or_gives_nan_fails(replaced_rule):
    def broken(g, out, x):
        raise ZeroDivisionError("oops")

    assert "ZeroDivisionError" in prove(replaced_rule("exp", broken)).failure
    assert not prove(replaced_rule("exp", lambda g, out, x: g * np.nan), thinning=8).passed


def test_a_forward_that_writes_into_its_input_fails(replaced_forward):
    def inplace(x):
        if x.flags.writeable:
            x += 0.125
        return x.copy()

    assert "wrote into its input" in prove(replaced_forward("copy", inplace)).failure


def test_a_forward_that_ignores_strides_fails(replaced_forward):
    def first_bytes(x):
        base = x if x.base is None else x.base
        return np.ravel(base)[: x.size].reshape(x.shape).copy()

    assert "order 1" in prove(replaced_forward("copy", first_bytes), order=1, thinning=4).failed


def test_a_forward_that_changes_the_dtype_fails(replaced_forward):
    def half(x):
        return np.negative(x).astype(np.float16)

    assert "float32 in, float16 out" in prove(replaced_forward("negative", half)).failure


def test_a_careless_float32_forward_is_caught(replaced_forward):
    def careless(x):
        return np.log(1 + x)

    assert "float32" in prove(replaced_forward("log1p", careless), order=1, thinning=4).failed


@pytest.mark.parametrize(
    ("name", "careless"),
    [
        ("sigmoid", lambda g, out, x: g * out * (1.0 - out)),  # 1 - out cancels
        ("softmax", lambda g, out, x, axis: out * (g - (g * out).sum(axis, keepdims=True))),
    ],
)
def test_a_careless_float32_rule_is_caught(replaced_rule, name, careless):
    report = prove(replaced_rule(name, careless), order=1)
    assert report.failed == ["float32"], (report.failed, report.failure)
    assert report.where.endswith(", gradient")


def test_a_linear_op_that_is_not_linear_fails(replaced_forward):
    assert (
        "order 1"
        in prove(replaced_forward("negative", lambda x: -x - 1e-9 * x**5), thinning=8).failed
    )
