"""At zeros, kinks, ties, infinities and NaN, ops agree with PyTorch or differ as stated here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from torch_comparison import Comparison, compared
from torch_twins import TWINS

import gradtape as gt
from gradtape.autograd.tape import OPS

Array = np.ndarray
INF, NAN = np.inf, np.nan
#: By dtype, relative to the element or to 1.
TOLERANCES = {"float64": 1e-13, "float32": 2e-6}


def close(ours: Array, theirs: Array, dtype: str) -> Array:
    return np.isclose(ours, theirs, TOLERANCES[dtype], TOLERANCES[dtype], equal_nan=True)


def pairs(both: Comparison) -> list[tuple[Array, Array]]:
    return both.results + both.gradients


# Elementwise ops

_KINKS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0]
_SIZES = [20.0, -20.0, 90.0, -90.0, 750.0, -750.0, 1e-20, -1e-20, 1e-42, 1e30, -1e30]
ONE = (np.array([*_KINKS, *_SIZES, INF, -INF, NAN]),)
_SOME = [0.0, -0.0, 0.5, 1.0, -1.0, -2.0, 3.0, 20.0, 1e30, -1e30, INF, -INF, NAN]
TWO = tuple(a.ravel() for a in np.meshgrid(_SOME, _SOME))

FAMILIES = ("activations", "arithmetic", "comparison", "elementary")
LEFT_OUT = {
    # PyTorch has no such function, and the formula that stands for it is not meant for these.
    *("cbrt", "sparse_plus", "sparse_sigmoid", "squareplus"),
    # Not elementwise, or not of one or two arrays of floats and nothing else.
    *("argmax", "argmin", "argsort", "glu", "log_softmax", "softmax"),
    *("ldexp", "threshold", "where"),
}


def elementwise() -> list[str]:
    """The ops of these families: a new one is compared without being listed here."""
    return sorted(
        name
        for name in TWINS
        if name not in LEFT_OUT and OPS[name].__module__.rpartition(".")[2] in FAMILIES
    )


class Difference(NamedTuple):
    """Where ours and PyTorch's differ on purpose, and how."""

    where: Callable[..., Array]
    how: str


def _any_nan(*arrays: Array) -> Array:
    return np.any(np.isnan(arrays), axis=0)


_AT_NAN = Difference(_any_nan, "the result is NaN; the gradient is NaN or 0, PyTorch's 0 or g")
_AT_TIES = Difference(lambda x, y: (x == y) | _any_nan(x, y), "at ties PyTorch's goes to x only")
_EQUAL_INFINITIES = Difference(lambda x, y: np.isinf(x) & (x == y), "half each; PyTorch's is NaN")
_POWER = Difference(
    lambda x, y: (x == 0) & ((y < 0) | np.isnan(y)),
    "the gradient for y of 0^y is 0; PyTorch's is infinite for y < 0 and NaN at NaN",
)
DIFFERENCES: dict[str, Difference] = {
    **dict.fromkeys(("abs", "celu", "clip", "elu", "hard_sigmoid", "hard_silu"), _AT_NAN),
    **dict.fromkeys(("hard_tanh", "maximum", "minimum", "relu", "relu6", "selu"), _AT_NAN),
    **dict.fromkeys(("fmax", "fmin"), _AT_TIES),
    **dict.fromkeys(("logaddexp", "logaddexp2"), _EQUAL_INFINITIES),
    **dict.fromkeys(("float_power", "power"), _POWER),
    "arctan2": Difference(lambda x, y: (x == 0) & (y == 0), "no gradient (NaN); PyTorch's is 0"),
    "copysign": Difference(
        lambda x, y: (x == 0) | ~np.isfinite(x), "a change of sign or none; PyTorch's is out / x"
    ),
    "heaviside": Difference(lambda x, y: np.isnan(x), "NaN, as NumPy's; PyTorch's is 0"),
    "fmod": Difference(
        lambda x, y: (y == 0) | np.isinf(x) | np.isinf(y),
        "where there is no remainder there is no gradient; PyTorch's is that of the quotient",
    ),
    "arccosh": Difference(lambda x: x < 1, "no gradient outside its domain; PyTorch has one"),
    "softsign": Difference(np.isinf, "the gradient is 0; PyTorch's is NaN"),
    "sigmoid_cross_entropy": Difference(
        lambda x, y: np.isinf(x) | np.isinf(y),
        "infinities cancel to NaN for other labels than in PyTorch",
    ),
    "sign": Difference(np.isnan, "NaN, as NumPy's; PyTorch's is 0"),
}


@pytest.mark.parametrize("name", [*elementwise(), "sigmoid_cross_entropy"])
def test_elementwise_op(name: str) -> None:
    rng = np.random.default_rng(0)
    arrays = ONE if len(next(iter(OPS[name].samples(rng))).arrays) == 1 else TWO
    excepted = np.zeros(arrays[0].shape, bool)
    if name in DIFFERENCES:
        excepted = DIFFERENCES[name].where(*arrays)
    differs = False
    for dtype in TOLERANCES:
        with np.errstate(all="ignore"):
            both = compared(name, gt.Sample(*arrays), dtype, rng)
        for ours, theirs in pairs(both):
            same = close(ours, theirs, dtype)
            for i in np.flatnonzero(~same & ~excepted):
                pytest.fail(f"{name} of {[a[i] for a in arrays]}: {ours[i]}, PyTorch {theirs[i]}")
            differs |= not same.all()
    assert differs == (name in DIFFERENCES), "they agree by now: take it out of DIFFERENCES"


# Ops along axes. Left out: the gradient of logsumexp of -inf only, 0 with us and NaN in PyTorch;
# log_softmax of +inf, where PyTorch has NaN for every element.

_TIES = np.array([[1.0, 2.0, 2.0], [2.0, 0.0, 2.0]])
_NANS = np.array([[1.0, NAN, 2.0], [2.0, 0.0, NAN]])
_ZEROS = np.zeros((2, 3))
_INFINITIES = np.array([[1.0, -INF, 2.0], [-INF, -INF, -INF], [INF, 0.0, 1.0]])
_MINUS_INFINITY = np.array([[1.0, -INF, 2.0], [3.0, 0.0, -INF]])
_LINE = np.array([1, 3, 3, 2, 3, 1, NAN, 0, 0, 0, -INF, -INF]).reshape(1, 12, 1)

Case = tuple[str, tuple[Array, ...], dict[str, Any]]
CASES: list[Case] = [
    *(
        (name, (x,), {"axis": axis})
        for name in ("max", "min", "argmax", "argmin", "sort", "argsort")
        for x in (_TIES, _NANS)
        for axis in (None, 0, -1)
    ),
    *(
        ("norm", (x,), {"ord": order, "axis": axis})
        for x in (_ZEROS, _TIES, -_TIES, _INFINITIES)
        for order in (1, 2, INF)
        for axis in (None, 1)
    ),
    *((name, (x,), {"axis": 1}) for name in ("std", "var") for x in (_ZEROS, _TIES, _NANS)),
    *(
        (name, (x,), {"axis": 1})
        for name in ("prod", "sum", "mean", "cumsum")
        for x in (_ZEROS, _TIES, _NANS, _INFINITIES)
    ),
    *(
        (name, (x,), {"axis": -1})
        for name in ("logsumexp", "softmax", "log_softmax")
        # PyTorch's gradient of logsumexp, exp(x - out), has four digits at 1e4.
        for x in ((1e4 if name != "logsumexp" else 1.0) * _TIES, _NANS, _MINUS_INFINITY)
    ),
    ("sparse_softmax_cross_entropy", (1e4 * _TIES, np.array([0, 1])), {}),
    ("sparse_softmax_cross_entropy", (_MINUS_INFINITY, np.array([1, 1])), {}),
    ("softmax_cross_entropy", (1e4 * _TIES, np.eye(2, 3)), {}),
    *((name, (_ZEROS,), {}) for name in ("local_response_norm", "normalize")),
    *((name, (_ZEROS, np.ones(3), np.ones(3)), {}) for name in ("batch_norm", "layer_norm")),
    ("rms_norm", (_ZEROS, np.ones(3)), {}),
    ("matmul", (_INFINITIES, _INFINITIES.T), {}),
    ("where", (np.array([True, False]), np.array([NAN, 1.0]), np.array([1.0, NAN])), {}),
    *(
        (name, (_LINE,), settings)
        for name in ("max_pool", "max_pool_index", "average_pool")
        for settings in (
            {},
            {"pool_size": 3, "strides": 2},
            {"pool_size": 3, "strides": 1, "padding": "same"},
        )
    ),
    *(
        (name, (_LINE,), {"output_size": size})
        for name in ("adaptive_max_pool", "adaptive_max_pool_index", "adaptive_average_pool")
        for size in (1, 3, 5)
    ),
    ("clip", (np.array([-1.0, 0.5, INF, -INF]),), {"low": -1.0, "high": 0.5}),
    ("clip", (np.array([-1.0, 0.5, INF, -INF]),), {"low": 0.5, "high": -1.0}),
    ("threshold", (ONE[0],), {"threshold": 0.5, "default_value": 2.0}),
]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_op_along_axes(case: Case, dtype: str) -> None:
    name, arrays, settings = case
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        both = compared(name, gt.Sample(*arrays, **settings), dtype, rng)
    for ours, theirs in pairs(both):
        assert ours.shape == theirs.shape
        assert close(ours, theirs, dtype).all(), (arrays, settings, ours, theirs)
