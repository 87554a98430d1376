"""Pooling against nested loops, at every geometry that hypothesis can think of."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gradtape as gt
from gradtape import ops
from gradtape.errors import ShapeError

few = settings(max_examples=60, deadline=None, derandomize=True)
DTYPES = st.sampled_from([np.float32, np.float64])


class Pooling(NamedTuple):
    """The input's shape, the settings as a user gives them, and the pixels under each window."""

    x: tuple[int, ...]
    given: dict[str, Any]
    under: dict[Any, list[Any]]


@st.composite
def poolings(draw: Any) -> Pooling:
    rank = draw(st.integers(1, 3))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank)))

    size, pool = per_axis(1, (12, 7, 4)[rank - 1]), per_axis(1, 3)
    strides = draw(st.sampled_from([None, per_axis(1, 4)]))
    moves = pool if strides is None else strides
    padding: Any = draw(st.sampled_from(["valid", "same", "pairs"]))
    if padding == "same":
        pairs = [reference.same_padding(*a) for a in zip(size, pool, moves, strict=True)]
    elif padding == "valid":
        pairs = [(0, 0)] * rank
    else:
        most = min(pool) - 1
        padding = pairs = list(zip(per_axis(0, most), per_axis(0, most), strict=True))
    under = reference.windows(size, pool, moves, pairs)
    assume(under)
    x = (draw(st.integers(0, 2)), *size, draw(st.integers(1, 3)))
    return Pooling(x, dict(pool_size=pool, strides=strides, padding=padding), under)


@st.composite
def bins(draw: Any) -> Pooling:
    rank = draw(st.integers(1, 3))
    axes = st.lists(st.integers(1, (12, 7, 4)[rank - 1]), min_size=rank, max_size=rank)
    size, outputs = tuple(draw(axes)), tuple(draw(axes))
    x = (draw(st.integers(0, 2)), *size, draw(st.integers(1, 3)))
    return Pooling(x, {"output_size": outputs}, reference.bins(size, outputs))


def _close(actual: Any, expected: np.ndarray, terms: int, dtype: Any = np.float64) -> None:
    """Within 4 sqrt(K) eps, for means of K terms of unit scale."""
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    allowed = 4 * math.sqrt(max(1, terms)) * np.finfo(dtype).eps
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=allowed)


def _spread(x: np.ndarray, under: Any, cotangent: np.ndarray, shares: Any) -> np.ndarray:
    """The gradient for x: `shares(values)` says how a window's cotangent is split."""
    gradient = np.zeros(x.shape)
    for p, pixels in under.items():
        for n, c in np.ndindex(len(x), x.shape[-1]):
            values = [float(x[(n, *q, c)]) for q in pixels]
            for q, share in zip(pixels, shares(values), strict=True):
                gradient[(n, *q, c)] += share * cotangent[(n, *p, c)]
    return gradient


def _even(values: list[float]) -> list[float]:
    return [1 / len(values)] * len(values)


def _winner(values: list[float]) -> list[float]:
    return [float(i == reference.first_maximum(values)) for i in range(len(values))]


def _check(function: Any, case: Pooling, x: np.ndarray, reduce: Any, shares: Any) -> None:
    """Value and gradient of a pooling function against the loops."""
    leaf = gt.tensor(x, requires_grad=True)
    y = function(leaf, **case.given)
    terms = max(map(len, case.under.values()))
    _close(y, reference.pool(x, case.under, reduce), terms, x.dtype.type)
    cotangent = np.random.default_rng(0).uniform(-1, 1, y.shape).astype(x.dtype)
    y.backward(cotangent)
    expected = _spread(x, case.under, cotangent, shares)
    _close(leaf.grad, expected, 2 * len(case.under), x.dtype.type)


# Values and gradients


@few
@given(poolings(), DTYPES, st.integers(0, 99))
def test_average_pool_equals_nested_loops(case: Pooling, dtype: Any, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-1, 1, case.x).astype(dtype)
    _check(ops.average_pool, case, x, np.mean, _even)


@few
@given(poolings(), DTYPES, st.integers(0, 99))
def test_max_pool_equals_nested_loops_ties_and_all(case: Pooling, dtype: Any, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-4, 0, case.x).astype(dtype)
    _check(ops.max_pool, case, x, max, _winner)


@few
@given(poolings(), st.integers(0, 99))
def test_max_pool_index_finds_the_first_maximum(case: Pooling, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.choice([np.nan, -np.inf, -1.0, 2.0, np.inf], case.x)
    index = ops.max_pool_index(x, **case.given).numpy()
    assert index.dtype == np.int32
    for p, pixels in case.under.items():
        for n, c in np.ndindex(len(x), x.shape[-1]):
            first = pixels[reference.first_maximum([x[(n, *q, c)] for q in pixels])]
            assert np.unravel_index(index[(n, *p, c)], x.shape[1:-1]) == first


@few
@given(bins(), DTYPES, st.integers(0, 99))
def test_adaptive_pooling_equals_nested_loops(case: Pooling, dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    _check(
        ops.adaptive_average_pool, case, rng.uniform(-1, 1, case.x).astype(dtype), np.mean, _even
    )
    _check(ops.adaptive_max_pool, case, rng.integers(-4, 0, case.x).astype(dtype), max, _winner)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling_leaves_one_pixel(rank: int, keepdims: bool) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, *(3, 4, 5)[:rank], 3))
    axes = tuple(range(1, rank + 1))
    mean, most = x.mean(axes, keepdims=keepdims), x.max(axes, keepdims=keepdims)
    np.testing.assert_allclose(ops.global_average_pool(x, keepdims).numpy(), mean, atol=1e-15)
    assert np.array_equal(ops.global_max_pool(x, keepdims).numpy(), most)


def test_the_gradient_of_equal_maxima_goes_to_the_first() -> None:
    x = gt.tensor(np.ones((1, 3, 3, 1)), requires_grad=True)
    ops.max_pool(x, 2, 1).sum().backward()
    assert x.grad.numpy()[0, ..., 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    y = gt.tensor(np.ones((1, 2, 2, 1)), requires_grad=True)
    ops.global_max_pool(y).sum().backward()
    assert y.grad.numpy().ravel().tolist() == [1, 0, 0, 0]


def test_padding_is_never_the_maximum_and_never_counts() -> None:
    x = np.full((1, 3, 3, 1), -5.0)
    assert (ops.max_pool(x, 2, padding="same").numpy() == -5).all()
    assert (ops.max_pool(x, 3, 1, padding=((2, 2), (1, 1))).numpy() == -5).all()
    assert (ops.average_pool(x, 2, padding="same").numpy() == -5).all()
    assert (ops.max_pool(np.full((1, 3, 1), -np.inf), 2, 1, "same").numpy() == -np.inf).all()


def test_nan_propagates_through_pooling() -> None:
    x = np.zeros((1, 4, 1))
    x[0, 1] = np.nan
    assert np.isnan(ops.max_pool(x, 2).numpy()).ravel().tolist() == [True, False]
    assert np.isnan(ops.average_pool(x, 2).numpy()).ravel().tolist() == [True, False]


def test_max_pool_has_a_second_derivative() -> None:
    x = gt.tensor(np.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 4, 1), requires_grad=True)
    (ops.max_pool(x, 2) ** 3).sum().backward(create_graph=True)
    first = x.grad
    assert first.numpy().ravel().tolist() == [27, 0, 0, 75]
    x.zero_grad()
    first.sum().backward()
    assert x.grad.numpy().ravel().tolist() == [18, 0, 0, 30]


# Whatever arrives


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "pool",
    [
        ops.max_pool,
        ops.average_pool,
        lambda x: ops.adaptive_average_pool(x, 2),
        lambda x: ops.adaptive_max_pool(x, 2),
    ],
)
def test_empty_batch(rank: int, pool: Any) -> None:
    x = gt.tensor(np.zeros((0, *(4,) * rank, 3)), requires_grad=True)
    y = pool(x)
    assert y.shape == (0, *(2,) * rank, 3)
    y.backward(np.zeros(y.shape))
    assert x.grad.shape == x.shape


def test_memory_order_does_not_matter_and_inputs_are_left_alone() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, 6, 5, 3))
    frozen = x.copy()
    frozen.flags.writeable = False
    orders = [np.asfortranarray(x), np.flip(np.flip(x).copy()), np.repeat(x, 2, -1)[..., ::2]]
    for pool in (ops.max_pool, ops.average_pool):
        expected = pool(x).numpy()
        for other in (*orders, frozen):
            kept = other.copy()
            assert np.array_equal(pool(other).numpy(), expected)
            assert np.array_equal(other, kept)


def test_the_maximum_of_integers_is_an_integer_and_their_mean_a_float() -> None:
    x = np.arange(8).reshape(1, 4, 2)
    for pool, expected, dtype in (
        (ops.max_pool, [2, 3, 6, 7], x.dtype),
        (ops.average_pool, [1, 2, 5, 6], np.float32),
    ):
        y = pool(x)
        assert y.dtype == dtype
        assert y.numpy().ravel().tolist() == expected
    assert ops.max_pool(x + 2**60).numpy().ravel().tolist() == [2**60 + i for i in (2, 3, 6, 7)]


def test_settings_are_canonical_on_the_tape() -> None:
    x = gt.tensor(np.ones((1, 6, 6, 1)), requires_grad=True)
    expected = {"pool_size": (3, 3), "strides": (3, 3), "padding": ((0, 0), (0, 0))}
    assert ops.average_pool(x, [3, np.int64(3)])._node.settings == expected


# Errors


@pytest.mark.parametrize("pool", [ops.max_pool, ops.average_pool])
@pytest.mark.parametrize(
    ("shape", "given", "error", "words"),
    [
        (
            (4, 4),
            {},
            ShapeError,
            "expected x of shape (N, L, C) or (N, H, W, C) or (N, D, H, W, C)",
        ),
        ((1, 3, 4, 1), {"pool_size": 4}, ShapeError, "pool_size reaches over 4 elements"),
        ((1, 4, 4, 1), {"pool_size": 0}, ValueError, "pool_size to be an int of at least 1"),
        ((1, 4, 4, 1), {"pool_size": (2, 2, 2)}, ValueError, "received pool_size=(2, 2, 2)"),
        ((1, 4, 4, 1), {"strides": 0}, ValueError, "strides to be an int of at least 1"),
        ((1, 4, 4, 1), {"padding": "full"}, ValueError, "received padding='full'"),
        ((1, 4, 4, 1), {"padding": 2}, ValueError, "a window could lie on padding only"),
    ],
)
def test_bad_input_is_refused_in_words(
    pool: Any, shape: Any, given: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)) as caught:
        pool(np.zeros(shape), **given)
    assert str(caught.value).startswith(pool.name)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: ops.global_max_pool(x[:, :0]), ShapeError, "with at least one pixel"),
        (lambda x: ops.global_average_pool(x[:, :0]), ShapeError, "with at least one pixel"),
        (lambda x: ops.adaptive_average_pool(x, 0), ValueError, "output_size to be an int"),
        (lambda x: ops.adaptive_max_pool(x[0, 0], 1), ShapeError, "received (4, 1)"),
        (
            lambda x: ops.average_pool_gradient(x, 5),
            ShapeError,
            "expected a gradient of shape (1, 2, 2, 1), received (1, 4, 4, 1)",
        ),
        (lambda x: ops.gather_positions(x, x), TypeError, "expected integer positions"),
        (lambda x: ops.gather_positions(x, x[0].astype(int)), ShapeError, "with the same N, C"),
        (
            lambda x: ops.gather_positions(x, x.astype(int) + 16),
            IndexError,
            "outside the 16 pixels",
        ),
        (lambda x: ops.gather_positions(x, x.astype(int) - 1), IndexError, "outside the 16 pixels"),
        (
            lambda x: ops.scatter_positions(x, x.astype(int) + 9, 3),
            IndexError,
            "outside the 9 pixels",
        ),
        (
            lambda x: ops.scatter_positions(x, x[0].astype(int), 3),
            ShapeError,
            "one value a position",
        ),
    ],
)
def test_its_relatives_refuse_bad_input_in_words(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call(np.zeros((1, 4, 4, 1)))
