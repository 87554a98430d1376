"""Functions that pass through float64: rounded once, over the whole range, extremes as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_simd import _applied, _ulp

from gradtape.kernels import doubles, vector_math

Array = np.ndarray
_SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45,
     1e-38, 3e38, -3e38, 1.5, -1.5, 2.5, -2.5, 8388607.5, 16777216.0], np.float32
)  # fmt: skip


def _everywhere(count: int = 1 << 16) -> Array:
    """Floats of every size and sign."""
    bits = np.linspace(0, 0x7F7FFFFF, count // 2).astype(np.int32)
    sizes = bits.view(np.float32)
    return np.concatenate([sizes, -sizes, _SPECIAL])


def _assert_within(got: Array, exact: Array, bound: float) -> None:
    """Within so many ulp; where the exact result is no finite float32, as NumPy rounds it."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
    plain = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~plain], rounded[~plain])
    error = _ulp(got[plain], exact[plain])
    assert error.max() <= bound, (error.max(), exact[plain][error.argmax()])
    assert (np.signbit(got) == np.signbit(rounded))[plain].all()


@pytest.mark.parametrize(
    ("name", "exact"),
    [("log2", np.log2), ("log10", np.log10), ("exp2", np.exp2), ("sinh", np.sinh),
     ("cosh", np.cosh), ("cbrt", np.cbrt)],
)  # fmt: skip
def test_functions_are_rounded_once_over_the_whole_range(name: str, exact: Any) -> None:
    x = np.concatenate([_everywhere(), np.linspace(-120, 120, 1 << 15).astype(np.float32)])
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.float64))
    _assert_within(_applied(getattr(doubles, name), x), expected, 1.0)


@pytest.mark.parametrize("name", ["rint", "floor", "ceil", "trunc", "sign"])
def test_roundings_are_those_of_numpy(name: str) -> None:
    x = np.concatenate([_everywhere(), np.linspace(-9, 9, 1 << 12).astype(np.float32)])
    got, exact = _applied(getattr(vector_math, name), x), getattr(np, name)(x)
    np.testing.assert_array_equal(got, exact)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(exact))


@pytest.mark.parametrize(("name", "exact"), [("hypot", np.hypot), ("power", np.power)])
def test_functions_of_two_are_rounded_once_at_every_pair(name: str, exact: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = (a.ravel() for a in np.meshgrid(_SPECIAL, _SPECIAL))
    sizes = np.exp(rng.uniform(-80, 80, (2, 1 << 15)))
    near = rng.uniform(-3, 3, 1 << 14), np.round(rng.uniform(-40, 40, 1 << 14))
    x = np.concatenate([x, sizes[0], near[0], rng.uniform(0.5, 2, 1 << 14)]).astype(np.float32)
    y = [y, sizes[1], near[1], rng.uniform(-120, 120, 1 << 14)]
    y = np.concatenate(y).astype(np.float32)
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.float64), y.astype(np.float64))
    _assert_within(_applied(getattr(doubles, name), x, y), expected, 1.0)
