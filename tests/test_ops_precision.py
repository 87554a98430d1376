"""Values and gradients in the tails, relative to exact ones: an absolute bar would hide their loss.

The exact values are computed with up to 700 decimal digits, from the definitions.
"""

from __future__ import annotations

import functools
from decimal import Decimal, localcontext

import numpy as np
import pytest

import gradtape as gt

ops = gt.ops
ONE, TWO = Decimal(1), Decimal(2)
DIGITS = 700
#: How many units in the last place a value or a gradient may be off.
ULPS = 24

TAILS = [20, 37.43, 60, 80, 150, 350, 700]
NEAR = [1e-10, 1e-6, 1e-3, 0.03, 0.3, 0.9, 0.99, 1.5, 3, 5, 7.3, 9.1, 12, 17]
BOTH = [-x for x in (*NEAR, *TAILS)] + [0.0, *NEAR, *TAILS]
INSIDE = [x for x in BOTH if abs(x) < 1] + [-0.999, 0.999, 0.999999, -0.999999]


@functools.cache
def exp(x):
    return x.exp()


def sigmoid(x):
    return ONE / (ONE + exp(-x))


def log1p_exp(x):
    return (ONE + exp(x)).ln()


def tanh(x):
    return ONE - TWO / (ONE + exp(TWO * x))


def slope_of_sigmoid(x):
    return sigmoid(x) * sigmoid(-x)


def pair(function):
    """A function of two logits (x, 0) as one of x."""
    return lambda x: function(ops.stack([x, 0.0 * x], axis=-1))


def first_label(logits):
    return ops.sparse_softmax_cross_entropy(logits, np.zeros(logits.shape[:-1], int))


def first_target(logits):
    return ops.softmax_cross_entropy(logits, np.array([1, 0], logits.dtype))


def of_logits(loss, **settings):
    """A loss of the logits x for targets of 1, an example each."""
    return lambda x: loss(np.ones((*x.shape, 1), x.dtype), x[..., None], **settings)


def log_cosh(x):
    return ((exp(x) + exp(-x)) / TWO).ln()


#: Function, exact value, exact derivative, where.
CASES = {
    "sigmoid": (ops.sigmoid, sigmoid, slope_of_sigmoid, BOTH),
    "logistic_density": (
        ops.logistic_density, slope_of_sigmoid,
        lambda x: -slope_of_sigmoid(x) * tanh(x / TWO), BOTH,
    ),
    "tanh": (ops.tanh, tanh, lambda x: ONE - tanh(x) ** 2, BOTH),
    "tanh_shrink": (ops.tanh_shrink, lambda x: x - tanh(x), lambda x: tanh(x) ** 2, BOTH),
    "softplus": (ops.softplus, log1p_exp, sigmoid, BOTH),
    "log_sigmoid": (ops.log_sigmoid, lambda x: -log1p_exp(-x), lambda x: sigmoid(-x), BOTH),
    "silu": (
        ops.silu, lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (ONE + x * sigmoid(-x)),
        [x for x in BOTH if not -1.5 < x < -1.2],  # the slope is 0 there
    ),
    "softsign": (
        ops.softsign, lambda x: x / (ONE + abs(x)), lambda x: (ONE + abs(x)) ** -2, BOTH,
    ),
    "elu": (
        ops.elu, lambda x: x if x > 0 else exp(x) - ONE, lambda x: ONE if x > 0 else exp(x),
        BOTH,
    ),
    "celu": (
        lambda x: ops.celu(x, alpha=0.5), lambda x: x if x > 0 else (exp(TWO * x) - ONE) / TWO,
        lambda x: ONE if x > 0 else exp(TWO * x), BOTH,
    ),
    "expm1": (ops.expm1, lambda x: exp(x) - ONE, exp, BOTH),
    "squareplus": (
        ops.squareplus, lambda x: (x + (x * x + 4).sqrt()) / TWO,
        lambda x: (x + (x * x + 4).sqrt()) / TWO / (x * x + 4).sqrt(), BOTH,
    ),
    "arctanh": (
        ops.arctanh, lambda x: ((ONE + x) / (ONE - x)).ln() / TWO,
        lambda x: ONE / (ONE - x * x), INSIDE,
    ),
    "arcsin": (ops.arcsin, None, lambda x: ONE / (ONE - x * x).sqrt(), INSIDE),
    "arccos": (ops.arccos, None, lambda x: -ONE / (ONE - x * x).sqrt(), INSIDE),
    "arccosh": (
        ops.arccosh, None, lambda x: ONE / (x * x - ONE).sqrt(), [1.000001, 1.5, 700, 1e30],
    ),
    "arcsinh": (ops.arcsinh, None, lambda x: ONE / (x * x + ONE).sqrt(), [*BOTH, 1e30, -1e30]),
    "arctan2": (
        lambda x: ops.arctan2(x, 2.0**83 + 0.0 * x), None,
        lambda x: TWO**83 / (x * x + TWO**166), [0.0, 1e20, 1e25, 1e30],
    ),
    "softmax": (pair(lambda x: ops.softmax(x)[..., 0]), sigmoid, slope_of_sigmoid, BOTH),
    "softmax of the other": (
        pair(lambda x: ops.softmax(x)[..., 1]), lambda x: sigmoid(-x),
        lambda x: -slope_of_sigmoid(x), BOTH,
    ),
    "log_softmax": (
        pair(lambda x: ops.log_softmax(x)[..., 0]), lambda x: -log1p_exp(-x),
        lambda x: sigmoid(-x), BOTH,
    ),
    "log_softmax of the other": (
        pair(lambda x: ops.log_softmax(x)[..., 1]), lambda x: -log1p_exp(x),
        lambda x: -sigmoid(x), BOTH,
    ),
    "logsumexp": (pair(lambda x: ops.logsumexp(x, axis=-1)), log1p_exp, sigmoid, BOTH),
    "logaddexp": (lambda x: ops.logaddexp(x, 0.0), log1p_exp, sigmoid, BOTH),
    "labels": (pair(first_label), lambda x: log1p_exp(-x), lambda x: -sigmoid(-x), BOTH),
    "targets": (pair(first_target), lambda x: log1p_exp(-x), lambda x: -sigmoid(-x), BOTH),
    "yes": (
        lambda x: ops.sigmoid_cross_entropy(x, 1), lambda x: log1p_exp(-x),
        lambda x: -sigmoid(-x), BOTH,
    ),
    "no": (lambda x: ops.sigmoid_cross_entropy(x, 0), log1p_exp, sigmoid, BOTH),
    "log_cosh": (of_logits(lambda t, x: gt.losses.log_cosh(t - 1, x)), log_cosh, tanh, BOTH),
    "std": (
        pair(lambda x: ops.std(x + 1.0, axis=-1)), lambda x: abs(x) / TWO,
        lambda x: ONE / TWO, [0.25, 0.5, 2**-20],
    ),
}  # fmt: skip


def error_in_ulps(ours, exact, dtype):
    """The relative error of what is a normal number, else the absolute one beside the smallest."""
    info = np.finfo(dtype)
    scale = max(abs(exact), Decimal(float(info.tiny)) / Decimal(float(info.eps)))
    return float(abs(Decimal(float(ours)) - exact) / scale / Decimal(float(info.eps)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_no_digit_is_lost_in_the_tails(name, dtype):
    function, value, slope, where = CASES[name]
    points = np.array(where, np.float32).astype(dtype)  # the same for both, and computed once
    x = gt.tensor(points, requires_grad=True)
    with np.errstate(over="ignore", under="ignore"):
        y = function(x)
        y.backward(np.ones(y.shape, dtype))
    for point, ours, rise in zip(points.tolist(), y.numpy(), x.grad.numpy(), strict=True):
        with localcontext() as context:
            context.prec = 60 + min(int(abs(point)), DIGITS)  # for exp(-2 |x|) beside 1
            exact = Decimal(point)
            for what, mine, theirs in (("value", ours, value), ("gradient", rise, slope)):
                right = None if theirs is None else theirs(exact)
                if right is not None and abs(right) < Decimal(float(np.finfo(dtype).max)):
                    error = error_in_ulps(mine, right, dtype)
                    assert error < ULPS, f"{what} at {point}: {mine}, exact {right:.8}"


def test_the_gradient_of_a_certain_softmax_is_what_is_left_of_it():
    x = gt.tensor(np.array([37.43, 0.0]), requires_grad=True)
    ops.softmax(x)[0].backward()
    np.testing.assert_allclose(x.grad.numpy(), [5.5508e-17, -5.5508e-17], rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_softmax_of_several_classes_keeps_the_small_gradients_whichever_is_largest(axis):
    logits = np.array([[40.0, 0.0, -5.0], [-700.0, 0.0, 3.0], [1.0, 41.0, 41.0]])
    cotangent = np.random.default_rng(0).uniform(-1, 1, (3, 3))
    for function, of_parts in (
        (ops.softmax, lambda p, g: [p[i] * sum(p[j] * (g[i] - g[j]) for j in p) for i in p]),
        (ops.log_softmax, lambda p, g: [
            g[i] * sum(p[j] for j in p if j != i) - p[i] * sum(g[j] for j in p if j != i)
            for i in p
        ]),
    ):  # fmt: skip
        x = gt.tensor(logits, requires_grad=True)
        function(x, axis=axis).backward(cotangent)
        rows, cotangents, ours = (
            a.reshape(1, 9) if axis is None else np.moveaxis(a, axis, -1)
            for a in (logits, cotangent, x.grad.numpy())
        )
        with localcontext() as context:
            context.prec = DIGITS
            for row, g, rise in zip(rows, cotangents, ours, strict=True):
                parts = [Decimal(v).exp() for v in row.tolist()]
                p = {i: part / sum(parts) for i, part in enumerate(parts)}
                exact = of_parts(p, [Decimal(v) for v in g.tolist()])
                for mine, theirs in zip(rise, exact, strict=True):
                    assert error_in_ulps(mine, theirs, np.float64) < 200


#: x, gelu(x), its derivative, and the same of the formula with tanh, to 17 digits (mpmath).
GELU = [
    (-0.25, -0.10032341857926907, 0.30462664511636397, -0.100324649298315, 0.30464590484893957),
    (-1.0, -0.15865525393145705, -0.083315470587686298, -0.1588080093917233, -0.082964083845782555),
    (
        -2.0,
        -0.045500263896358414,
        -0.085231801078196897,
        -0.045402305912224981,
        -0.086099256623618382,
    ),
    (
        -3.5,
        -0.00081420177662433763,
        -0.0028217603536246352,
        -0.00061619765537366331,
        -0.002422643760116431,
    ),
    (
        -5.0,
        -1.4332578593959696e-6,
        -7.1469460017922946e-6,
        -2.291796196629506e-7,
        -1.5463619875325946e-6,
    ),
    (
        -7.5,
        -2.3931687546831722e-13,
        -1.7938314830426484e-12,
        -4.0162682175141396e-18,
        -5.4233923005215781e-17,
    ),
    (
        -10.0,
        -7.6198530241605261e-23,
        -7.6184000964648141e-22,
        -1.204092348209806e-37,
        -2.7576380638540316e-36,
    ),
    (
        -12.0,
        -2.1317785344932148e-32,
        -2.5578956616748956e-31,
        -1.6359854493534811e-61,
        -5.2904033525225585e-60,
    ),
    (
        -17.0,
        -6.9801935435681407e-64,
        -1.1866049666320599e-62,
        -1.5845430789486135e-163,
        -1.0046252099873514e-161,
    ),
    (-25.0, -7.6417417659564023e-137, -1.9104257373984656e-135, 0.0, 0.0),
    (-36.0, -1.505744663687022e-282, -5.4206743593676234e-281, 0.0, 0.0),
]


@pytest.mark.parametrize(("x", "value", "slope", "value_tanh", "slope_tanh"), GELU)
def test_gelu_keeps_its_digits_below_zero(x, value, slope, value_tanh, slope_tanh):
    for approximate, expected in ((False, (value, slope)), (True, (value_tanh, slope_tanh))):
        for dtype in (np.float64, np.float32):
            t = gt.tensor(np.array(x, dtype), requires_grad=True)
            y = ops.gelu(t, approximate=approximate)
            y.backward()
            rtol = (8 + 2 * x * x) * np.finfo(dtype).eps  # x^2 in an exponent is rounded
            tiny = np.finfo(dtype).tiny / np.finfo(dtype).eps
            np.testing.assert_allclose([y.item(), t.grad.item()], expected, rtol=rtol, atol=tiny)


def test_the_spread_of_close_values_far_from_zero_is_exact():
    x = gt.tensor(np.float32([4097, 4097.0005, 4097.001, 4096.9995]), requires_grad=True)
    exact = x.numpy().astype(np.float64)
    normal = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-12)
    np.testing.assert_allclose(ops.var(x).item(), exact.var(), rtol=1e-6)
    np.testing.assert_allclose(ops.std(x).item(), exact.std(), rtol=1e-6)
    np.testing.assert_allclose(ops.normalize(x, 0, 1e-12).numpy(), normal, rtol=1e-5)


def test_logsumexp_far_from_zero_shares_its_gradient_exactly():
    x = gt.tensor(np.float32([1e6, 1e6 + 1]), requires_grad=True)
    ops.logsumexp(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.26894143, 0.7310586], rtol=1e-6)
    ops.logsumexp(x.detach().astype("float64").reshape(1, 2), axis=(0, 1))
