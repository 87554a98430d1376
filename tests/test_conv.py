"""Convolution against nested loops, at every geometry that hypothesis can think of."""

from __future__ import annotations

import importlib
import math
import os
import re
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import numpy as np
import pytest
import reference
from geometries import Geometry, draw_arrays, geometries
from hypothesis import given, settings
from hypothesis import strategies as st

import gradtape as gt
from gradtape import ops
from gradtape.errors import ShapeError

conv_module = importlib.import_module("gradtape.ops.conv")
EPS = {np.float32: np.finfo(np.float32).eps, np.float64: np.finfo(np.float64).eps}
few = settings(max_examples=60, deadline=None, derandomize=True)


def _close(actual: Any, expected: np.ndarray, terms: int, dtype: Any = np.float64) -> None:
    """Within 4 sqrt(K) eps of the largest result, for sums of K terms of unit scale."""
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    largest = np.max(np.abs(expected), initial=1)
    allowed = 4 * math.sqrt(max(1, terms)) * EPS[dtype] * largest
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=allowed)


def _fast(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """2-D, valid, stride 1: a second reference, for images too large for loops."""
    patches = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nhwcij,ijcf->nhwf", patches, kernel, optimize=True)


def _pull_back(y: gt.Tensor, cotangent: np.ndarray, *inputs: gt.Tensor) -> list[Any]:
    y.backward(cotangent)
    return [i.grad for i in inputs]


# Values and gradients


@few
@given(geometries(), st.sampled_from([np.float32, np.float64]), st.integers(0, 99))
def test_conv_equals_nested_loops(geometry: Geometry, dtype: Any, seed: int) -> None:
    x, kernel = draw_arrays(seed, geometry.x, geometry.kernel, dtype=dtype)
    expected = reference.conv(x, kernel, **geometry.for_reference)
    terms = math.prod(geometry.kernel[:-1])
    _close(ops.conv(x, kernel, **geometry.given), expected, terms, dtype)


@few
@given(geometries(), st.sampled_from([np.float32, np.float64]), st.integers(0, 99))
def test_both_gradients_equal_nested_loops(geometry: Geometry, dtype: Any, seed: int) -> None:
    x, kernel = draw_arrays(seed, geometry.x, geometry.kernel, dtype=dtype)
    x, kernel = gt.tensor(x, requires_grad=True), gt.tensor(kernel, requires_grad=True)
    y = ops.conv(x, kernel, **geometry.given)
    (cotangent,) = draw_arrays(seed + 1, y.shape, dtype=dtype)
    for_x, for_kernel = _pull_back(y, cotangent, x, kernel)
    expected = reference.conv_gradients(
        x.numpy(), kernel.numpy(), cotangent, **geometry.for_reference
    )
    _close(for_x, expected[0], math.prod(geometry.kernel[:-2]) * y.shape[-1], dtype)
    _close(for_kernel, expected[1], math.prod(y.shape[:-1]), dtype)


@few
@given(geometries(), st.integers(1, 7), st.integers(0, 99))
def test_blocks_of_any_length_change_nothing(geometry: Geometry, rows: int, seed: int) -> None:
    x, kernel = draw_arrays(seed, geometry.x, geometry.kernel)

    def all_three() -> list[np.ndarray]:
        a, b = gt.tensor(x, requires_grad=True), gt.tensor(kernel, requires_grad=True)
        y = ops.conv(a, b, **geometry.given)
        return [y.numpy(), *(g.numpy() for g in _pull_back(y, np.cos(y.numpy()), a, b))]

    whole = all_three()
    with mock.patch.multiple(conv_module, BLOCK=1, ROWS=rows):
        for block, expected in zip(all_three(), whole, strict=True):
            np.testing.assert_allclose(block, expected, rtol=0, atol=1e-13)


def test_several_blocks_with_a_short_last_one_equal_one_product() -> None:
    x, kernel = draw_arrays(0, (3, 40, 40, 32), (3, 3, 32, 5), dtype=np.float32)
    calls = []
    unfold = gt.kernels.patches.unfold
    with mock.patch.object(gt.kernels.patches, "unfold") as counted:
        counted.side_effect = lambda *args: (calls.append(args[3]), unfold(*args))
        y = ops.conv(x, kernel)
    assert len(calls) > 2
    assert calls[-1] < calls[0] == calls[1]
    assert sum(calls) == 3 * 38 * 38
    expected = _fast(x.astype(np.float64), kernel.astype(np.float64))
    _close(y, expected, 9 * 32, np.float32)


def test_memory_stays_far_below_that_of_the_patch_matrix() -> None:
    x, kernel = draw_arrays(0, (1, 12, 12, 16), (5, 5, 16, 2), dtype=np.float32)
    matrix = 12 * 12 * 25 * 16 * x.itemsize

    def all_three() -> None:
        y = ops.conv(x, kernel, padding="same")
        ops.conv_input_gradient(y, kernel, input_size=(12, 12), padding="same")
        ops.conv_kernel_gradient(x, y, kernel_size=5, padding="same")

    with mock.patch.multiple(conv_module, BLOCK=matrix // 8, ROWS=1):
        all_three()  # so that nothing is compiled while memory is measured
        tracemalloc.start()
        all_three()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert matrix / 8 < peak < matrix / 2


@few
@given(geometries(), st.integers(0, 99))
def test_input_gradient_is_the_adjoint(geometry: Geometry, seed: int) -> None:
    x, kernel = draw_arrays(seed, geometry.x, geometry.kernel)
    y = ops.conv(x, kernel, **geometry.given).numpy()
    (v,) = draw_arrays(seed + 1, y.shape)
    back = ops.conv_input_gradient(v, kernel, input_size=x.shape[1:-1], **geometry.given)
    assert np.vdot(y, v) == pytest.approx(np.vdot(x, back.numpy()), rel=1e-11, abs=1e-11)
    weights = ops.conv_kernel_gradient(x, v, kernel_size=kernel.shape[:-2], **geometry.given)
    assert np.vdot(y, v) == pytest.approx(np.vdot(kernel, weights.numpy()), rel=1e-11, abs=1e-11)


def test_depthwise_convolves_each_channel_alone() -> None:
    x, kernel = draw_arrays(0, (2, 6, 5, 3), (3, 2, 1, 3))
    y = ops.conv(x, kernel, groups=3, padding="same", strides=(2, 1)).numpy()
    for c in range(3):
        one = slice(c, c + 1)
        alone = ops.conv(x[..., one], kernel[..., one], padding="same", strides=(2, 1))
        np.testing.assert_allclose(y[..., one], alone.numpy(), atol=1e-15)


def test_pointwise_convolution_is_a_dense_layer_at_every_pixel() -> None:
    x, kernel = draw_arrays(0, (2, 3, 4, 5), (1, 1, 5, 6))
    np.testing.assert_allclose(ops.conv(x, kernel).numpy(), x @ kernel[0, 0], atol=1e-14)


def test_kernel_of_the_image_s_size_is_a_dense_layer() -> None:
    x, kernel = draw_arrays(0, (3, 4, 5, 2), (4, 5, 2, 7))
    expected = x.reshape(3, 40) @ kernel.reshape(40, 7)
    np.testing.assert_allclose(ops.conv(x, kernel).numpy()[:, 0, 0], expected, atol=1e-14)


def test_a_padded_window_of_the_image_s_size_is_not_the_image() -> None:
    """Stride 4 leaves one window, but it begins in the padding."""
    x, kernel = draw_arrays(0, (2, 3, 2), (3, 2, 2))
    for pair in ((1, 1), (0, 1)):
        y = ops.conv(x, kernel, strides=4, padding=(pair,))
        _close(y, reference.conv(x, kernel, (4,), [pair], (1,)), 6)


def test_causal_output_sees_no_later_input() -> None:
    x, kernel = draw_arrays(0, (1, 9, 2), (3, 2, 2))
    before = ops.conv(x, kernel, padding="causal", dilation=2).numpy()
    x[:, 5:] += 1
    after = ops.conv(x, kernel, padding="causal", dilation=2).numpy()
    assert np.array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).all()


@pytest.mark.parametrize(
    ("n", "k", "s", "pair"),
    [(5, 3, 1, (1, 1)), (5, 2, 1, (0, 1)), (6, 3, 2, (0, 1)), (5, 3, 2, (1, 1)), (7, 2, 3, (0, 1))],
)
def test_same_padding_puts_the_smaller_half_in_front(n: int, k: int, s: int, pair: Any) -> None:
    x, kernel = gt.tensor(np.ones((1, n, 1)), requires_grad=True), np.ones((k, 1, 1))
    y = ops.conv(x, kernel, strides=s, padding="same")
    assert y.shape[1] == -(-n // s)
    assert y._node.settings["padding"] == (pair,)


# Transposed convolution


@few
@given(geometries(), st.integers(0, 99))
def test_conv_transpose_is_the_adjoint_of_conv(geometry: Geometry, seed: int) -> None:
    given = {**geometry.given, "padding": geometry.pairs}
    strides, kernel = given["strides"], geometry.kernel[:-2]
    outputs = reference.output_size(
        geometry.x[1:-1], kernel, strides, geometry.pairs, given["dilation"]
    )
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, given["dilation"], strict=True)]
    rest = tuple(
        n - ((o - 1) * s + r - sum(p))
        for n, o, s, r, p in zip(
            geometry.x[1:-1], outputs, strides, reach, geometry.pairs, strict=True
        )
    )
    x, weights, v = draw_arrays(
        seed, geometry.x, geometry.kernel, (geometry.x[0], *outputs, geometry.kernel[-1])
    )
    back = ops.conv_transpose(v, weights, output_padding=rest, **given)
    assert back.shape == x.shape
    forth = ops.conv(x, weights, **given)
    assert np.vdot(forth.numpy(), v) == pytest.approx(
        np.vdot(x, back.numpy()), rel=1e-11, abs=1e-11
    )


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("n", [2, 5])
def test_conv_transpose_sizes_are_those_of_keras(
    n: int, s: int, k: int, padding: str, dilation: int
) -> None:
    x, kernel = np.ones((1, n, 1)), np.ones((k, 1, 1))
    given = dict(strides=s, padding=padding, dilation=dilation)
    reach = (k - 1) * dilation + 1
    expected = n * s if padding == "same" else n * s + max(reach - s, 0)
    assert ops.conv_transpose(x, kernel, **given).shape[1] == expected
    for extra in range(s):
        pad = reach // 2 if padding == "same" else 0
        expected = (n - 1) * s + reach - 2 * pad + extra
        y = ops.conv_transpose(x, kernel, output_padding=extra, **given)
        assert y.shape[1] == expected


def test_conv_transpose_paints_the_kernel_where_the_pixel_is() -> None:
    x = np.zeros((1, 2, 3, 1))
    x[0, 1, 1, 0] = 2.0
    (kernel,) = draw_arrays(0, (2, 3, 4, 1))
    y = ops.conv_transpose(x, kernel, strides=(2, 3)).numpy()
    assert y.shape == (1, 4, 9, 4)
    np.testing.assert_allclose(y[0, 2:4, 3:6], 2 * kernel[..., 0])
    assert np.count_nonzero(y) == kernel.size


def test_conv_transpose_same_aligns_as_tensorflow() -> None:
    """Stride 2, k = 3: TensorFlow pads an even input by (0, 1), so pixel i is painted from 2 i."""
    x = np.array([1.0, 10.0]).reshape(1, 2, 1)
    kernel = np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    y = ops.conv_transpose(x, kernel, strides=2, padding="same").numpy()
    assert y.ravel().tolist() == [1.0, 2.0, 13.0, 20.0]


# Whatever arrives


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_empty_batch_gives_empty_output_and_zero_gradients(rank: int) -> None:
    x = gt.tensor(np.zeros((0, *(5,) * rank, 2)), requires_grad=True)
    kernel = gt.tensor(np.ones((*(3,) * rank, 2, 4)), requires_grad=True)
    y = ops.conv(x, kernel, strides=2)
    assert y.shape == (0, *(2,) * rank, 4)
    for_x, for_kernel = _pull_back(y, np.zeros(y.shape), x, kernel)
    assert for_x.shape == x.shape
    assert not for_kernel.numpy().any()
    assert ops.conv_transpose(y.detach(), kernel, strides=2).shape == (0, *(5,) * rank, 2)
    patches = ops.unfold(x, 3)
    assert ops.fold(patches, (5,) * rank, 3).shape == x.shape


def test_memory_order_does_not_matter_and_inputs_are_left_alone() -> None:
    x, kernel = draw_arrays(0, (2, 6, 5, 4), (3, 3, 2, 4))
    expected = ops.conv(x, kernel, groups=2).numpy()
    frozen = x.copy()
    frozen.flags.writeable = False
    orders = [np.asfortranarray(x), np.flip(np.flip(x).copy()), np.repeat(x, 2, -1)[..., ::2]]
    for other in (*orders, frozen):
        kept = other.copy()
        assert np.array_equal(
            ops.conv(other, np.asfortranarray(kernel), groups=2).numpy(), expected
        )
        assert np.array_equal(other, kept)
    constant = np.broadcast_to(np.float32(2), (1, 4, 4, 1))  # all strides are zero, read-only
    assert (ops.conv(constant, np.ones((2, 2, 1, 1), np.float32)).numpy() == 8).all()


@pytest.mark.parametrize(
    ("x", "kernel", "result"),
    [
        (np.float32, np.float64, np.float64),
        (np.float64, np.float32, np.float64),
        (np.uint8, np.float32, np.float32),
        (np.int64, np.float32, np.float32),
        (np.int32, np.int32, np.float32),
        (bool, np.float64, np.float64),
    ],
)
def test_mixed_dtypes_meet_in_the_wider_float(x: Any, kernel: Any, result: Any) -> None:
    a, b = np.arange(9).reshape(1, 3, 3, 1).astype(x), np.ones((2, 2, 1, 1), kernel)
    y = ops.conv(a, b)
    assert y.dtype == result
    assert np.array_equal(y.numpy(), ops.conv(a.astype(np.float64), b.astype(np.float64)).numpy())
    a = gt.tensor(a)
    b = gt.tensor(b.astype(np.float32), requires_grad=True)
    ops.conv(a, b).sum().backward()
    assert b.grad.dtype == np.float32


def test_settings_are_canonical_on_the_tape() -> None:
    x = gt.tensor(np.ones((1, 6, 6, 2)), requires_grad=True)
    kernel = np.ones((3, 2, 1, 4))
    expected = {"strides": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 2), "groups": 2}
    for same in (
        dict(strides=2, padding=1, dilation=(1, 2), groups=2),
        dict(strides=[2, 2], padding=[1, (1, 1)], dilation=np.array([1, 2]), groups=np.int64(2)),
    ):
        recorded = ops.conv(x, kernel, **same)._node.settings
        assert recorded == expected
        assert all(type(s) is int for s in recorded["strides"])


def test_threads_share_the_kernels() -> None:
    x, kernel = draw_arrays(0, (4, 20, 20, 3), (3, 3, 3, 8))
    expected = ops.conv(x, kernel).numpy()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: ops.conv(x, kernel).numpy(), range(16)))
    assert all(np.array_equal(r, expected) for r in results)


# Errors

X, KERNEL = (2, 8, 8, 3), (3, 3, 3, 4)


@pytest.mark.parametrize(
    ("x", "kernel", "given", "error", "words"),
    [
        (X, (3, 3, 1, 4), {}, ShapeError, "expected 1 input channels (axis -1)"),
        ((2, 3, 8, 8), KERNEL, {}, ShapeError, "the array looks channels first"),
        (X, (3, 3, 1, 4), {}, ShapeError, "Did you mean groups=3?"),
        ((2, 8, 8, 4), (3, 3, 4, 4), {"groups": 2}, ShapeError, "holds c_in // 2 channels"),
        ((8, 8, 3), KERNEL, {}, ShapeError, "expected x of shape (N, H, W, C)"),
        ((8, 8, 3), KERNEL, {}, ShapeError, "x[None] for a batch of one"),
        ((2, 8), (3, 1, 1), {}, ShapeError, "expected x of shape (N, L, C)"),
        (X, (3, 4), {}, ShapeError, "expected a kernel of shape (*kernel_size"),
        (X, (3, 3, 3, 3, 3, 4), {}, ShapeError, "1 to 3 spatial axes"),
        (X, (3, 0, 3, 4), {}, ShapeError, "none empty"),
        (X, (9, 3, 3, 4), {}, ShapeError, "reaches over 9 elements of spatial axis 0"),
        (X, KERNEL, {"dilation": (1, 4)}, ShapeError, "reaches over 9 elements of spatial axis 1"),
        ((2, 8, 8, 4), (3, 3, 2, 3), {"groups": 2}, ShapeError, "cannot split 3 filters"),
        (X, KERNEL, {"groups": 0}, ValueError, "groups to be an int of at least 1, received 0"),
        (X, KERNEL, {"groups": 1.0}, ValueError, "groups to be an int"),
        (X, KERNEL, {"strides": 0}, ValueError, "strides to be an int of at least 1"),
        (X, KERNEL, {"strides": (1, -1)}, ValueError, "received strides=(1, -1)"),
        (X, KERNEL, {"strides": (1, 1, 1)}, ValueError, "or 2 of them (one a spatial axis)"),
        (X, KERNEL, {"strides": 1.5}, ValueError, "received strides=1.5"),
        (X, KERNEL, {"strides": True}, ValueError, "received strides=True"),
        (X, KERNEL, {"strides": None}, ValueError, "received strides=None"),
        (X, KERNEL, {"dilation": 0}, ValueError, "dilation to be an int of at least 1"),
        (X, KERNEL, {"padding": "sane"}, ValueError, "received padding='sane'"),
        (X, KERNEL, {"padding": "causal"}, ValueError, "for 1-D sequences"),
        (X, KERNEL, {"padding": -1}, ValueError, "an int of at least 0"),
        (X, KERNEL, {"padding": ((1, 1),)}, ValueError, "((before, after), (before, after))"),
        (X, KERNEL, {"padding": ((1, 1), (1, -1))}, ValueError, "at least 0"),
        (X, KERNEL, {"padding": (1, 1, 1)}, ValueError, "received padding=(1, 1, 1)"),
        (X, KERNEL, {"stride": 1}, TypeError, "no setting 'stride'"),
    ],
)
def test_bad_input_is_refused_in_words(
    x: Any, kernel: Any, given: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)) as caught:
        ops.conv(np.zeros(x), np.zeros(kernel), **given)
    assert str(caught.value).startswith("conv ") or "conv:" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.conv_input_gradient(np.zeros((1, 3, 1)), np.zeros((3, 1, 1)), 6), "(1, 4, 1)"),
        (
            lambda: ops.conv_input_gradient(np.zeros(3), np.zeros((3, 1, 1)), 6),
            "expected x of shape (N, L, C), received (3,)",
        ),
        (
            lambda: ops.conv_kernel_gradient(np.zeros((1, 6, 1)), np.zeros((1, 4)), 3),
            "expected x of shape (N, L, C), received (1, 4)",
        ),
        (
            lambda: ops.conv_kernel_gradient(np.zeros((1, 6, 1)), np.zeros((1, 4, 1)), 3, groups=0),
            "groups to be an int of at least 1, received 0",
        ),
        (
            lambda: ops.conv_kernel_gradient(np.zeros((1, 6, 1)), np.zeros((1, 3, 1)), 3),
            "output shape (1, 4, 1), received (1, 3, 1)",
        ),
        (
            lambda: ops.conv_transpose(np.zeros((1, 3, 2)), np.zeros((3, 2, 1))),
            "c_out // groups, C) with 1 to 3 spatial axes, received (1, 3, 2) and (3, 2, 1)",
        ),
        (
            lambda: ops.conv_transpose(np.zeros((1, 3, 1)), np.zeros((3, 1, 1)), output_padding=1),
            "expected output_padding below the strides (1,)",
        ),
        (
            lambda: ops.conv_transpose(np.zeros((1, 1, 1)), np.zeros((3, 1, 1)), padding=2),
            "leave an output of size (-1,)",
        ),
        (
            lambda: ops.conv_transpose(np.zeros((1, 1, 1)), np.zeros((3, 1, 1)), padding="causal"),
            "not 'causal'",
        ),
    ],
)
def test_its_relatives_refuse_bad_input_in_words(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


# Without compilation

TINY = """
import sys
import numpy as np
import gradtape as gt

def show(*tensors):
    print(*[t.numpy().ravel().tolist() for t in tensors])

assert "numba" not in sys.modules
x = gt.tensor(np.arange(9.0).reshape(1, 3, 3, 1), requires_grad=True)
kernel = gt.tensor(np.arange(4.0).reshape(2, 2, 1, 1), requires_grad=True)
y = gt.ops.conv(x, kernel)
y.sum().backward()
show(y, x.grad, kernel.grad)
show(gt.ops.conv(np.ones((1, 3, 2)), np.ones((3, 1, 2)), padding="same", groups=2))
show(gt.ops.max_pool(x, 2, 1), gt.ops.average_pool(x, 2, 1))
"""


def test_kernels_run_uncompiled() -> None:
    run = subprocess.run(
        [sys.executable, "-c", TINY],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert run.stdout.splitlines() == [
        "[19.0, 25.0, 37.0, 43.0] [0.0, 1.0, 1.0, 2.0, 6.0, 4.0, 2.0, 5.0, 3.0] "
        "[8.0, 12.0, 20.0, 24.0]",
        "[2.0, 2.0, 3.0, 3.0, 2.0, 2.0]",
        "[4.0, 5.0, 7.0, 8.0] [2.0, 3.0, 5.0, 6.0]",
    ], run.stderr
