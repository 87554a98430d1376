"""Convolution and pooling, against loops written from the definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gradtape import layers

RNG = np.random.default_rng(0)


def pairs_of(padding, lengths, window, strides, dilation):
    """The zeros before and after each axis, by Keras's definition of "valid" and "same"."""
    pairs = []
    for i, n in enumerate(lengths):
        reach = (window[i] - 1) * dilation[i] + 1
        if padding == "valid":
            pairs.append((0, 0))
        elif padding == "same":
            total = max((-(-n // strides[i]) - 1) * strides[i] + reach - n, 0)
            pairs.append((total // 2, total - total // 2))
        elif padding == "causal":
            pairs.append((reach - 1, 0))
        else:
            pairs.append((padding, padding) if isinstance(padding, int) else padding[i])
    return pairs


def windows_of(x, window, strides, dilation, pairs, fill):
    """Every window of (N, ..., C) with its place in the output: ``(place, (N, taps, C))``."""
    rank = len(window)
    padded = np.pad(x, [(0, 0), *pairs, (0, 0)], constant_values=fill)
    counts = [
        (padded.shape[i + 1] - (window[i] - 1) * dilation[i] - 1) // strides[i] + 1
        for i in range(rank)
    ]
    for place in itertools.product(*map(range, counts)):
        taps = [
            padded[
                (
                    slice(None),
                    *(
                        p * s + t * d
                        for p, s, t, d in zip(place, strides, tap, dilation, strict=True)
                    ),
                )
            ]
            for tap in itertools.product(*map(range, window))
        ]
        yield place, counts, np.stack(taps, axis=1)


def convolve(x, kernel, strides, padding, dilation, groups):
    window = kernel.shape[:-2]
    pairs = pairs_of(padding, x.shape[1:-1], window, strides, dilation)
    share, filters = kernel.shape[-2], kernel.shape[-1]
    per_group = filters // groups
    out = None
    for place, counts, taps in windows_of(x, window, strides, dilation, pairs, 0):
        if out is None:
            out = np.zeros((len(x), *counts, filters))
        for f in range(filters):
            g = f // per_group
            own = taps[..., g * share : (g + 1) * share]
            weights = kernel[..., f].reshape(-1, share)
            out[(slice(None), *place, f)] = (own * weights).sum(axis=(1, 2))
    return out


def pool(x, window, strides, padding, kind):
    ones = (1,) * len(window)
    pairs = pairs_of(padding, x.shape[1:-1], window, strides, ones)
    out = None
    for place, counts, taps in windows_of(x, window, strides, ones, pairs, np.nan):
        if out is None:
            out = np.zeros((len(x), *counts, x.shape[-1]))
        reduce = np.nanmax if kind == "max" else np.nanmean
        out[(slice(None), *place)] = reduce(taps, axis=1)
    return out


def first(x):
    """Channels last to channels first."""
    return np.moveaxis(x, -1, 1)


# Convolution

CONVOLUTIONS = [
    {},
    {"strides": 2},
    {"strides": (1, 2), "padding": "same"},
    {"padding": "same"},
    {"padding": "same", "strides": 3, "kernel_size": 2},
    {"padding": 2},
    {"padding": ((2, 0), (1, 3))},
    {"dilation_rate": 2},
    {"dilation_rate": (1, 2), "padding": "same"},
    {"groups": 2},
    {"groups": 4, "padding": "same", "use_bias": False},
    {"kernel_size": 1},
    {"kernel_size": (2, 4), "activation": "relu"},
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
def test_conv2d(settings, data_format):
    arguments = {"kernel_size": 3, "bias_initializer": "random_normal", **settings}
    layer = layers.Conv2D(4, data_format=data_format, dtype="float64", **arguments)
    x = RNG.normal(size=(2, 7, 8, 4))
    given = x if data_format == "channels_last" else first(x)
    y = layer(given)
    expected = convolve(
        x, layer.kernel.data, layer.strides, layer.padding, layer.dilation_rate, layer.groups
    )
    if layer.use_bias:
        expected += layer.bias.data
    if "activation" in settings:
        expected = np.maximum(expected, 0)
    if data_format == "channels_first":
        expected = first(expected)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert layer.compute_output_shape((None, *given.shape[1:])) == (None, *y.shape[1:])


@pytest.mark.parametrize("padding", ["valid", "same", "causal", 1, ((2, 1),)])
@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_conv1d(padding, strides, dilation):
    layer = layers.Conv1D(3, 4, strides, padding, dilation_rate=dilation, dtype="float64")
    x = RNG.normal(size=(2, 9, 2))
    y = layer(x)
    expected = convolve(x, layer.kernel.data, (strides,), padding, (dilation,), 1)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert layer.compute_output_shape(x.shape) == y.shape


def test_causal_convolution_does_not_see_the_future():
    layer = layers.Conv1D(1, 3, padding="causal")
    x = RNG.normal(size=(1, 8, 1))
    later = x.copy()
    later[0, 5:] += 1
    before, after = layer(x).numpy()[0, :, 0], layer(later).numpy()[0, :, 0]
    assert np.array_equal(before[:5], after[:5])
    assert not np.isclose(before[5:], after[5:]).any()


def test_conv3d():
    layer = layers.Conv3D(2, (2, 3, 1), (1, 2, 1), "same", dtype="float64")
    x = RNG.normal(size=(2, 4, 5, 3, 2))
    y = layer(x)
    expected = convolve(x, layer.kernel.data, (1, 2, 1), "same", (1, 1, 1), 1)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert layer.compute_output_shape((None, 4, 5, 3, 2)) == (None, 4, 3, 3, 2)


def test_a_one_by_one_convolution_is_a_dense_layer_at_every_pixel():
    conv, dense = layers.Conv2D(5, 1), layers.Dense(5)
    x = RNG.normal(size=(2, 4, 4, 3))
    dense.build((None, 3))
    conv.build((None, None, None, 3))
    dense.set_weights([conv.kernel.data[0, 0], conv.bias.data])
    np.testing.assert_allclose(conv(x).numpy(), dense(x).numpy(), rtol=1e-5, atol=1e-6)


def test_convolution_counts_its_parameters():
    layer = layers.Conv2D(16, (5, 3), groups=2)
    layer.build((None, 28, 28, 6))
    assert layer.kernel.shape == (5, 3, 3, 16)
    assert layer.count_params() == 5 * 3 * 3 * 16 + 16


def test_convolution_leaves_open_axes_open():
    layer = layers.Conv2D(4, 5, strides=2)
    assert layer.compute_output_shape((None, None, 28, 3)) == (None, None, 12, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be a positive integer"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"strides": 1.5}, "strides"),
        ({"padding": "sam"}, "padding"),
        ({"padding": -1}, "padding"),
        ({"padding": "causal"}, "causal"),
        ({"dilation_rate": 0}, "dilation_rate"),
        ({"groups": 3}, "groups must divide filters"),
        ({"data_format": "NHWC"}, "data_format must be"),
    ],
)
def test_convolution_refuses_bad_arguments_and_names_itself(arguments, message):
    with pytest.raises(ValueError, match=f"Conv2D 'c'.*{message}"):
        layers.Conv2D(**{"filters": 4, "kernel_size": 3, "name": "c", **arguments})


def test_convolution_says_which_input_does_not_fit():
    layer = layers.Conv2D(8, 3, name="conv2")
    layer.build((None, 28, 28, 16))
    message = (
        r"Conv2D 'conv2' expected 16 input channels \(axis -1\), received \(128, 10, 10, 6\)\. "
        r"Was the model built for another input\?"
    )
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((128, 10, 10, 6)))
    with pytest.raises(ValueError, match=r"Conv2D 'conv2'.*kernel.*Use a larger input"):
        layer(np.zeros((1, 2, 10, 16)))
    with pytest.raises(ValueError, match=r"received \(9, 28, 28\).*x\[\.\.\., np\.newaxis\]"):
        layer(np.zeros((9, 28, 28)))
    with pytest.raises(ValueError, match=r"received \(28, 28, 1\).*x\[np\.newaxis\]"):
        layer(np.zeros((28, 28, 1)))
    with pytest.raises(ValueError, match=r"groups must divide the input channels"):
        layers.Conv2D(4, 3, groups=2)(np.zeros((1, 5, 5, 3)))


# Pooling


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    [
        (2, None, "valid"),
        (2, None, "same"),
        (3, 1, "valid"),
        (3, 2, "same"),
        ((3, 2), (2, 3), "same"),
        (3, 2, 1),
        (2, 2, ((1, 0), (0, 1))),
    ],
)
def test_pooling_2d(size, strides, padding, kind, data_format):
    cls = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    layer = cls(size, strides, padding, data_format, dtype="float64")
    x = RNG.normal(size=(2, 7, 6, 3))
    given = x if data_format == "channels_last" else first(x)
    y = layer(given)
    expected = pool(x, layer.pool_size, layer.strides, padding, kind)
    if data_format == "channels_first":
        expected = first(expected)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert layer.compute_output_shape((None, *given.shape[1:])) == (None, *y.shape[1:])


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("rank", [1, 3])
def test_pooling_in_other_dimensions(rank, kind):
    name = f"{'Max' if kind == 'max' else 'Average'}Pooling{rank}D"
    layer = getattr(layers, name)(2, 3, "same", dtype="float64")
    x = RNG.normal(size=(2, *(5, 4, 6)[:rank], 3))
    y = layer(x)
    expected = pool(x, (2,) * rank, (3,) * rank, "same", kind)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert layer.compute_output_shape(x.shape) == y.shape


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pooling(rank, keepdims, data_format):
    x = RNG.normal(size=(2, *(5, 4, 6)[:rank], 3))
    axes = tuple(range(1, rank + 1))
    given = x
    if data_format == "channels_first":
        given, axes = first(x), tuple(range(2, rank + 2))
    for kind, reduce in (("Average", np.mean), ("Max", np.max)):
        cls = getattr(layers, f"Global{kind}Pooling{rank}D")
        layer = cls(data_format, keepdims, dtype="float64")
        y = layer(given)
        np.testing.assert_allclose(y.numpy(), reduce(given, axes, keepdims=keepdims))
        assert layer.compute_output_shape(given.shape) == y.shape


def test_pooling_names_itself_when_its_window_does_not_fit():
    with pytest.raises(ValueError, match=r"MaxPooling2D 'p'.*pool_size"):
        layers.MaxPooling2D(3, name="p").compute_output_shape((None, 2, 5, 1))
    with pytest.raises(ValueError, match=r"MaxPooling2D 'p'.*padding"):
        layers.MaxPooling2D(3, padding="full", name="p")


def test_the_short_names_of_pooling_are_the_same_classes():
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.AvgPool2D is layers.AveragePooling2D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D
