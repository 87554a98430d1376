"""Depthwise, separable, transposed and locally connected layers, against loops."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
CASES: list[Any] = [
    (1, {}),
    (2, {}),
    (1, {"strides": 2, "padding": "same"}),
    (2, {"strides": (2, 1), "padding": "same"}),
    (2, {"padding": ((1, 0), (0, 2))}),
    (2, {"data_format": "channels_first", "padding": "same"}),
]
SIZES = (6, 7)


def batch(rank: int, channels: int = 3) -> Any:
    return RNG.normal(size=(2, *SIZES[:rank], channels))


def of(name: str, rank: int) -> Any:
    return getattr(layers, name.format(rank))


def apply(layer: Any, x: Any) -> Any:
    """The layer on channels-last data, whatever its own format."""
    if layer.data_format == "channels_last":
        return layer(x).numpy()
    return np.moveaxis(layer(np.moveaxis(x, -1, 1)).numpy(), 1, -1)


def prepared(layer: Any, x: Any) -> Any:
    """Built on x, with random weights and biases."""
    shape = x.shape if layer.data_format == "channels_last" else np.moveaxis(x, -1, 1).shape
    layer.build((None, *shape[1:]))
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.weights])
    return layer


def plain(rank: int, filters: int, kernel: Any, settings: Any, **more: Any) -> Any:
    """An ordinary convolution with this kernel."""
    settings = {k: v for k, v in settings.items() if k != "data_format"}
    conv = of("Conv{}D", rank)(
        filters, kernel.shape[:rank], use_bias=False, dtype="float64", **settings, **more
    )
    conv.build((None, *SIZES[:rank], kernel.shape[-2]))
    conv.set_weights([kernel])
    return conv


@pytest.mark.parametrize(("rank", "settings"), CASES)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolves_every_channel_by_itself(
    rank: int, settings: Any, multiplier: int
) -> None:
    x, cls = batch(rank), of("DepthwiseConv{}D", rank)
    layer = prepared(cls(2, depth_multiplier=multiplier, dtype="float64", **settings), x)
    kernel, bias = layer.get_weights()
    assert kernel.shape == (*(2,) * rank, 3, multiplier)
    parts = [
        plain(rank, multiplier, kernel[..., c : c + 1, :], settings)(x[..., c : c + 1]).numpy()
        for c in range(3)
    ]
    expected = np.concatenate(parts, axis=-1) + bias
    np.testing.assert_allclose(apply(layer, x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("rank", "settings"), CASES)
def test_separable_is_depthwise_and_then_pointwise(rank: int, settings: Any) -> None:
    x, cls = batch(rank), of("SeparableConv{}D", rank)
    layer = prepared(
        cls(5, 3, depth_multiplier=2, activation="tanh", dtype="float64", **settings), x
    )
    first, second, bias = layer.get_weights()
    assert second.shape == (*(1,) * rank, 6, 5)
    middle = of("DepthwiseConv{}D", rank)(
        3, depth_multiplier=2, use_bias=False, dtype="float64", **settings
    )
    prepared(middle, x).set_weights([first])
    expected = np.tanh(apply(middle, x) @ second.reshape(6, 5) + bias)
    np.testing.assert_allclose(apply(layer, x), expected, rtol=1e-10, atol=1e-12)


def transposed(x: Any, kernel: Any, strides: Any) -> Any:
    """Every input pixel puts its kernel down; nothing is cut off."""
    rank = x.ndim - 2
    size = [
        (n - 1) * s + max(k, s)
        for n, s, k in zip(x.shape[1:-1], strides, kernel.shape, strict=False)
    ]
    out = np.zeros((len(x), *size, kernel.shape[-2]))
    for place in itertools.product(*map(range, x.shape[1:-1])):
        index = tuple(
            slice(i * s, i * s + k)
            for i, s, k in zip(place, strides, kernel.shape[:rank], strict=True)
        )
        out[(slice(None), *index)] += np.tensordot(x[(slice(None), *place)], kernel, (-1, -1))
    return out


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("size", "strides"), [(3, 1), (3, 2), (2, 3)])
def test_transposed_convolution_puts_kernels_down(rank: int, size: int, strides: int) -> None:
    x = RNG.normal(size=(2, *(2, 3, 4)[:rank], 3))
    cls = of("Conv{}DTranspose", rank)
    layer = prepared(cls(4, size, strides, dtype="float64"), x)
    kernel, bias = layer.get_weights()
    assert kernel.shape == (*(size,) * rank, 4, 3)
    whole = transposed(x, kernel, (strides,) * rank) + bias
    np.testing.assert_allclose(layer(x).numpy(), whole, rtol=1e-10, atol=1e-12)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *whole.shape[1:])
    same = cls(4, size, strides, "same").compute_output_shape((None, *x.shape[1:]))
    assert same == (None, *(n * strides for n in x.shape[1:-1]), 4)


def test_output_padding_chooses_among_the_sizes() -> None:
    shape = (None, 5, 6, 3)
    sizes = [
        layers.Conv2DTranspose(4, 3, 2, "same", p).compute_output_shape(shape)[1:3]
        for p in (None, 0, 1)
    ]
    assert sizes == [(10, 12), (9, 11), (10, 12)]
    with pytest.raises(ValueError, match=r"'t' expected output_padding below the strides"):
        layers.Conv2DTranspose(4, 3, 2, output_padding=2, name="t")


def test_transposed_convolution_of_open_sizes_and_channels_first() -> None:
    layer = layers.Conv2DTranspose(4, 3, 2, data_format="channels_first")
    assert layer.compute_output_shape((None, 3, None, 6)) == (None, 4, None, 13)
    x = RNG.normal(size=(2, 3, 5, 6)).astype("f")
    last = layers.Conv2DTranspose(4, 3, 2)
    last.build((None, 5, 6, 3))
    layer.build((None, 3, 5, 6))
    layer.set_weights(last.get_weights())
    expected = last(x.transpose(0, 2, 3, 1)).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("rank", "settings"), CASES)
def test_locally_connected_has_a_kernel_of_its_own_at_every_position(
    rank: int, settings: Any
) -> None:
    x, cls = batch(rank), of("LocallyConnected{}D", rank)
    layer = prepared(cls(4, 3, activation="tanh", dtype="float64", **settings), x)
    kernels, biases = layer.get_weights()
    got = apply(layer, x)
    size = got.shape[1:-1]
    assert kernels.shape == (np.prod(size), 3**rank * 3, 4) and biases.shape == (*size, 4)
    for number, place in enumerate(itertools.product(*map(range, size))):
        kernel = kernels[number].reshape(*(3,) * rank, 3, 4)
        shared = plain(rank, 4, kernel, settings)(x).numpy()
        expected = np.tanh(shared[(slice(None), *place)] + biases[place])
        np.testing.assert_allclose(got[(slice(None), *place)], expected, rtol=1e-9, atol=1e-11)


def test_locally_connected_needs_the_size_and_keeps_to_it() -> None:
    with pytest.raises(ValueError, match="needs to know the size of its input"):
        layers.LocallyConnected2D(4, 3)(gt.Input((None, 5, 3)))
    layer = layers.LocallyConnected2D(4, 3, name="l")
    layer.build((None, 6, 7, 3))
    assert layer.count_params() == 4 * 5 * (27 * 4 + 4)
    with pytest.raises(ValueError, match=r"LocallyConnected2D 'l' expected 7 input width"):
        layer(np.ones((1, 6, 8, 3)))


EVERY = [
    layers.DepthwiseConv2D(3, 2, "same", 2, "channels_first", activation="relu"),
    layers.SeparableConv1D(4, 3, depth_multiplier=2, pointwise_regularizer="l2", name="s"),
    layers.Conv2DTranspose(4, 3, 2, output_padding=1, use_bias=False),
    layers.Conv3DTranspose(2, 2, 2, "same"),
    layers.LocallyConnected1D(4, 3, 2, "same", kernel_regularizer="l1"),
]


@pytest.mark.parametrize("layer", EVERY, ids=lambda v: type(v).__name__)
def test_they_are_made_again_from_their_configuration(layer: Any) -> None:
    config = gt.saving.serialize(layer)
    assert gt.saving.serialize(gt.saving.deserialize(config)) == config


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier must be"),
        (lambda: layers.SeparableConv2D(0, 3), "filters must be a positive integer"),
        (lambda: layers.Conv2DTranspose(3, 0), "kernel_size to be an int of at least 1"),
        (lambda: layers.Conv1DTranspose(3, 2, padding="causal"), "not 'causal'"),
        (lambda: layers.LocallyConnected2D(3, 3, dilation_rate=2), "no argument 'dilation_rate'"),
    ],
)
def test_settings_out_of_range(make: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        make()
