"""Normalisation and dropout: against explicit loops, Keras's shapes, settings and messages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gradtape as gt

ops = gt.ops
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(2, 3, (4, 3, 2, 6))
GAMMA, BETA = RNG.normal(size=(2, 6))


def leaf(values, dtype=np.float64):
    return gt.tensor(np.asarray(values, dtype), requires_grad=True)


def standardised(values, epsilon):
    values = np.asarray(values)
    mean = sum(values.flat) / values.size
    variance = sum((v - mean) ** 2 for v in values.flat) / values.size
    return (values - mean) / (variance + epsilon) ** 0.5


def test_batch_norm_standardises_each_channel_over_the_batch():
    out = ops.batch_norm(IMAGES, GAMMA, BETA, epsilon=0.1).numpy()
    for c in range(6):
        expected = standardised(IMAGES[..., c], 0.1) * GAMMA[c] + BETA[c]
        np.testing.assert_allclose(out[..., c], expected, rtol=1e-12)
    first = ops.batch_norm(np.moveaxis(IMAGES, -1, 1), GAMMA, BETA, axis=1, epsilon=0.1).numpy()
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), out, rtol=1e-12)


def test_batch_norm_by_given_statistics():
    mean, variance = RNG.normal(size=6), RNG.uniform(0.5, 2, 6)
    out = ops.batch_norm_inference(IMAGES, mean, variance, GAMMA, BETA).numpy()
    expected = GAMMA * (IMAGES - mean) / np.sqrt(variance + 1e-3) + BETA
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    plain = ops.batch_norm_inference(IMAGES, mean, variance, epsilon=0.0).numpy()
    np.testing.assert_allclose(plain * np.sqrt(variance) + mean, IMAGES, rtol=1e-12)


def test_batch_norm_in_training_is_batch_norm_by_its_own_statistics():
    mean, variance = IMAGES.mean(axis=(0, 1, 2)), IMAGES.var(axis=(0, 1, 2))
    np.testing.assert_allclose(
        ops.batch_norm(IMAGES, GAMMA, BETA).numpy(),
        ops.batch_norm_inference(IMAGES, mean, variance, GAMMA, BETA).numpy(),
        rtol=1e-11,
    )


def test_layer_norm_standardises_each_example():
    out = ops.layer_norm(IMAGES, GAMMA, BETA).numpy()
    for n, h, w in itertools.product(range(4), range(3), range(2)):
        expected = standardised(IMAGES[n, h, w], 1e-3) * GAMMA + BETA
        np.testing.assert_allclose(out[n, h, w], expected, rtol=1e-12)
    gamma = RNG.normal(size=(3, 6))
    out = ops.layer_norm(IMAGES, gamma, axis=(1, 3)).numpy()
    expected = standardised(IMAGES[1, :, 0], 1e-3) * gamma
    np.testing.assert_allclose(out[1, :, 0], expected, rtol=1e-12)


def test_group_norm_standardises_groups_of_channels():
    out = ops.group_norm(IMAGES, GAMMA, BETA, groups=3).numpy()
    for n, group in itertools.product(range(4), range(3)):
        own = slice(2 * group, 2 * group + 2)
        expected = standardised(IMAGES[n, ..., own], 1e-3) * GAMMA[own] + BETA[own]
        np.testing.assert_allclose(out[n, ..., own], expected, rtol=1e-12)
    first = ops.group_norm(np.moveaxis(IMAGES, -1, 1), GAMMA, BETA, groups=3, axis=1).numpy()
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), out, rtol=1e-12)


def test_rms_norm_divides_by_the_root_mean_square():
    out = ops.rms_norm(IMAGES, GAMMA, epsilon=0.01).numpy()
    expected = IMAGES * GAMMA / np.sqrt((IMAGES**2).sum(axis=-1, keepdims=True) / 6 + 0.01)
    np.testing.assert_allclose(out, expected, rtol=1e-12)


def test_one_value_alone_becomes_zero_not_nan():
    x = leaf([[5.0, -3.0]])
    out = ops.batch_norm(x)
    out.sum().backward()
    np.testing.assert_array_equal(out.numpy(), 0)
    np.testing.assert_array_equal(x.grad.numpy(), 0)


def test_a_large_mean_does_not_drown_the_variance():
    x = (1e4 + RNG.normal(size=(64, 1))).astype(np.float32)
    out = ops.batch_norm(x).numpy()
    np.testing.assert_allclose(out, standardised(x.astype(np.float64), 1e-3), atol=2e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.batch_norm(IMAGES, np.ones(3)), r"batch_norm: expected gamma of shape \(6,\)"),
        (lambda: ops.batch_norm(IMAGES, None, np.ones((6, 1))), r"beta of shape .* \(6, 1\)"),
        (lambda: ops.batch_norm(np.zeros((0, 3))), r"nothing to reduce along \(0,\)"),
        (
            lambda: ops.batch_norm_inference(IMAGES, np.ones(5), np.ones(6)),
            r"batch_norm_inference: expected mean of shape \(6,\).*axis 3.*received \(5,\)",
        ),
        (lambda: ops.layer_norm(IMAGES, GAMMA, axis=(1, 3)), r"layer_norm: .* \(3, 6\)"),
        (lambda: ops.group_norm(IMAGES, groups=4), "divide the 6 channels .* received groups=4"),
        (lambda: ops.group_norm(IMAGES), "received groups=32"),
        (lambda: ops.rms_norm(IMAGES, np.ones(4)), r"rms_norm: expected scale of shape \(6,\)"),
        (lambda: ops.local_response_norm(IMAGES, n=0), "n must be at least 1, received 0"),
        (lambda: ops.dropout(IMAGES, IMAGES > 0, rate=1.5), r"rate must lie in 0\.\.1, .* 1\.5"),
    ],
)
def test_messages_say_what_was_expected_and_what_received(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_local_response_norm_is_the_formula_of_the_paper(n):
    k, alpha, beta = 2.0, 0.1, 0.75
    out = ops.local_response_norm(IMAGES, n=n, k=k, alpha=alpha, beta=beta).numpy()
    a = IMAGES[1, 2, 0]
    for i in range(6):
        neighbours = range(max(0, i - n // 2), min(5, i + n // 2) + 1)
        total = sum(a[j] ** 2 for j in neighbours)
        np.testing.assert_allclose(out[1, 2, 0, i], a[i] / (k + alpha * total) ** beta, rtol=1e-12)


def test_the_parameters_of_local_response_norm_are_the_papers():
    np.testing.assert_array_equal(
        ops.local_response_norm(IMAGES).numpy(),
        ops.local_response_norm(IMAGES, n=5, k=2, alpha=1e-4, beta=0.75).numpy(),
    )


def test_window_sum_ends_at_the_edges():
    np.testing.assert_array_equal(ops.window_sum([1.0, 2, 3, 4], 1).numpy(), [3, 6, 9, 7])
    np.testing.assert_array_equal(ops.window_sum([1.0, 2, 3, 4], 9).numpy(), [10, 10, 10, 10])


def test_dropout_scales_what_the_mask_keeps():
    x, mask = leaf([1.0, 2.0, np.inf, -4.0], np.float32), np.array([True, True, False, True])
    out = ops.dropout(x, mask, rate=0.75)
    np.testing.assert_array_equal(out.numpy(), [4, 8, 0, -16])
    out.backward(np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [4, 8, 0, 16])
    assert out.dtype == x.grad.dtype == np.float32
    np.testing.assert_array_equal(ops.dropout([1.0], [False], rate=1.0).numpy(), 0)
    whole_rows = ops.dropout(np.ones((2, 3)), np.array([[True], [False]]), rate=0.5)
    np.testing.assert_array_equal(whole_rows.numpy(), [[2, 2, 2], [0, 0, 0]])
