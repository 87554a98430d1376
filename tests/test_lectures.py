"""The lectures' worked examples (L1 to L13) and every rule of theirs that can be checked.

"*" in the lectures is cross-correlation, as here. Numbers are exact unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt

SQUARE = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
KERNEL = [[0, 1], [2, 3]]
POOLED = [[2, 3, 1, 9], [4, 7, 3, 5], [8, 2, 2, 2], [1, 3, 4, 5]]
ONE_ON_EVERY_SIDE = ((1, 1), (1, 1))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def conv(image: Any, kernel: Any, **settings: Any) -> np.ndarray:
    """Cross-correlation of one image with one kernel, both of a single channel, any rank."""
    x = np.asarray(image, np.float64)[None, ..., None]
    w = np.asarray(kernel, np.float64)[..., None, None]
    return gt.ops.conv(x, w, **settings).numpy()[0, ..., 0]


def pool(op: Any, image: Any, size: int, strides: int) -> list[list[float]]:
    """Max or average pooling of one image of a single channel."""
    x = np.asarray(image, np.float64)[None, ..., None]
    return op(x, pool_size=size, strides=strides, padding="valid").numpy()[0, ..., 0].tolist()


# Convolution


def test_L1_valid() -> None:
    assert conv(SQUARE, KERNEL, padding="valid").tolist() == [[19, 25], [37, 43]]


def test_L2_one_zero_row_and_column_on_every_side() -> None:
    expected = [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]
    assert conv(SQUARE, KERNEL, padding=ONE_ON_EVERY_SIDE).tolist() == expected


def test_L3_stride_three_down_two_across() -> None:
    out = conv(SQUARE, KERNEL, padding=ONE_ON_EVERY_SIDE, strides=(3, 2))
    assert out.tolist() == [[0, 8], [6, 8]]


def test_L4_two_input_channels_are_summed() -> None:
    x = np.stack([SQUARE, np.add(SQUARE, 1)], axis=-1).astype(float)[None]
    w = np.stack([KERNEL, np.add(KERNEL, 1)], axis=-1).astype(float)[..., None]
    assert gt.ops.conv(x, w).numpy()[0, ..., 0].tolist() == [[56, 72], [104, 120]]


def test_L5_sharpen() -> None:
    image = [
        [105, 102, 100, 97, 96],
        [103, 99, 103, 101, 102],
        [101, 98, 104, 102, 100],
        [99, 101, 106, 104, 99],
        [104, 104, 104, 100, 98],
    ]
    out = conv(image, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], padding=ONE_ON_EVERY_SIDE)
    assert out.shape == (5, 5)
    assert out[0, 0] == 320
    assert out[1, :3].tolist() == [210, 89, 111]


def test_L10_vertical_edges() -> None:
    out = conv([[1, 1, 0, 0, 0]] * 4, [[1, -1]])
    assert out.tolist() == [[0, 1, 0, 0]] * 4


@pytest.mark.parametrize(("kernel", "stride", "length"), [(2, 1, 5), (2, 2, 3), (3, 1, 4)])
def test_L11_lengths_in_one_dimension(kernel: int, stride: int, length: int) -> None:
    assert conv(np.arange(6), np.ones(kernel), strides=stride).shape == (length,)


def test_L12_a_1x1_convolution_is_a_dense_layer_at_every_pixel(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(2, 4, 5, 3)), rng.normal(size=(3, 7))
    out = gt.ops.conv(x, w[None, None]).numpy()
    np.testing.assert_allclose(out, x @ w, rtol=1e-12, atol=1e-14)


# Pooling


def test_L6_max_pool() -> None:
    assert pool(gt.ops.max_pool, POOLED, 2, 2) == [[7, 9], [8, 5]]


def test_L7_average_pool() -> None:
    # One slide prints 3.25 for the third entry, (8 + 2 + 1 + 3) / 4.
    assert pool(gt.ops.average_pool, POOLED, 2, 2) == [[4, 4.5], [3.5, 3.25]]


def test_L8_max_and_average_pool() -> None:
    image = [[1, 3, 2, 1], [2, 9, 1, 1], [1, 4, 2, 3], [5, 6, 1, 2]]
    assert pool(gt.ops.max_pool, image, 2, 2) == [[9, 2], [6, 3]]
    assert pool(gt.ops.average_pool, image, 2, 2) == [[3.75, 1.25], [4, 2]]


def test_L9_overlapping_max_pool() -> None:
    image = [[1, 3, 2, 1, 3], [2, 9, 1, 1, 5], [1, 3, 2, 3, 2], [8, 3, 5, 1, 0], [5, 6, 1, 2, 9]]
    assert pool(gt.ops.max_pool, image, 3, 1) == [[9, 9, 5], [9, 9, 5], [8, 6, 9]]


def test_L13_max_pool_with_stride_one() -> None:
    assert pool(gt.ops.max_pool, SQUARE, 2, 1) == [[4, 5], [7, 8]]


def test_pooling_keeps_channels_and_has_no_parameters(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 6, 6, 5))
    for layer in (gt.layers.MaxPooling2D(), gt.layers.AveragePooling2D(2)):
        assert layer(x).shape == (2, 3, 3, 5)
        assert not layer.weights


# Sizes


@pytest.mark.parametrize("n", [5, 8, 11])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("before_after", [(0, 0), (1, 1), (2, 1)])
def test_output_size(n: int, k: int, s: int, before_after: tuple[int, int]) -> None:
    out = conv(np.ones(n), np.ones(k), strides=s, padding=(before_after,))
    assert len(out) == (n - k + sum(before_after) + s) // s


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_same_padding_at_stride_one_keeps_the_size(k: int) -> None:
    ones = np.ones((7, 9))
    assert conv(ones, np.ones((k, k)), padding="same").shape == ones.shape


def test_an_odd_kernel_is_padded_evenly() -> None:
    x, k = np.arange(5.0), [1, 2, 3]
    same = conv(x, k, padding="same")
    assert same.tolist() == conv(x, k, padding=((1, 1),)).tolist()


def test_an_even_kernel_either_way() -> None:
    """Keras's same puts the smaller half first; the lecture's larger half first can be said."""
    x, k = np.arange(1.0, 5), [1, 10]
    assert conv(x, k, padding="same").tolist() == [21, 32, 43, 4]
    assert conv(x, k, padding=((0, 1),)).tolist() == [21, 32, 43, 4]
    assert conv(x, k, padding=((1, 0),)).tolist() == [10, 21, 32, 43]


def test_everything_is_set_per_axis() -> None:
    out = conv(
        np.ones((9, 10)), np.ones((3, 2)), strides=(2, 3), padding=((1, 0), (0, 2)), dilation=(2, 1)
    )
    assert out.shape == ((9 + 1 - 5) // 2 + 1, (10 + 2 - 2) // 3 + 1)


def test_dilation_spreads_the_taps_without_new_weights() -> None:
    x = np.arange(8.0)
    out = conv(x, [1, 10, 100], dilation=2)
    assert out.tolist() == [x[i] + 10 * x[i + 2] + 100 * x[i + 4] for i in range(4)]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_one_two_and_three_dimensions(rank: int, rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(4,) * rank), rng.normal(size=(2,) * rank)
    out = conv(x, w)
    assert out.shape == (3,) * rank
    assert out[(0,) * rank] == pytest.approx((x[(slice(2),) * rank] * w).sum())


# Convolution's properties


def test_convolution_commutes_with_a_shift_away_from_the_border(rng: np.random.Generator) -> None:
    x, k = rng.normal(size=(10, 10)), rng.normal(size=(3, 3))
    shifted = conv(np.roll(x, (2, 1), axis=(0, 1)), k)
    np.testing.assert_allclose(
        shifted[2:, 1:], np.roll(conv(x, k), (2, 1), axis=(0, 1))[2:, 1:], rtol=0, atol=1e-12
    )


def test_max_pooling_tolerates_a_shift_of_one_pixel() -> None:
    image = np.zeros((4, 4))
    image[0, 0] = 1
    moved = np.roll(image, 1, axis=1)
    assert pool(gt.ops.max_pool, image, 2, 2) == pool(gt.ops.max_pool, moved, 2, 2)


@pytest.mark.parametrize(("layers", "field"), [(1, 3), (2, 5), (3, 7)])
def test_receptive_field_of_stacked_layers(layers: int, field: int) -> None:
    x = gt.tensor(np.ones((1, 15, 1)), requires_grad=True)
    h = x
    for _ in range(layers):
        h = gt.ops.conv(h, np.ones((3, 1, 1)), padding="same")
    h[0, 7, 0].backward()
    assert x.grad is not None
    assert np.flatnonzero(x.grad.numpy()).tolist() == list(range(7 - field // 2, 8 + field // 2))
    net = gt.Sequential([gt.layers.Conv1D(1, 3, padding="same") for _ in range(layers)])
    found = gt.analysis(net, (15, 1))[-1].receptive_field
    assert found is not None and found.size == (field,)


def test_a_dense_layer_sees_everything(rng: np.random.Generator) -> None:
    x = gt.tensor(rng.normal(size=(1, 15)), requires_grad=True)
    (x @ rng.normal(size=(15, 4)))[0, 2].backward()
    assert x.grad is not None
    assert np.count_nonzero(x.grad.numpy()) == 15
    found = gt.analysis(gt.Sequential([gt.layers.Dense(4)]), (15,))[-1].receptive_field
    assert found is not None and found.size == (15,)


PHOTO_KERNELS = {
    "edge": ([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 0),
    "sharpen": ([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], 1),
    "blur": (np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16, 1),
    "sobel": ([[1, 0, -1], [2, 0, -2], [1, 0, -1]], 0),
    "laplacian": ([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], 0),
    "mean": (np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8, 1),
}


@pytest.mark.parametrize("name", PHOTO_KERNELS)
def test_photo_kernels_keep_or_erase_a_flat_image(name: str) -> None:
    """Edge detectors answer 0 where nothing changes, the others leave the brightness as it is."""
    kernel, factor = PHOTO_KERNELS[name]
    out = conv(np.full((6, 7), 100.0), kernel)
    np.testing.assert_array_equal(out, np.full((4, 5), 100.0 * factor))


# Costs and sizes of nets


def multiply_adds(c_in: int, c_out: int, kernel: int, output: int) -> int:
    """The lectures' cost of a square convolution: c_in c_out k_h k_w m_h m_w."""
    return c_in * c_out * kernel**2 * output**2


def test_cost_of_a_convolution() -> None:
    net = gt.Sequential([gt.layers.Conv2D(100, 5, padding="same")])
    cost = gt.analysis(net, (64, 64, 100)).totals.multiply_adds
    assert cost == multiply_adds(100, 100, 5, 64) == 1_024_000_000
    assert 10 * cost * 1_000_000 == pytest.approx(10e15, rel=0.03)


def test_the_cost_counts_what_a_convolution_does() -> None:
    """With ones everywhere each output element is the number of its multiply-adds."""
    x, w = np.ones((1, 8, 8, 3)), np.ones((5, 5, 3, 2))
    assert gt.ops.conv(x, w).numpy().sum() == multiply_adds(3, 2, 5, 4)


def test_why_not_dense() -> None:
    photo = gt.analysis(gt.Sequential([gt.layers.Dense(100, use_bias=False)]), (36_000_000,))
    assert photo.totals.parameters == photo.totals.multiply_adds == 3_600_000_000
    assert round(photo.totals.parameter_bytes / 1e9) == 14
    flat = [gt.layers.Flatten(), gt.layers.Dense(256 * 256 * 3, use_bias=False)]
    image = gt.analysis(gt.Sequential(flat), (256, 256, 3))
    assert image.totals.parameters == (256 * 256 * 3) ** 2
    assert f"{image.totals.parameters:.2e}" == "3.87e+10"


def test_a_convolution_has_one_kernel_and_a_bias_per_output_channel() -> None:
    layer = gt.layers.Conv2D(16, (5, 3))
    layer(np.zeros((1, 10, 10, 6), np.float32))
    assert [tuple(w.shape) for w in layer.weights] == [(5, 3, 6, 16), (16,)]


def test_44_layers_is_a_slip_for_55() -> None:
    """From 224 to 4 with valid 5x5 kernels, each of which takes 4 pixels."""
    assert (224 - 4) / (5 - 1) == 55


def test_alexnets_first_layer_needs_227_or_padding() -> None:
    def size(n: int, p: int) -> int:
        return (n - 11 + p + 4) // 4

    assert size(227, 0) == size(224, 2 * 2) == 55
    assert size(224, 0) == 54


def test_lenet5_has_61706_parameters() -> None:
    assert gt.models.build("lenet5").count_params() == 61_706


def test_gluon_lenet_has_431080_parameters() -> None:
    """Input sizes of every layer are inferred."""
    layers = gt.layers
    net = gt.Sequential(
        [
            gt.Input((28, 28, 1)),
            layers.Conv2D(20, 5, activation="tanh"),
            layers.AveragePooling2D(2, 2),
            layers.Conv2D(50, 5, activation="tanh"),
            layers.AveragePooling2D(2, 2),
            layers.Flatten(),
            layers.Dense(500, activation="tanh"),
            layers.Dense(10),
        ]
    )
    assert net.count_params() == 431_080


def test_an_mlp_has_one_weight_per_connection_and_one_bias_per_unit() -> None:
    net = gt.Sequential(
        [gt.Input((784,)), gt.layers.Dense(100, activation="relu"), gt.layers.Dense(10)]
    )
    assert net.count_params() == (784 + 1) * 100 + (100 + 1) * 10
