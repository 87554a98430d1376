"""Every convolution, pooling and rearranging layer as a native program, against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from geometries import Geometry, geometries
from hypothesis import given, settings
from hypothesis import strategies as st
from native_nets import Layers, agrees_with_float64, sizes

import gradtape as gt
from gradtape import program

Array = np.ndarray
L = gt.layers

#: name: the layers, the shape of a sample, and the most products in a sum of one sample. A 1x1
#: convolution in front has the gradient for the input proved as well.
CASES: dict[str, tuple[Layers, tuple[int, ...], int]] = {
    "groups": (
        lambda d: [L.Conv2D(6, 1, **d), L.Conv2D(9, 3, padding="same", groups=3, **d)],
        (5, 6, 2), 300,
    ),
    "groups_strided": (
        lambda d: [
            L.Conv2D(8, 1, **d),
            L.Conv2D(6, (3, 2), strides=(2, 3), groups=2, activation="relu", **d),
        ],
        (7, 8, 2), 300,
    ),
    "groups_of_many": (
        lambda d: [L.Conv2D(66, 1, **d), L.Conv2D(70, 3, groups=2, padding=1, **d)],
        (3, 4, 2), 1500,
    ),
    "groups_dilated": (
        lambda d: [L.Conv2D(4, 1, **d), L.Conv2D(4, 2, groups=2, dilation_rate=2, **d)],
        (4, 5, 2), 100,
    ),
    "depthwise": (
        lambda d: [L.Conv2D(5, 1, **d), L.DepthwiseConv2D(3, padding="same", **d)], (5, 6, 2), 100,
    ),
    "depthwise_multiplied": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.DepthwiseConv2D(
                (2, 3), strides=2, depth_multiplier=3, padding="same", activation="relu", **d
            ),
        ],
        (5, 6, 2), 100,
    ),
    "depthwise_dilated": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.DepthwiseConv2D(3, dilation_rate=2, padding=((2, 0), (3, 4)), use_bias=False, **d),
        ],
        (6, 5, 2), 100,
    ),
    "depthwise_wide": (
        lambda d: [L.Conv2D(2, 1, **d), L.DepthwiseConv2D((1, 13), padding="same", **d)],
        (2, 17, 2), 100,
    ),
    "depthwise_by_groups": (
        lambda d: [L.Conv2D(4, 1, **d), L.Conv2D(8, 3, strides=3, groups=4, padding=1, **d)],
        (6, 7, 2), 100,
    ),
    "separable": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.SeparableConv2D(7, 3, depth_multiplier=2, strides=2, activation="relu", **d),
        ],
        (6, 7, 2), 200,
    ),
    "conv_1d": (
        lambda d: [
            L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="tanh", **d),
            L.Conv1D(5, 4, strides=2, padding="same", **d),
        ],
        (11, 3), 200,
    ),
    "depthwise_1d": (
        lambda d: [
            L.Conv1D(3, 2, **d),
            L.DepthwiseConv1D(3, strides=2, depth_multiplier=2, **d),
            L.SeparableConv1D(4, 2, padding="same", **d),
        ],
        (10, 2), 300,
    ),
    "conv_3d": (
        lambda d: [
            L.Conv3D(3, (2, 1, 2), activation="relu", **d),
            L.Conv3D(4, 3, strides=(2, 1, 2), padding="same", **d),
        ],
        (4, 3, 4, 2), 400,
    ),
    "conv_3d_groups": (
        lambda d: [
            L.Conv3D(4, 1, **d),
            L.Conv3D(6, (3, 2, 2), padding=((3, 0), (1, 0), (0, 1)), groups=2, **d),
            L.Conv3D(2, (2, 1, 1), dilation_rate=(2, 1, 1), strides=(3, 1, 1), **d),
        ],
        (3, 3, 3, 2), 400,
    ),
    "transposed": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", **d),
        ],
        (4, 3, 2), 200,
    ),
    "transposed_plain": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2DTranspose(5, (3, 2), **d)], (4, 3, 2), 200,
    ),
    "transposed_gaps": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2DTranspose(2, 2, strides=3, **d)], (3, 4, 2), 200,
    ),
    "transposed_output_padding": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.Conv2DTranspose(2, 3, strides=(2, 3), padding="same", output_padding=1, **d),
        ],
        (3, 4, 2), 200,
    ),
    "transposed_many": (
        lambda d: [L.Conv2D(40, 1, **d), L.Conv2DTranspose(37, 3, dilation_rate=2, **d)],
        (2, 3, 2), 1000,
    ),
    "transposed_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.Conv1DTranspose(4, 4, strides=2, **d)], (5, 2), 100,
    ),
    "transposed_3d": (
        lambda d: [L.Conv3D(2, 1, **d), L.Conv3DTranspose(3, (3, 2, 2), strides=(2, 1, 2), **d)],
        (2, 2, 3, 2), 200,
    ),
    "pooling_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.MaxPooling1D(3, strides=2, padding="same", **d),
                   L.AveragePooling1D(2, **d)],
        (9, 2), 60,
    ),
    "pooling_3d": (
        lambda d: [
            L.Conv3D(3, 1, **d), L.AveragePooling3D((2, 3, 2), strides=1, padding="same", **d),
            L.MaxPooling3D((3, 2, 2), strides=(1, 2, 2), **d),
        ],
        (4, 4, 5, 2), 200,
    ),
    "global_1d": (lambda d: [L.Conv1D(3, 2, **d), L.GlobalAveragePooling1D(**d)], (7, 2), 60),
    "global_3d": (
        lambda d: [L.Conv3D(3, 2, **d), L.GlobalAveragePooling3D(keepdims=True, **d)],
        (3, 3, 4, 2), 200,
    ),
    "global_max": (
        lambda d: [L.Conv2D(3, 2, activation="relu", **d), L.GlobalMaxPooling2D(**d)],
        (4, 5, 2), 60,
    ),
    "padding_cropping_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.ZeroPadding1D((2, 1), **d), L.Cropping1D((1, 3), **d)],
        (5, 2), 30,
    ),
    "padding_cropping_2d": (
        lambda d: [
            L.Conv2D(3, 1, **d), L.ZeroPadding2D(((1, 2), (0, 3)), **d),
            L.Cropping2D(((2, 0), (1, 1)), **d),
        ],
        (4, 5, 2), 30,
    ),
    "padding_cropping_3d": (
        lambda d: [L.Conv3D(3, 1, **d), L.Cropping3D(((0, 1), (1, 0), (0, 2)), **d),
                   L.ZeroPadding3D(1, **d)],
        (3, 3, 4, 2), 30,
    ),
    "upsampling_1d": (lambda d: [L.Conv1D(3, 1, **d), L.UpSampling1D(3, **d)], (4, 2), 30),
    "upsampling_2d": (lambda d: [L.Conv2D(3, 1, **d), L.UpSampling2D((2, 3), **d)], (3, 4, 2), 60),
    "upsampling_3d": (
        lambda d: [L.Conv3D(2, 1, **d), L.UpSampling3D((2, 3, 2), **d)], (2, 3, 2, 2), 60,
    ),
    "upsampling_bilinear": (
        lambda d: [L.Conv2D(3, 1, **d), L.UpSampling2D((3, 2), interpolation="bilinear", **d)],
        (3, 4, 2), 60,
    ),
    "upsampling_bicubic": (
        lambda d: [L.Conv2D(3, 1, **d), L.UpSampling2D((2, 3), interpolation="bicubic", **d)],
        (4, 2, 2), 60,
    ),
    "adaptive": (
        lambda d: [L.Conv2D(3, 1, **d), L.AdaptiveMaxPooling2D((3, 4), **d),
                   L.AdaptiveAveragePooling2D((2, 3), **d)],
        (5, 7, 2), 60,
    ),
    "adaptive_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.AdaptiveAveragePooling1D(4, **d),
                   L.AdaptiveMaxPooling1D(3, **d)],
        (7, 2), 60,
    ),
    "adaptive_3d": (
        lambda d: [
            L.Conv3D(3, 1, **d), L.AdaptiveMaxPooling3D(2, data_format="channels_first", **d),
            L.AdaptiveAveragePooling3D((1, 2, 2), **d),
        ],
        (3, 4, 3, 2), 60,
    ),
    "permute": (
        lambda d: [L.Conv2D(3, 1, **d), L.Permute((3, 1, 2), **d), L.Permute((2, 1, 3), **d)],
        (3, 4, 2), 30,
    ),
    "repeat_vector": (
        lambda d: [L.Dense(3, **d), L.RepeatVector(4, **d), L.Conv1D(2, 2, **d)], (5,), 60,
    ),
    "locally_connected": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.LocallyConnected2D(4, (3, 2), strides=(1, 2), padding="same", activation="relu", **d),
        ],
        (4, 5, 2), 100,
    ),
    "locally_connected_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.LocallyConnected1D(4, 3, strides=2, **d)], (7, 2), 100,
    ),
    "rescaling": (
        lambda d: [L.Rescaling([0.5, 2.0], [0.1, -1.0], **d), L.Conv2D(3, 1, **d),
                   L.Rescaling(0.3, **d), L.Identity(**d)],
        (3, 4, 2), 30,
    ),
    "normalization": (
        lambda d: [
            L.Normalization(mean=[1.0, -3.0], variance=[4.0, 0.25], **d),
            L.Conv2D(3, 1, **d),
            L.Normalization(axis=(1, 3), mean=np.arange(9.0).reshape(3, 3), variance=2.0, **d),
            L.Normalization(axis=None, mean=0.5, variance=3.0, invert=True, **d),
        ],
        (3, 4, 2), 60,
    ),
    "dense_along": (
        lambda d: [L.Dense(3, activation="relu", **d), L.Dense(4, activation="tanh", **d)],
        (2, 3, 4, 2), 30,
    ),
    "channels_first": (
        lambda d: [
            L.Conv2D(3, 2, data_format="channels_first", activation="relu", **d),
            L.MaxPooling2D(2, strides=1, data_format="channels_first", **d),
            L.DepthwiseConv2D(2, data_format="channels_first", **d),
            L.UpSampling2D(2, data_format="channels_first", **d),
            L.Conv2DTranspose(2, 2, data_format="channels_first", **d),
            L.Flatten(data_format="channels_first", **d),
        ],
        (2, 5, 6), 200,
    ),
    "channels_first_global": (
        lambda d: [
            L.Conv3D(3, 2, data_format="channels_first", **d),
            L.ZeroPadding3D(1, data_format="channels_first", **d),
            L.GlobalAveragePooling3D(data_format="channels_first", keepdims=True, **d),
        ],
        (2, 3, 4, 3), 200,
    ),
}  # fmt: skip


@pytest.mark.parametrize("batch", sizes(1, 2, 15, 17, 33))
@pytest.mark.parametrize("case", CASES)
def test_layers_agree_with_float64_and_stay_in_their_buffers(case: str, batch: int) -> None:
    agrees_with_float64(*CASES[case], batch)


@given(geometries(), st.booleans(), st.integers(1, 35))
@settings(max_examples=30, deadline=None)
def test_convolutions_of_any_geometry_agree_with_float64(
    geometry: Geometry, transposed: bool, batch: int
) -> None:
    *taps, share, filters = geometry.kernel
    rank, groups = len(taps), geometry.given["groups"]
    chosen = geometry.given | {"dilation_rate": geometry.given["dilation"]}
    del chosen["dilation"]
    if transposed:
        del chosen["groups"]
        chosen["padding"] = "same" if chosen["padding"] == "causal" else "valid"
    kind = getattr(L, f"Conv{rank}D{'Transpose' if transposed else ''}")
    before = getattr(L, f"Conv{rank}D")

    def layers(d: Any) -> list[Any]:
        return [before(share * groups, 1, **d), kind(filters, tuple(taps), **chosen, **d)]

    agrees_with_float64(layers, geometry.x[1:], 30 + 9 * share * int(np.prod(taps)), batch)


def _nets() -> dict[str, Any]:
    """Nets with everything above, with a class for each of ten labels."""
    first = {"data_format": "channels_first"}

    def ended(*layers: Any) -> gt.Sequential:
        return gt.Sequential([*layers, L.Flatten(), L.Dense(10, activation="softmax")])

    return {
        "mobile": lambda: ended(
            gt.Input((9, 8, 3)),
            L.Rescaling(0.5),
            L.ZeroPadding2D(1),
            L.Conv2D(8, 3, strides=2, activation="relu"),
            L.DepthwiseConv2D(3, padding="same", activation="relu"),
            L.Conv2D(12, 3, groups=4, padding="same", activation="relu"),
            L.SeparableConv2D(10, 3, padding="same", activation="tanh"),
            L.GlobalMaxPooling2D(),
        ),
        "decoder": lambda: ended(
            gt.Input((6,)),
            L.Dense(24, activation="relu"),
            L.Reshape((2, 3, 4)),
            L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu"),
            L.UpSampling2D(2, interpolation="bilinear"),
            L.Cropping2D(1),
            L.LocallyConnected2D(3, 2, strides=2),
        ),
        "signal": lambda: ended(
            gt.Input((20, 3)),
            L.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu"),
            L.MaxPooling1D(2),
            L.SeparableConv1D(6, 3, activation="relu"),
            L.Conv1DTranspose(4, 2, strides=2),
            L.Permute((2, 1)),
            L.AveragePooling1D(2, padding="same"),
        ),
        "volume": lambda: ended(
            gt.Input((3, 5, 4, 6), name="volume"),
            L.Conv3D(4, (3, 2, 3), padding="same", activation="relu", **first),
            L.MaxPooling3D((2, 2, 3), **first),
            L.UpSampling3D((1, 2, 1), **first),
            L.Conv3DTranspose(3, 2, **first),
        ),
    }


NETS = _nets()


def _compiled(name: str) -> Any:
    gt.utils.set_random_seed(5)
    model = NETS[name]()
    model.compile(gt.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def _batch(model: Any, batch: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, *model.input_shape[1:])).astype(np.float32)
    return x, rng.integers(0, 10, batch)


@pytest.mark.parametrize("batch", [5, 33])
@pytest.mark.parametrize("name", NETS)
def test_nets_replay_as_they_run_for_five_steps(name: str, batch: int) -> None:
    native, eager = _compiled(name), _compiled(name)
    eager._native = False
    for seed in range(5):
        x, y = _batch(native, batch, seed)
        expected = eager.train_on_batch(x, y)
        assert native.train_on_batch(x, y) == pytest.approx(expected, rel=2e-5)
    assert native._native.reason is None
    for v, w in zip(native.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=0, atol=1e-5)
    x, _ = _batch(native, batch, 9)
    np.testing.assert_allclose(native.predict(x), eager.predict(x), atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_structures_are_the_same_bits_for_any_number_of_threads(name: str) -> None:
    results = []
    for workers in (1, 2, 3, 4):
        model = _compiled(name)
        variables = model.trainable_variables
        model.optimizer.build(variables)
        update = program.Update(model.optimizer, variables)
        graph = program.graph_of(model, model.input_shape[1:])
        step = program.Step(graph, 70, np.float32, model._scores.loss, update, workers)
        losses = [step.run(*_batch(model, 70, seed))[0] for seed in range(3)]
        results.append((losses, model.get_weights()))
    for losses, weights in results[1:]:
        assert losses == results[0][0]
        for a, b in zip(weights, results[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_two_cards_of_alexnet_are_native() -> None:
    models = []
    for _ in range(2):
        gt.utils.set_random_seed(0)
        models.append(gt.models.AlexNet((67, 67, 3), classes=10, groups=2, width=1 / 16))
        models[-1].compile(gt.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    native, eager = models
    assert {why for _, why in program.reasons(native, (67, 67, 3))} == {None}
    eager._native = False
    for seed in range(3):
        x, y = _batch(native, 3, seed)
        expected = eager.train_on_batch(x, y)
        assert native.train_on_batch(x, y) == pytest.approx(expected, rel=1e-4)
    assert native._native.reason is None


def test_normalization_that_adapts_again_is_noticed() -> None:
    model = gt.Sequential([gt.Input((4,)), L.Normalization(), L.Dense(2)])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4)).astype(np.float32)
    for scale in (1.0, 3.0):
        model.layers[0].adapt(scale * x + scale)
        expected = model(x).data
        np.testing.assert_allclose(model.predict(x), expected, atol=1e-5)
    assert model._native.reason is None


def test_channels_first_costs_no_moves_between_layers() -> None:
    first = {"data_format": "channels_first"}
    layers = [L.Conv2D(3, 2, **first), L.MaxPooling2D(2, **first), L.Conv2D(4, 2, **first)]
    model = gt.Sequential([gt.Input((2, 9, 8)), *layers])
    moves = [n for n in program.graph_of(model, (2, 9, 8)).nodes if n.op == "move"]
    assert len(moves) == 2  # in and out


def test_the_way_back_over_moved_elements_may_end_in_a_penalty() -> None:
    first = {"data_format": "channels_first"}
    layers = [L.Conv2D(3, 2, activity_regularizer="l2", **first), L.Conv2D(4, 2, **first)]
    model = gt.Sequential([gt.Input((2, 4, 5)), *layers, L.Flatten()])
    graph = program.graph_of(model, (2, 4, 5))
    assert sum(n.op == "move" for n in graph.nodes) == 3  # in, out, and for the penalty


def test_all_of_a_repeated_maximum_share_its_gradient() -> None:
    layers = lambda d: [L.Conv1D(2, 1, activation="relu", **d), L.GlobalMaxPooling1D(**d)]  # noqa: E731
    native, eager = (gt.Sequential([gt.Input((6, 1)), *layers({}), L.Dense(3)]) for _ in range(2))
    eager.set_weights(native.get_weights())
    x = np.repeat([[1.0, -1.0, 1.0, 0.5, 1.0, -1.0]], 3, axis=0)[..., None].astype(np.float32)
    for model in (native, eager):
        model.compile(gt.optimizers.SGD(0.1), gt.losses.MeanSquaredError())
    eager._native = False
    for _ in range(3):
        values = [m.train_on_batch(x, np.ones((3, 3), np.float32)) for m in (native, eager)]
        assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert native._native.reason is None
    for v, w in zip(native.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, atol=1e-6)
